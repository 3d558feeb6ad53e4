"""How well scores put songs, or the labels of a song, in order; no threshold is needed."""

import numpy as np

from mclf_jax.common import checks
from mclf_jax.metrics import counted
from mclf_jax.metrics.functions import averages

PR_KINDS = ("average_precision", "trapezoid", "interpolated")
BOUNDS = ("random", "minimum")


def roc_auc(scores, targets, *, average: str = "macro") -> float | np.ndarray:
    """Area under the ROC curve: how often a song with a label scores above one without.

    Args:
        scores: float [N, K], probabilities.
        targets: int [N], or [N, K] of zeros and ones, NaN where not observed.
        average: of `averages.AVERAGES`; "micro" ranks all pairs of song and label together.

    Raises:
        ValueError: shapes, types or values do not fit one another.
    """
    return _counted("roc_auc", scores, targets, average)


def pr_auc(
    scores, targets, *, kind: str = "average_precision", average: str = "macro"
) -> float | np.ndarray:
    """Area under the curve of precision over recall; arguments as of `roc_auc`.

    Args:
        scores, targets, average: see `roc_auc`.
        kind: "average_precision": precision at each positive song, averaged; what `compute` and
            MediaEval report. "trapezoid": points joined by straight lines, from precision 1 at
            recall 0, though precision does not change along lines (Davis and Goadrich 2006).
            "interpolated": precision at a recall is the best at that or any higher one (Everingham
            et al. 2010), and so never below average precision.
    """
    checks.choice("kind", kind, PR_KINDS)
    if kind == "average_precision":
        return _counted("pr_auc", scores, targets, average)
    area = {"trapezoid": _trapezoid, "interpolated": _interpolated}[kind]

    def value(scores, positive):
        return area(*_curve(scores, positive)) if positive.any() else np.nan

    return _of_columns(value, scores, targets, average)


def pr_auc_bound(
    scores, targets, *, kind: str = "random", average: str = "macro"
) -> float | np.ndarray:
    """What average precision is at least, or by chance; arguments as of `roc_auc`.

    Args:
        scores: only their shape matters.
        targets, average: see `roc_auc`.
        kind: "random": of a random order, the share of positive songs (of many songs). "minimum":
            of the worst order, in which all positive songs come last (Boyd, Santos Costa, Davis
            and Page 2012): no classifier can be below it.
    """
    checks.choice("kind", kind, BOUNDS)

    def value(scores, positive):
        count = int(positive.sum())
        if not count:
            return np.nan
        if kind == "random":
            return count / len(positive)
        places = np.arange(1, count + 1)
        return float((places / (places + len(positive) - count)).mean())

    return _of_columns(value, scores, targets, average)


def lwlrap(scores, targets) -> float:
    """Label-weighted label-ranking average precision, of tags (Howard and Ellis, DCASE 2019).

    The precision of a song's ranking of labels at each label that it has, averaged over all such
    pairs of song and label. Labels that were not observed are not ranked; equal scores share the
    lower rank, as in scikit-learn's `label_ranking_average_precision_score`. NaN where no song has
    a label.
    """
    rank, hits, positive = _ranks(scores, targets)
    return float((hits[positive] / rank[positive]).mean()) if positive.any() else float("nan")


def map_at_k(scores, targets, *, k: int) -> float:
    """Mean over songs of the average precision of the `k` labels with the highest scores.

    As DCASE 2018 scored tags (with k = 3): the precisions at each right label among the first k,
    over as many as could be there. Songs without a label do not count, labels that were not
    observed are not ranked, equal scores share the lower rank. Of single labels, too.
    """
    checks.whole("k", k, lowest=1)
    if averages.task_of(targets) == "single_label":
        targets = np.eye(np.shape(scores)[1])[np.asarray(targets)]
    rank, hits, positive = _ranks(scores, targets)
    some = positive.any(axis=1)
    if not some.any():
        return float("nan")
    good = np.where(positive & (rank <= k), hits / np.maximum(rank, 1), 0).sum(1)
    return float((good[some] / np.minimum(positive.sum(1)[some], k)).mean())


def _ranks(scores, targets) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """[N, K]: rank of each label in its song, how many right ones down to it, and which are."""
    _, scores, targets = averages.validate(scores, targets, task="multi_label")
    observed, positive = ~np.isnan(targets), targets > 0.5
    rank, hits = np.zeros(scores.shape), np.zeros(scores.shape)
    for n, (of_song, seen, true) in enumerate(zip(scores, observed, positive, strict=True)):
        for found, which in ((rank, seen), (hits, true)):
            ordered = np.sort(of_song[which])
            found[n] = len(ordered) - np.searchsorted(ordered, of_song, side="left")
    return rank, hits, positive


def _counted(name: str, scores, targets, average: str) -> float | np.ndarray:
    averages.check(average)
    task, scores, targets = averages.validate(scores, targets)
    if average == "micro":
        return float(counted.value(f"{name}_micro", task, scores, targets)[0])
    values = counted.per_label(name, task, scores, targets)[:, 0]
    support = counted.per_label("support", task, scores, targets)[:, 0]
    if average == "macro":  # to the last bit that of `compute`
        return float(counted.macro(values[:, None])[0])
    return averages.of_labels(values, support, average=average)


def _of_columns(value, scores, targets, average: str) -> float | np.ndarray:
    averages.check(average)
    task, scores, targets = averages.validate(scores, targets)
    if task == "single_label":
        targets = np.eye(scores.shape[1])[targets]
    seen, positive = ~np.isnan(targets), targets > 0.5
    if average == "micro":
        return float(value(scores[seen], positive[seen]))
    columns = zip(scores.T, positive.T, seen.T, strict=True)
    values = np.array([value(s[o], p[o]) for s, p, o in columns])
    return averages.of_labels(values, (positive & seen).sum(0), average=average)


def _curve(scores: np.ndarray, positive: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Recall and precision at every score, from the highest; equal scores are one point."""
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    last = np.append(ordered[1:] < ordered[:-1], True)
    found = np.cumsum(positive[order])
    said = np.arange(1, len(scores) + 1)
    return (found / found[-1])[last], (found / said)[last]


def _trapezoid(recall: np.ndarray, precision: np.ndarray) -> float:
    return float(np.trapezoid(np.append(1.0, precision), np.append(0.0, recall)))


def _interpolated(recall: np.ndarray, precision: np.ndarray) -> float:
    best = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.diff(recall, prepend=0.0) @ best)
