"""From which score on a song is said to have a tag: chosen on songs that are not tested on."""

import dataclasses

import numpy as np

from mclf_jax.common import checks
from mclf_jax.metrics.inputs import validate

TARGETS = ("f1", "f_beta:B", "precision:P", "recall:R")
"""What thresholds are chosen for, such as "f_beta:0.5", "precision:0.9" or "recall:0.9"."""


@dataclasses.dataclass(frozen=True)
class Chosen:
    """Thresholds of K tags.

    Attributes:
        thresholds: float64 [K]; NaN for tags without a positive or a negative song.
        reached: bool [K], whether the target is.
    """

    thresholds: np.ndarray
    reached: np.ndarray


def choose_thresholds(scores, targets, *, target: str = "f1") -> Chosen:
    """The threshold of each tag for a target.

    "f1" and "f_beta:B": the highest F1 or F-beta. "precision:P": at least this precision, with the
    highest recall. "recall:R": at least this recall, with as few songs as possible. A precision
    that no threshold has gives one above the score of every song, so that it is said of none.

    A threshold lies in the middle between two scores, and is the highest of those that are equally
    good.

    Args:
        scores: float [N, K].
        targets: [N, K] of 0 and 1, NaN where not observed.
        target: of `TARGETS`.

    Raises:
        ValueError: no such target, or scores and targets do not fit one another.
    """
    name, value = parse_target(target)
    names = [str(k) for k in range(np.shape(scores)[1])]
    scores, targets = validate("multi_label", scores, targets, names)
    columns = zip(scores.T, targets.T, strict=True)
    found = np.array([_choose(s, t, name, value) for s, t in columns]).reshape(-1, 2)
    return Chosen(thresholds=found[:, 0], reached=found[:, 1] > 0)


def parse_target(target: str) -> tuple[str, float]:
    """ "f1" is ("f_beta", 1.0), "precision:0.9" is ("precision", 0.9).

    Raises:
        ValueError: it is none of `TARGETS`, or its number is out of range.
    """
    name, colon, text = target.partition(":")
    if target == "f1":
        return "f_beta", 1.0
    if name not in ("f_beta", "precision", "recall") or not colon:
        raise ValueError(f"thresholds is {target!r}; allowed: {', '.join(TARGETS)}")
    try:
        value = float(text)
    except ValueError as error:
        raise ValueError(f"thresholds is {target!r}: {text!r} is no number") from error
    if name == "f_beta":
        checks.positive(f"beta of thresholds {target!r}", value)
    else:
        checks.within(f"{name} of thresholds {target!r}", value, 0, 1, ends="(]")
    return name, value


def best_f1_thresholds(scores: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """The threshold [K] of each tag that gives it the highest F1; see `choose_thresholds`.

    >>> best_f1_thresholds(np.array([[0.9], [0.6], [0.3]]), np.array([[1.0], [1.0], [0.0]]))
    array([0.45])
    """
    return choose_thresholds(scores, targets).thresholds


def _choose(scores: np.ndarray, targets: np.ndarray, name: str, value: float) -> tuple[float, bool]:
    seen = ~np.isnan(targets)
    scores, targets = scores[seen], targets[seen]
    order = np.argsort(-scores, kind="stable")
    scores, targets = scores[order], targets[order]
    num_positives = targets.sum()
    if not 0 < num_positives < len(targets):
        return np.nan, False
    # Songs with equal scores are all above a threshold or none of them is.
    last = np.flatnonzero(np.append(scores[:-1] > scores[1:], True))
    hits, said = np.cumsum(targets)[last], last + 1
    if name == "f_beta":
        square = value * value
        place = int(((1 + square) * hits / (said + square * num_positives)).argmax())
    elif name == "recall":
        place = int((hits / num_positives >= value).argmax())
    else:
        good = np.flatnonzero(hits / said >= value)
        if not len(good):
            return float(max((scores[0] + 1) / 2, np.nextafter(scores[0], 2))), False
        # Of the same recall, the one with fewer songs.
        place = int((hits >= hits[good[-1]]).argmax())
    best = last[place]
    below = scores[best + 1] if best + 1 < len(scores) else 0.0
    return float((scores[best] + below) / 2), True
