"""How much a metric depends on which songs were in the split: songs drawn with replacement."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np

from mclf_jax.common import checks
from mclf_jax.metrics import counted, hierarchy
from mclf_jax.metrics.compute import HIERARCHICAL, hierarchical_names, names_of
from mclf_jax.metrics.inputs import validate

_NO_PARENTS: Mapping[str, str] = MappingProxyType({})
# Elements of the largest array made at once: 4 MB of float64 stay in the processor's cache, which
# is three times as fast as 32 MB.
_CHUNK_ELEMENTS = 500_000


def confidence_interval(
    task: str,
    scores,
    targets,
    *,
    labels: Sequence[str],
    metric: str,
    parents: Mapping[str, str] = _NO_PARENTS,
    num_resamples: int = 1000,
    seed: int = 0,
) -> dict[str, float]:
    """95 % percentile bootstrap interval over songs (Efron, 1979).

    It says how much the value depends on which songs were in the split, and nothing of how much
    it would change with another training seed. Labels that a resample leaves undefined are left
    out of its macro mean, and resamples without any defined label are left out altogether. Where
    every song is right, all resamples are equal and the interval has no width: with few songs
    that is an answer about the resampling and not about the model.

    Args:
        task, scores, targets, labels: as in `compute`.
        metric: of `compute.names_of`, or for multi-label with `parents` of `HIERARCHICAL`.
        parents: {label: parent}, as in `hierarchical`.
        num_resamples: how often as many songs as there are are drawn, with replacement.
        seed: of the draws.

    Returns:
        {"low": 2.5th percentile, "high": 97.5th}, both NaN where the metric is undefined.

    Raises:
        ValueError: as `compute`, or the task has no such metric.
    """
    scores, targets = validate(task, scores, targets, labels)
    known = names_of(task, labels) + hierarchical_names(task, parents)
    checks.choice(f"metric of {task}", metric, known)
    checks.at_least("num_resamples", num_resamples, 1)
    if metric in HIERARCHICAL:
        scores, targets = hierarchy.close(scores, targets, labels=labels, parents=parents)
    how = {"metric": metric, "num_resamples": num_resamples, "seed": seed}
    (values,) = resampled(task, [scores], targets, **how)
    return percentiles(values)


def resampled(
    task: str,
    scores: Sequence[np.ndarray],
    targets: np.ndarray,
    *,
    metric: str,
    groups: np.ndarray | None = None,
    num_resamples: int = 1000,
    seed: int = 0,
) -> np.ndarray:
    """A metric of the same songs by M models, in R resamples that are the same for all: [M, R].

    Args:
        task: of all.
        scores: [N, K] of each model; scores and targets as `inputs.validate` gives them.
        targets: of the songs.
        metric: one of `NAMES[task]`.
        groups: int [N] from 0 to G - 1, such as artists: whole groups are drawn, since songs of one
            are not independent of each other. None: songs are.
        num_resamples: R.
        seed: of the draws.
    """
    rng = np.random.default_rng(seed)
    # In chunks of bounded memory.
    num_songs = len(targets)
    rows = scores[0].size if metric.endswith("_micro") else num_songs
    chunk = max(16, _CHUNK_ELEMENTS // rows)
    parts = []
    for start in range(0, num_resamples, chunk):
        size = min(chunk, num_resamples - start)
        if groups is None:
            counts = draw_counts(rng, num_songs, size)
        else:
            counts = draw_counts(rng, int(groups.max()) + 1, size)[groups]
        parts.append([counted.value(metric, task, each, targets, counts=counts) for each in scores])
    return np.concatenate(parts, axis=1)


def percentiles(values: np.ndarray) -> dict[str, float]:
    """{"low", "high"}: the middle 95 % of resamples [R]; NaN where none is defined."""
    values = values[np.isfinite(values)]
    low, high = np.percentile(values, [2.5, 97.5]) if len(values) else (np.nan, np.nan)
    return {"low": float(low), "high": float(high)}


def label_intervals(
    task: str, scores, targets, *, labels: Sequence[str], metric: str, num_resamples: int = 1000
) -> dict[str, dict[str, float]]:
    """{label: {"low", "high"}} of a metric of each label alone; see `confidence_interval`.

    Args:
        task, scores, targets, labels: as in `compute`.
        metric: of `Metrics.per_label`, such as "f1".
        num_resamples: how often songs are drawn.
    """
    scores, targets = validate(task, scores, targets, labels)
    rng, chunk = np.random.default_rng(0), max(16, _CHUNK_ELEMENTS // len(scores))
    sizes = [min(chunk, num_resamples - start) for start in range(0, num_resamples, chunk)]
    parts = []
    for size in sizes:
        counts = draw_counts(rng, len(scores), size)
        parts.append(counted.per_label(metric, task, scores, targets, counts=counts))
    by_label = zip(labels, np.concatenate(parts, axis=1), strict=True)
    return {label: percentiles(values) for label, values in by_label}


def draw_counts(rng: np.random.Generator, num_songs: int, num_resamples: int) -> np.ndarray:
    """How often each song is drawn: float64 [N, R], each column summing to N."""
    drawn = rng.multinomial(num_songs, np.full(num_songs, 1 / num_songs), size=num_resamples)
    return drawn.T.astype(np.float64)
