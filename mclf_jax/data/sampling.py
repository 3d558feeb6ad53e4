"""Which songs training draws more often: weights by label or by what else is known of them.

A classifier learns what it sees, and data sets have a hundred rock songs for each of reggae, or of
one artist. Weights by metadata even that out (tutorial, 16.1.1).
"""

import difflib
from collections import Counter
from collections.abc import Hashable, Sequence
from itertools import pairwise

import numpy as np

from mclf_jax.common import checks
from mclf_jax.data.base import targets as target_lib
from mclf_jax.data.base.source import Source

TAG_RULES = ("mean", "max")


def weights(
    source: Source,
    indices: np.ndarray,
    *,
    by: str,
    balance: float = 1.0,
    tag_rule: str = "mean",
) -> np.ndarray | None:
    """Probability of each song to be the next, so that values are nearer to equally frequent.

    With `balance` b, a value that n songs have is drawn in proportion to n^(1 - b): as often as it
    occurs with 0, and every value as often as any other with 1. Songs of which the value is not
    known, and songs without any tag, are drawn as often as without weights.

    Args:
        source: where the songs come from.
        indices: [N], the songs among which is drawn, such as of the training split.
        by: "label", "group", or a column of `info.columns`, such as "year". "": no weights.
        balance: 0 to 1.
        tag_rule: how often a song with several tags is drawn: as the "mean" of what its tags
            would have, or as the rarest of them, "max". Tags of common company stay more
            frequent than others: no weights could make all equal.

    Returns:
        Float64 [N], together 1; None where nothing is asked, with `by` "" or `balance` 0.

    Raises:
        ValueError: an unknown column, arguments out of range, or labels that are numbers.
    """
    checks.within("balance", balance, 0, 1)
    checks.choice("tag_rule", tag_rule, TAG_RULES)
    if not by or not balance:
        return None
    values = _values(source, np.asarray(indices), by)
    counts = Counter(value for of_song in values for value in of_song)
    raw = np.zeros(len(values))
    for position, of_song in enumerate(values):
        if of_song:
            each = [counts[value] ** -balance for value in of_song]
            raw[position] = max(each) if tag_rule == "max" else sum(each) / len(each)
    known = raw > 0
    if not known.any():
        raise ValueError(f"no song has a value of {by!r}: nothing to balance by")
    # What is known shares the draws that it had.
    raw *= known.sum() / raw.sum()
    raw[~known] = 1
    return raw / raw.sum()


def drawable(indices: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The songs that can be drawn, and the cumulative share of each, for `draw`.

    Raises:
        ValueError: weights are not one for each song, or none is positive.
    """
    indices, weights = np.asarray(indices), np.asarray(weights, np.float64)
    if weights.shape != indices.shape:
        raise ValueError(f"weights must be of shape {indices.shape}, got {weights.shape}")
    if not np.isfinite(weights).all() or (weights < 0).any() or not weights.any():
        raise ValueError("weights must be finite, not negative, and not all 0")
    indices, weights = indices[weights > 0], weights[weights > 0]
    cumulative = np.cumsum(weights)
    return indices, cumulative / cumulative[-1]


def draw(shares: np.ndarray, rng: np.random.Generator) -> int:
    """A position, drawn by the cumulative shares that `drawable` gives."""
    return int(np.searchsorted(shares, rng.random(), side="right"))


def _values(source: Source, indices: np.ndarray, by: str) -> list[Sequence[Hashable]]:
    """What each song has: one value, several tags, or none."""
    info = source.info
    if by == "label":
        if info.task == "regression":
            raise ValueError(
                "by='label' is for labels, but the task is 'regression': take a column of"
                f" info.columns ({', '.join(info.columns) or 'there are none'}) or 'group'"
            )
        chosen = target_lib.take(source.targets, indices)
        of_song = target_lib.positives(chosen, num_labels=len(info.labels))
        return [tuple(of_song.indices[a:b].tolist()) for a, b in pairwise(of_song.indptr)]
    if by == "group":
        column = info.groups
    elif by in info.columns:
        column = info.columns[by]
    else:
        choices = ["label", "group", *info.columns]
        near = difflib.get_close_matches(by, choices, n=1)
        raise ValueError(
            f"by={by!r} is nothing that is known of the songs of {info.name}; allowed:"
            f" {', '.join(choices)}" + (f". Did you mean {near[0]!r}?" if near else "")
        )
    return [(column[i],) if column[i] else () for i in indices.tolist()]
