"""How much a metric depends on which songs were in the split: songs, or groups of songs that are
not independent of each other, drawn with replacement."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np

from mclf_jax.common import checks
from mclf_jax.metrics import counted, hierarchy
from mclf_jax.metrics.compute import HIERARCHICAL, hierarchical_names, names_of
from mclf_jax.metrics.inputs import validate

NUM_RESAMPLES = 1000
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
    groups: Sequence[str] = (),
    num_resamples: int = NUM_RESAMPLES,
    seed: int = 0,
) -> dict[str, float]:
    """95 % percentile bootstrap interval over songs (Efron, 1979), or over groups of songs.

    It says how much the value depends on which songs were in the split, and nothing of how much
    it would change with another training seed. Labels that a resample leaves undefined are left
    out of its macro mean, and resamples without any defined label are left out altogether. Where
    every song is right, all resamples are equal and the interval has no width: with few songs
    that is an answer about the resampling and not about the model.

    Args:
        task, scores, targets, labels: as in `compute`.
        metric: of `compute.names_of`, or for multi-label with `parents` of `HIERARCHICAL`.
        parents: {label: parent}, as in `hierarchical`.
        groups: of the N songs, such as artists, see `numbered`; () where songs are drawn.
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
    (values,) = resampled(task, [scores], targets, groups=numbered(groups), **how)
    return percentiles(values)


def numbered(groups: Sequence[str]) -> np.ndarray | None:
    """Int [N] from 0 on, of what is drawn together; None where that is each song alone.

    Songs of one group (an artist, an album) are not independent, so that whole groups are drawn. Of
    a single group nothing could be told that way: its songs are drawn.
    """
    if not len(groups):
        return None
    numbers = np.unique(np.asarray(groups), return_inverse=True)[1]
    return numbers if 0 < numbers.max() < len(numbers) - 1 else None


def draws(groups: Sequence[str], *, kind: str, num_songs: int) -> str:
    """What intervals are made of, in words.

    >>> draws(["Ann", "Ann", "Bob"], kind="artist", num_songs=3), draws([], kind="", num_songs=9)
    ('1,000 draws of 2 artists', '1,000 draws of 9 songs')
    """
    together = numbered(groups)
    what = f"{num_songs} songs" if together is None else f"{together.max() + 1} {kind}s"
    return f"{NUM_RESAMPLES:,} draws of {what}"


def resampled(
    task: str,
    scores: Sequence[np.ndarray],
    targets: np.ndarray,
    *,
    metric: str,
    groups: np.ndarray | None = None,
    num_resamples: int = NUM_RESAMPLES,
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
        counts = _counts(rng, groups, num_songs, size)
        parts.append([counted.value(metric, task, each, targets, counts=counts) for each in scores])
    return np.concatenate(parts, axis=1)


def percentiles(values: np.ndarray) -> dict[str, float]:
    """{"low", "high"}: the middle 95 % of resamples [R]; NaN where none is defined."""
    values = values[np.isfinite(values)]
    low, high = np.percentile(values, [2.5, 97.5]) if len(values) else (np.nan, np.nan)
    return {"low": float(low), "high": float(high)}


def label_intervals(
    task: str,
    scores,
    targets,
    *,
    labels: Sequence[str],
    metric: str,
    groups: Sequence[str] = (),
    num_resamples: int = NUM_RESAMPLES,
) -> dict[str, dict[str, float]]:
    """{label: {"low", "high"}} of a metric of each label alone; see `confidence_interval`.

    Args:
        task, scores, targets, labels: as in `compute`.
        metric: of `Metrics.per_label`, such as "f1".
        groups: as in `confidence_interval`.
        num_resamples: how often songs are drawn.
    """
    scores, targets = validate(task, scores, targets, labels)
    together = numbered(groups)
    rng, chunk = np.random.default_rng(0), max(16, _CHUNK_ELEMENTS // len(scores))
    sizes = [min(chunk, num_resamples - start) for start in range(0, num_resamples, chunk)]
    parts = []
    for size in sizes:
        counts = _counts(rng, together, len(scores), size)
        parts.append(counted.per_label(metric, task, scores, targets, counts=counts))
    by_label = zip(labels, np.concatenate(parts, axis=1), strict=True)
    return {label: percentiles(values) for label, values in by_label}


def _counts(
    rng: np.random.Generator, groups: np.ndarray | None, num_songs: int, size: int
) -> np.ndarray:
    """How often each song is drawn, [N, R], alone or with its group."""
    if groups is None:
        return draw_counts(rng, num_songs, size)
    return draw_counts(rng, int(groups.max()) + 1, size)[groups]


def draw_counts(rng: np.random.Generator, num_songs: int, num_resamples: int) -> np.ndarray:
    """How often each song is drawn: float64 [N, R], each column summing to N."""
    drawn = rng.multinomial(num_songs, np.full(num_songs, 1 / num_songs), size=num_resamples)
    return drawn.T.astype(np.float64)
