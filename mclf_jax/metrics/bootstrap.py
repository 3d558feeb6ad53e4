"""How much a metric depends on which songs were in the split: songs drawn with replacement."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np

from mclf_jax.common import checks
from mclf_jax.metrics import counted, hierarchy
from mclf_jax.metrics.compute import HIERARCHICAL, NAMES, hierarchical_names
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
        metric: one of `NAMES[task]`, or for multi-label with `parents` of `HIERARCHICAL`.
        parents: {label: parent}, as in `hierarchical`.
        num_resamples: how often as many songs as there are are drawn, with replacement.
        seed: of the draws.

    Returns:
        {"low": 2.5th percentile, "high": 97.5th}, both NaN where the metric is undefined.

    Raises:
        ValueError: as `compute`, or the task has no such metric.
    """
    scores, targets = validate(task, scores, targets, labels)
    checks.choice(f"metric of {task}", metric, NAMES[task] + hierarchical_names(task, parents))
    checks.at_least("num_resamples", num_resamples, 1)
    if metric in HIERARCHICAL:
        scores, targets = hierarchy.close(scores, targets, labels=labels, parents=parents)
    rng = np.random.default_rng(seed)
    # In chunks of bounded memory.
    rows = scores.size if metric.endswith("_micro") else len(scores)
    chunk = max(16, _CHUNK_ELEMENTS // rows)
    sizes = [min(chunk, num_resamples - start) for start in range(0, num_resamples, chunk)]
    values = np.concatenate(
        [
            counted.value(metric, task, scores, targets, counts=draw_counts(rng, len(scores), size))
            for size in sizes
        ]
    )
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
    found = {}
    for label, values in zip(labels, np.concatenate(parts, axis=1), strict=True):
        values = values[np.isfinite(values)]
        low, high = np.percentile(values, [2.5, 97.5]) if len(values) else (np.nan, np.nan)
        found[label] = {"low": float(low), "high": float(high)}
    return found


def draw_counts(rng: np.random.Generator, num_songs: int, num_resamples: int) -> np.ndarray:
    """How often each song is drawn: float64 [N, R], each column summing to N."""
    drawn = rng.multinomial(num_songs, np.full(num_songs, 1 / num_songs), size=num_resamples)
    return drawn.T.astype(np.float64)
