"""Every metric of many bootstrap resamples at once: a resample is a column of song counts.

scikit-learn computes the reported values; calling it a thousand times for each of fifty tags
would take minutes. Drawing N songs with replacement only changes how often each song counts, so
one sort per label serves all resamples, and the rest is sums over counts. The tests hold each
metric to scikit-learn's with the same counts as `sample_weight`.

Shapes: N songs, K labels, R resamples. A value that a resample leaves undefined is NaN, and so is
a target that was not observed.
"""

import numpy as np

# Elements of the largest array made at once: 4 MB of float64 stay in the processor's cache, which
# is three times as fast as 32 MB.
_CHUNK_ELEMENTS = 500_000


def draw_counts(rng: np.random.Generator, *, num_songs: int, num_resamples: int) -> np.ndarray:
    """How often each song is drawn: float64 [N, R], each column summing to N."""
    drawn = rng.multinomial(num_songs, np.full(num_songs, 1 / num_songs), size=num_resamples)
    return drawn.T.astype(np.float64)


def resampled(
    metric: str,
    task: str,
    scores: np.ndarray,
    targets: np.ndarray,
    *,
    num_resamples: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Values [R] of `metric` on R resamples of the songs, in chunks of bounded memory."""
    num_songs = len(scores)
    rows = scores.size if metric.endswith("_micro") else num_songs
    chunk = max(16, _CHUNK_ELEMENTS // max(rows, 1))
    return np.concatenate(
        [
            weighted(
                metric,
                task,
                scores,
                targets,
                counts=draw_counts(
                    rng, num_songs=num_songs, num_resamples=min(chunk, num_resamples - start)
                ),
            )
            for start in range(0, num_resamples, chunk)
        ]
    )


def weighted(
    metric: str,
    task: str,
    scores: np.ndarray,
    targets: np.ndarray,
    *,
    counts: np.ndarray,
) -> np.ndarray:
    """`metric` [R] with song n counted `counts[n, r]` times; arguments as in `metrics.compute`.

    Tags are predicted at 0.5 and above. For the metrics of a hierarchy, scores and targets are
    those that its tree has made consistent.
    """
    if task == "regression":
        return _regression(metric, scores, targets, counts)
    name, _, kind = metric.rpartition("_")
    if task == "single_label":
        songs = np.arange(len(targets))
        if metric == "accuracy":
            return _mean(scores.argmax(1) == targets, counts)
        if metric == "log_loss":
            likelihood = scores[songs, targets] / scores.sum(1)
            # The clip is that of sklearn.metrics.log_loss.
            return _mean(-np.log(np.clip(likelihood, np.finfo(scores.dtype).eps, 1)), counts)
        classes = np.arange(scores.shape[1])
        positive = targets[:, None] == classes
        predicted = scores.argmax(1)[:, None] == classes
        observed = np.ones(scores.shape, bool)
    else:
        observed = ~np.isnan(targets)
        positive, predicted = targets > 0.5, (scores >= 0.5) & observed
    if kind == "micro":
        return _ranking(name, scores, positive, counts, observed=observed)
    if name in ("roc_auc", "pr_auc"):
        columns = zip(scores.T, positive.T, observed.T, strict=True)
        each = [_ranking(name, s, p, counts, observed=o) for s, p, o in columns]
        return _macro(np.stack(each))
    hits = (positive & predicted).T.astype(np.float64) @ counts
    actual, guessed = positive.T @ counts, predicted.T @ counts
    if kind == "hierarchical":
        hits, actual, guessed = (each.sum(0, keepdims=True) for each in (hits, actual, guessed))
    bottom = {"precision": guessed, "recall": actual, "f1": (actual + guessed) / 2}[name]
    value = np.divide(hits, bottom, out=np.zeros_like(hits), where=bottom > 0)
    return _macro(np.where(actual > 0, value, np.nan))


def _mean(per_song: np.ndarray, counts: np.ndarray) -> np.ndarray:
    return per_song.astype(np.float64) @ counts / counts.sum(0)


def _macro(per_label: np.ndarray) -> np.ndarray:
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
    songs = np.nonzero(observed)[0]
    scores, positive = scores[observed], positive[observed]
    order = np.argsort(-scores, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(scores[order]) != 0])  # equal scores count as one
    weights = counts[songs[order]]
    ranked_positive = np.flatnonzero(positive[order])
    if len(ranked_positive) == 0:
        return np.full(counts.shape[1], np.nan)
    drawn = weights if len(starts) == len(order) else np.add.reduceat(weights, starts, axis=0)
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
    metric: str, predictions: np.ndarray, targets: np.ndarray, counts: np.ndarray
) -> np.ndarray:
    observed = ~np.isnan(targets)
    # What was not observed adds nothing to any sum.
    error = np.where(observed, predictions - targets, 0)
    num_songs = observed.T @ counts
    if metric == "mae":
        return _macro(_divide(np.abs(error).T @ counts, num_songs))
    squared = np.square(error).T @ counts
    if metric == "rmse":
        return _macro(np.sqrt(_divide(squared, num_songs)))
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
    return _macro(1 - ratio)
