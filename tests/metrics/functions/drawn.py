"""Scores and targets that hypothesis draws: with ties, empty and full labels, and masks."""

import numpy as np
from hypothesis import settings, strategies
from hypothesis.extra import numpy as arrays

# The same examples each time, few enough to be quick.
few = settings(max_examples=25, deadline=None, derandomize=True, database=None)


@strategies.composite
def tags(draw, *, masked=True):
    """(scores [N, K] of few different values, targets [N, K] of 0, 1 and, masked, NaN)."""
    shape = (draw(strategies.integers(2, 9)), draw(strategies.integers(1, 4)))
    scores = draw(arrays.arrays(np.int64, shape, elements=strategies.integers(0, 5))) / 5
    kinds = [0.0, 1.0, np.nan] if masked else [0.0, 1.0]
    targets = draw(arrays.arrays(np.float64, shape, elements=strategies.sampled_from(kinds)))
    return scores, targets


@strategies.composite
def classes(draw):
    """(scores [N, K], rows summing to one, targets int [N])."""
    num_songs, num_labels = draw(strategies.integers(1, 9)), draw(strategies.integers(2, 5))
    shape = (num_songs, num_labels)
    points = draw(arrays.arrays(np.int64, shape, elements=strategies.integers(1, 4)))
    scores = points / points.sum(1, keepdims=True)
    labels = strategies.integers(0, num_labels - 1)
    return scores, draw(arrays.arrays(np.int64, num_songs, elements=labels))
