"""Which songs a model got most wrong, and what to say of them; N songs, K labels."""

import dataclasses
from collections.abc import Iterable

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
    errors = {
        "single_label": _excess,
        "multi_label": _cross_entropy,
        "regression": _squares,
    }[report.task](report)
    seen, mean = _means(errors)
    order = np.argsort(-mean, kind="stable")
    return [_mistake(report, n, errors[n]) for n in order[seen[order] > 0][:count]]


def song_errors(report: Report) -> np.ndarray:
    """The error of each song [N]; NaN where no label was observed.

    1 or 0 for a wrong or right song of `single_label`, else the means that `worst` goes by.
    """
    if report.task == "single_label":
        return (report.scores.argmax(axis=1) != report.targets).astype(np.float64)
    seen, mean = _means(
        {"multi_label": _cross_entropy, "regression": _squares}[report.task](report)
    )
    return np.where(seen > 0, mean, np.nan)


def _means(errors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How many errors of each song are known, and their mean, 0 without any."""
    known = ~np.isnan(errors)
    seen = known.sum(axis=1)
    return seen, np.where(known, errors, 0).sum(axis=1) / np.maximum(seen, 1)


def confused_pairs(report: Report, *, count: int) -> list[dict]:
    """The commonest errors: {"true", "predicted", "songs", "share" of the true class}."""
    counts = report.confusion
    off = counts * (1 - np.eye(len(counts), dtype=counts.dtype))
    order = np.argsort(-off, axis=None, kind="stable")[:count]
    return [
        {
            "true": report.labels[true],
            "predicted": report.labels[predicted],
            "songs": int(off[true, predicted]),
            "share": float(off[true, predicted] / counts[true].sum()),
        }
        for true, predicted in zip(*np.unravel_index(order, off.shape), strict=True)
        if off[true, predicted]
    ]


def _excess(report: Report) -> np.ndarray:
    """[N, 1], NaN for songs that are right."""
    songs, guess = np.arange(len(report.items)), report.scores.argmax(axis=1)
    excess = report.scores[songs, guess] - report.scores[songs, report.targets]
    return np.where(guess == report.targets, np.nan, excess)[:, None]


def _cross_entropy(report: Report) -> np.ndarray:
    """[N, K], NaN where not observed."""
    likelihood = np.where(report.targets > 0.5, report.scores, 1 - report.scores)
    return np.where(report.observed, -np.log(np.clip(likelihood, 1e-7, 1)), np.nan)


def _squares(report: Report) -> np.ndarray:
    """[N, K] in units of each label's variance, NaN where not observed."""
    columns = zip(report.targets.T, report.observed.T, strict=True)
    variance = np.array([np.var(true[seen]) if seen.any() else 0.0 for true, seen in columns])
    return np.square(report.scores - report.targets) / np.where(variance > 0, variance, 1)


def _mistake(report: Report, n: int, errors: np.ndarray) -> Mistake:
    scores, targets, observed = report.scores[n], report.targets[n], report.observed[n]

    def named(columns: Iterable[int], values: np.ndarray) -> tuple[tuple[str, float], ...]:
        return tuple((report.labels[k], float(values[k])) for k in list(columns)[:MAX_LABELS])

    if report.task == "regression":
        columns = np.argsort(-errors, kind="stable")[: np.count_nonzero(observed)]  # NaN last
        return Mistake(int(n), named(columns, targets), named(columns, scores))
    if report.task == "single_label":
        return Mistake(int(n), named([targets], scores), named([scores.argmax()], scores))
    missed = sorted(np.flatnonzero(targets > 0.5), key=lambda k: scores[k])
    top = np.argsort(-scores, kind="stable")[:MAX_LABELS]
    unobserved = tuple(report.labels[k] for k in top if not observed[k])
    return Mistake(int(n), named(missed, scores), named(top, scores), unobserved)
