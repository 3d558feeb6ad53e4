"""Every metric of songs that count so many times: once each, or as often as they were drawn.

Drawing N songs with replacement only changes how often each song counts, so one sort per label
serves all resamples, and the rest is sums over counts. The tests hold each metric to
scikit-learn's with the same counts as `sample_weight`.

Shapes: N songs, K labels, R columns of counts. A value that they leave undefined is NaN, and so is
a target that was not observed.
"""

import numpy as np

from mclf_jax.metrics import keys

_MOST_FLOATS = 1 << 23


def value(
    metric: str,
    task: str,
    scores: np.ndarray,
    targets: np.ndarray,
    *,
    counts: np.ndarray | None = None,
) -> np.ndarray:
    """`metric` [R] with song n counted `counts[n, r]` times; every song once (R = 1) if None.

    Args:
        metric: as `metrics.compute` and `metrics.hierarchical` name them.
        task, scores, targets: as `inputs.validate` gives them; for the metrics of a hierarchy,
            those that `hierarchy.close` has made consistent.
        counts: float [N, R].
    """
    counts = _counts_of(scores, counts)
    if metric == "accuracy":
        return _mean(scores.argmax(1) == targets, counts)
    if metric == keys.NAME:
        return _mean(keys.credit()[targets, scores.argmax(1)], counts)
    if metric == "log_loss":
        likelihood = scores[np.arange(len(targets)), targets] / scores.sum(1)
        eps = np.finfo(scores.dtype).eps  # of sklearn.metrics.log_loss
        return _mean(-np.log(np.clip(likelihood, eps, 1 - eps)), counts)
    if task == "regression":
        return macro(per_label(metric, task, scores, targets, counts=counts))
    name, _, kind = metric.rpartition("_")
    if kind == "macro":
        return macro(per_label(name, task, scores, targets, counts=counts))
    positive, predicted, observed = _decide(task, scores, targets)
    if kind == "micro":
        return _ranking(name, scores, positive, counts, observed=observed)
    sums = _count(positive, predicted, counts)
    return _ratio(name, **{key: each.sum(0) for key, each in sums.items()})


def per_label(
    name: str,
    task: str,
    scores: np.ndarray,
    targets: np.ndarray,
    *,
    counts: np.ndarray | None = None,
) -> np.ndarray:
    """A metric of each label alone [K, R], or its "support" or "observed" songs; see `value`."""
    counts = _counts_of(scores, counts)
    if task == "regression" and name != "observed":
        return _regression(name, scores, targets, counts)
    positive, predicted, observed = _decide(task, scores, targets)
    if name == "observed":
        return _times(observed, counts)
    if name in ("roc_auc", "pr_auc"):
        columns = zip(scores.T, positive.T, observed.T, strict=True)
        return np.stack([_ranking(name, s, p, counts, observed=o) for s, p, o in columns])
    sums = _count(positive, predicted, counts)
    return sums["actual"] if name == "support" else _ratio(name, **sums)


def _counts_of(scores: np.ndarray, counts: np.ndarray | None) -> np.ndarray:
    return np.ones((len(scores), 1)) if counts is None else counts


def _decide(task: str, scores: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, ...]:
    """Whether each song has a label, is said to have it, and was looked at, bool [N, K] each."""
    if task == "single_label":
        classes = np.arange(scores.shape[1])
        positive, predicted = (of[:, None] == classes for of in (targets, scores.argmax(1)))
        return positive, predicted, np.ones(scores.shape, bool)
    observed = ~np.isnan(targets)
    return targets > 0.5, (scores >= 0.5) & observed, observed


def _count(positive: np.ndarray, predicted: np.ndarray, counts: np.ndarray) -> dict:
    """Songs [K, R] that have each label, that are said to have it, and both."""
    flags = {"hits": positive & predicted, "actual": positive, "guessed": predicted}
    return {name: _times(each, counts) for name, each in flags.items()}


def _times(flags: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Songs [K, R] with each flag of [N, K]; a few labels at a time, or their floats were large."""
    columns = np.array_split(flags.T, -(-flags.size // _MOST_FLOATS) or 1)
    return np.concatenate([some.astype(np.float64) @ counts for some in columns])


def _ratio(name: str, *, hits: np.ndarray, actual: np.ndarray, guessed: np.ndarray) -> np.ndarray:
    """Precision, recall or F1; NaN where no song has the label."""
    bottom = {"precision": guessed, "recall": actual, "f1": (actual + guessed) / 2}[name]
    ratio = np.divide(hits, bottom, out=np.zeros_like(hits), where=bottom > 0)
    return np.where(actual > 0, ratio, np.nan)


def _mean(per_song: np.ndarray, counts: np.ndarray) -> np.ndarray:
    return per_song.astype(np.float64) @ counts / counts.sum(0)


def macro(per_label: np.ndarray) -> np.ndarray:
    """Mean [R] over the labels [K, R] that are defined; NaN where none is."""
    defined = np.isfinite(per_label)
    total = np.where(defined, per_label, 0).sum(0)
    return _divide(total, defined.sum(0))


def _divide(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    return np.divide(top, bottom, out=np.full(np.shape(top), np.nan), where=bottom > 0)


def _ranking(
    name: str,
    scores: np.ndarray,
    positive: np.ndarray,
    counts: np.ndarray,
    *,
    observed: np.ndarray,
) -> np.ndarray:
    """Area [R] under the ROC curve or average precision of one ranking.

    What is ranked is the observed ones of [N] songs, or of [N, K] pairs of song and label.
    """
    num_observed = observed.reshape(len(observed), -1).sum(axis=1)
    songs = np.repeat(np.arange(len(observed), dtype=np.int32), num_observed)
    scores, positive = scores[observed], positive[observed]
    order = np.argsort(-scores, kind="stable")
    scores = scores[order]
    is_new = np.concatenate([[True], scores[1:] != scores[:-1]])
    del scores  # of all pairs of songs and labels these are the largest arrays there are
    starts = np.flatnonzero(is_new[: len(order)])  # equal scores count as one
    weights, ranked_positive = counts[songs[order]], np.flatnonzero(positive[order])
    del order, songs
    if len(ranked_positive) == 0:
        return np.full(counts.shape[1], np.nan)
    drawn = weights if len(starts) == len(weights) else np.add.reduceat(weights, starts, axis=0)
    # Only groups that hold a positive add to either sum: keep those rows.
    group = np.searchsorted(starts, ranked_positive, side="right") - 1
    groups, first = np.unique(group, return_index=True)
    gained = np.add.reduceat(weights[ranked_positive], first, axis=0, dtype=np.float64)
    tied = drawn[groups] - gained  # negatives with the score of a positive
    ranked = np.cumsum(drawn, axis=0, out=drawn)  # songs with each score or a higher one
    found, above = np.cumsum(gained, axis=0), ranked[groups].astype(np.float64)
    total = found[-1]
    if name == "pr_auc":
        # AP = sum_n (R_n - R_{n-1}) P_n, as in sklearn.metrics.average_precision_score.
        precision = np.divide(found, above, out=np.zeros_like(found), where=above > 0)
        return _divide((gained * precision).sum(0), total)
    # Mann-Whitney: the negatives below each positive, and half of those tied with it.
    negatives = ranked[-1] - total
    below = negatives - (above - found) + tied / 2
    return _divide((gained * below).sum(0), total * negatives)


def _regression(
    name: str, predictions: np.ndarray, targets: np.ndarray, counts: np.ndarray
) -> np.ndarray:
    observed = ~np.isnan(targets)
    # What was not observed adds nothing to any sum.
    error = np.where(observed, predictions - targets, 0)
    num_songs = observed.T @ counts
    if name == "mae":
        return _divide(np.abs(error).T @ counts, num_songs)
    squared = np.square(error).T @ counts
    if name == "rmse":
        return np.sqrt(_divide(squared, num_songs))
    total = np.where(observed, targets, 0).sum(0)
    # Centred before squaring, against cancellation.
    centred = np.where(observed, targets - _divide(total, observed.sum(0)), 0)
    spread = np.square(centred).T @ counts
    spread -= _divide(np.square(centred.T @ counts), num_songs)
    floor = 1e-12 * np.square(centred).sum(0)[:, None]
    highest = np.max(targets, axis=0, where=observed, initial=-np.inf)
    lowest = np.min(targets, axis=0, where=observed, initial=np.inf)
    varied = (spread > floor) & (highest > lowest)[:, None]
    ratio = np.divide(squared, spread, out=np.full(spread.shape, np.nan), where=varied)
    return 1 - ratio
