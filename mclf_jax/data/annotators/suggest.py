"""Which songs to annotate next: doubtful ones, ones unlike those at hand, the extremes of a label.

N songs without labels, K labels, D embedding.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from mclf_jax.common import checks
from mclf_jax.data.base.source import TASKS

WAYS = ("uncertain", "diverse", "extremes")
_SHOWN = 3  # labels in a reason


def suggest(
    scores: np.ndarray | None,
    embeddings: np.ndarray,
    *,
    task: str,
    labels: Sequence[str],
    count: int,
    by: Sequence[str] | None = None,
    known: np.ndarray | None = None,
) -> list[dict[str, Any]]:
    """Songs to annotate next, those that tell most first; several ways take turns.

    "uncertain": where the scores are the least sure: by the entropy of classes, or the mean entropy
    of tags, as a share of the largest there can be (Lewis and Gale 1994). "diverse": each song is
    the one that is farthest from all that are known or chosen, by the cosine of embeddings
    (k-center greedy, Sener and Savarese 2018, https://arxiv.org/abs/1708.00489); without known
    songs the first is the one nearest to the mean. "extremes": label by label the song with the
    highest score, of numbers the highest and the lowest in turn.

    Args:
        scores: float [N, K], probabilities or numbers; None of a network without labels.
        embeddings: float [N, D].
        task: one of `data.base.source.TASKS`.
        labels: the K names.
        count: how many, at most N.
        by: ways to choose, some of `WAYS`; all that there are for the network when not given.
        known: float [M, D] of songs that have labels already.

    Returns:
        {"index": of the song, "by": the way, "value": entropy, distance or score, "why": in words}
        for each.

    Raises:
        ValueError: an unknown way, one that needs scores where there are none, or numbers, whose
            uncertainty nobody knows.
    """
    checks.choice("task", task, TASKS)
    checks.at_least("count", count, 1)
    known_labels = labels if scores is not None else ()
    by = ways_of(task=task, labels=known_labels) if by is None else by
    check_ways(by, task=task, labels=known_labels)
    vectors = _unit(embeddings)
    # How far each song is from the nearest that is known or chosen.
    apart = np.full(len(vectors), np.inf)
    for vector in _unit(known) if known is not None and len(known) else ():
        apart = np.minimum(apart, 1 - vectors @ vector)
    left = np.ones(len(vectors), bool)
    turns = {way: _ORDERS[way](scores, task, labels) for way in by if way != "diverse"}
    found: list[dict[str, Any]] = []
    while len(found) < min(count, len(vectors)):
        way = by[len(found) % len(by)]
        if way == "diverse":
            chosen = _farthest(vectors, apart, left)
        else:
            chosen = next(each for each in turns[way] if left[each["index"]])
        found.append({"index": chosen["index"], "by": way, **chosen})
        left[chosen["index"]] = False
        apart = np.minimum(apart, 1 - vectors @ vectors[chosen["index"]])
    return found


def ways_of(*, task: str, labels: Sequence[str]) -> tuple[str, ...]:
    """The ways that there are for such a network, which are taken where nobody chooses."""
    if not len(labels):
        return ("diverse",)
    return ("diverse", "extremes") if task == "regression" else WAYS


def check_ways(by: Sequence[str], *, task: str, labels: Sequence[str]) -> None:
    """Raise the ValueError of `suggest` on a way that is not for such a network."""
    for way in by:
        checks.choice("by", way, WAYS)
        if way != "diverse" and not len(labels):
            raise ValueError(
                f"by has {way!r}, but the network has learnt no labels; take 'diverse'"
            )
        if way == "uncertain" and task == "regression":
            raise ValueError(
                "by has 'uncertain', but of numbers it is not known how sure they are; take "
                "'diverse' or 'extremes'"
            )
    if not by:
        raise ValueError(f"by is empty; allowed: {', '.join(WAYS)}")


def uncertainty(scores: np.ndarray, *, task: str) -> np.ndarray:
    """Entropy [N] of scores [N, K]: 0 where all is sure, 1 where nothing is."""
    p = np.clip(scores, 1e-12, 1.0)
    if task == "single_label":
        return -(p * np.log(p)).sum(axis=1) / np.log(max(2, scores.shape[1]))
    rest = np.clip(1 - scores, 1e-12, 1.0)
    return (-(p * np.log2(p)) - rest * np.log2(rest)).mean(axis=1)


def _farthest(vectors: np.ndarray, apart: np.ndarray, left: np.ndarray) -> dict[str, Any]:
    if np.isinf(apart).all():
        index = int((vectors @ vectors.mean(axis=0)).argmax())
        return {"index": index, "value": 0.0, "why": "the most usual song"}
    index = int(np.where(left, apart, -np.inf).argmax())
    value = float(apart[index])
    why = f"{value:.3f} (1 - cosine) from the nearest song that is known or suggested"
    return {"index": index, "value": value, "why": why}


def _uncertain(scores: np.ndarray, task: str, labels: Sequence[str]) -> Iterator[dict[str, Any]]:
    values = uncertainty(scores, task=task)
    for index in np.argsort(-values, kind="stable"):
        row = scores[index]
        # Classes that might be it; tags that might be there or not.
        doubt = row if task == "single_label" else -np.abs(row - 0.5)
        most = np.argsort(-doubt, kind="stable")[:_SHOWN]
        told = ", ".join(f"{labels[k]} {row[k]:.2f}" for k in most)
        why = f"entropy {values[index]:.2f} of 1: {told}"
        yield {"index": int(index), "value": float(values[index]), "why": why}


def _extremes(scores: np.ndarray, task: str, labels: Sequence[str]) -> Iterator[dict[str, Any]]:
    ends = {"highest": 1, "lowest": -1} if task == "regression" else {"highest": 1}
    orders = {
        (label, end): np.argsort(-sign * scores[:, k], kind="stable")
        for k, label in enumerate(labels)
        for end, sign in ends.items()
    }
    for rank in range(len(scores)):
        for (label, end), order in orders.items():
            index, value = int(order[rank]), float(scores[order[rank], labels.index(label)])
            why = f"number {rank + 1} of the {end} scores of {label}: {value:.2f}"
            yield {"index": index, "value": value, "why": why}


_ORDERS = {"uncertain": _uncertain, "extremes": _extremes}


def _unit(vectors: np.ndarray) -> np.ndarray:
    vectors = np.asarray(vectors, np.float64)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
