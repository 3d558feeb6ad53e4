"""Which songs a model got most wrong, and what to say of them.

A `Mistake` speaks of labels and scores only; the page adds the song's name and picture.
N songs, K labels.
"""

import dataclasses

import numpy as np

from mclf_jax.evaluation.result import Report

MAX_LABELS = 6


@dataclasses.dataclass(frozen=True)
class Mistake:
    """One song, with what was right and what the model said, most telling label first.

    Attributes:
        index: of the song in `Report.items`.
        true: (label, the model's score for it), or for regression (label, true value).
        predicted: (label, score), or for regression (label, predicted value).
        unobserved: labels in `predicted` of which nobody knows whether they are right.
    """

    index: int
    true: tuple[tuple[str, float], ...]
    predicted: tuple[tuple[str, float], ...]
    unobserved: tuple[str, ...] = ()


def worst(report: Report, *, count: int) -> list[Mistake]:
    """The `count` worst songs, the worst first; fewer if fewer are wrong.

    For `single_label` the wrongly classified songs by how much more the wrong class scored than
    the right one; for `multi_label` all songs by their mean cross-entropy; for `regression` all
    songs by mean squared error in units of each label's variance. The means are over the labels
    that were observed, and songs without any are in no list.
    """
    ranked = {
        "single_label": _single_label,
        "multi_label": _multi_label,
        "regression": _regression,
    }
    return ranked[report.task](report, count)


def confused_pairs(report: Report, *, count: int) -> list[dict]:
    """The commonest errors: {"true", "predicted", "songs", "share" of the true class}."""
    counts = report.confusion
    off = counts * (1 - np.eye(len(counts), dtype=counts.dtype))
    order = np.argsort(-off, axis=None, kind="stable")[:count]
    pairs = []
    for true, predicted in zip(*np.unravel_index(order, off.shape), strict=True):
        if off[true, predicted]:
            pairs.append(
                {
                    "true": report.labels[true],
                    "predicted": report.labels[predicted],
                    "songs": int(off[true, predicted]),
                    "share": float(off[true, predicted] / counts[true].sum()),
                }
            )
    return pairs


def _single_label(report: Report, count: int) -> list[Mistake]:
    scores, songs = report.scores, np.arange(len(report.items))
    guess = scores.argmax(axis=1)
    excess = scores[songs, guess] - scores[songs, report.targets]
    wrong = np.flatnonzero(guess != report.targets)
    order = wrong[np.argsort(-excess[wrong], kind="stable")][:count]
    return [
        Mistake(
            index=int(n),
            true=((report.labels[report.targets[n]], float(scores[n, report.targets[n]])),),
            predicted=((report.labels[guess[n]], float(scores[n, guess[n]])),),
        )
        for n in order
    ]


def _multi_label(report: Report, count: int) -> list[Mistake]:
    scores, positive = report.scores, np.asarray(report.targets) > 0.5
    likelihood = np.clip(np.where(positive, scores, 1 - scores), 1e-7, 1)
    found = []
    for n in _ranked(-np.log(likelihood), report.observed)[:count]:
        missed = sorted(np.flatnonzero(positive[n]), key=lambda k: scores[n, k])
        top = np.argsort(-scores[n], kind="stable")[:MAX_LABELS]
        found.append(
            Mistake(
                index=int(n),
                true=_named(report, missed, scores[n]),
                predicted=_named(report, top, scores[n]),
                unobserved=tuple(report.labels[k] for k in top if not report.observed[n, k]),
            )
        )
    return found


def _regression(report: Report, count: int) -> list[Mistake]:
    observed = report.observed
    columns = zip(report.targets.T, observed.T, strict=True)
    variance = np.array([np.var(true[seen]) if seen.any() else 0.0 for true, seen in columns])
    scaled = np.square(report.scores - report.targets) / np.where(variance > 0, variance, 1)
    found = []
    for n in _ranked(scaled, observed)[:count]:
        columns = np.argsort(-scaled[n], kind="stable")  # NaN last
        columns = columns[: np.count_nonzero(observed[n])]
        found.append(
            Mistake(
                index=int(n),
                true=_named(report, columns, report.targets[n]),
                predicted=_named(report, columns, report.scores[n]),
            )
        )
    return found


def _ranked(error: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """The songs with an observed label, by their mean error [N, K] over those, largest first."""
    count = observed.sum(axis=1)
    mean = np.where(observed, error, 0).sum(axis=1) / np.maximum(count, 1)
    order = np.argsort(-mean, kind="stable")
    return order[count[order] > 0]


def _named(report: Report, columns, values) -> tuple[tuple[str, float], ...]:
    shown = list(columns)[:MAX_LABELS]
    return tuple((report.labels[k], float(values[k])) for k in shown)
