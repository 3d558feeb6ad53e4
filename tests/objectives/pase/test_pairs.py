"""What PASE compares with what: rows of other songs, views, and steps later and earlier."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mclf_jax.objectives.pase import pairs as pase_pairs


@pytest.mark.slow
def test_other_rows_are_others_that_count():
    songs = {"valid": np.array([1.0, 0, 1, 1, 0, 1]), "index": np.array([7, 8, 9, 7, 10, 11])}
    other_rows = jax.jit(pase_pairs.other_rows)
    drawn = np.array([other_rows(jax.random.key(i), **songs) for i in range(60)])
    same = {0: {0, 3}, 2: {2}, 3: {0, 3}, 5: {5}}
    for row, own in same.items():
        assert set(drawn[:, row]) == {0, 2, 3, 5} - own
    alone = {"valid": np.array([1.0, 0]), "index": np.array([0, 1])}
    assert other_rows(jax.random.key(0), **alone)[0] == 0


def numbered(num_views, steps=20):
    """Latents [3, V, S, 2] that say which row and view they are of, and which step."""
    row, view, step = np.meshgrid(range(3), range(num_views), range(steps), indexing="ij")
    return np.stack([10 * row + view, step], axis=-1).astype("f4")


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("num_views", [1, 2])
def test_local_pairs(num_views):
    latents, other = numbered(num_views), np.array([1, 2, 0])
    positive, negative = jax.device_get(
        jax.jit(pase_pairs.local_pairs)(jax.random.key(0), latents, other)
    )
    assert positive.shape == (3, 20, 4)
    for row in range(3):
        np.testing.assert_array_equal(positive[row, :, :2], latents[row, 0])
        np.testing.assert_array_equal(negative[row, :, :2], latents[row, 0])
        np.testing.assert_array_equal(positive[row, :, 2], 10 * row + num_views - 1)
        np.testing.assert_array_equal(negative[row, :, 2], 10 * other[row] + num_views - 1)
        if num_views == 1:  # another step, and all of them
            assert (positive[row, :, 1] != positive[row, :, 3]).all()
            assert set(np.asarray(positive[row, :, 3])) == set(range(20))


def test_global_pairs():
    other = jnp.array([1, 2, 0])
    positive, negative = pase_pairs.global_pairs(numbered(2), other)
    np.testing.assert_allclose(positive[1], [10, 9.5, 11, 9.5])
    np.testing.assert_allclose(negative[1], [10, 9.5, 21, 9.5])
    positive, negative = pase_pairs.global_pairs(numbered(1), other)
    np.testing.assert_allclose(positive[1], [10, 4.5, 10, 14.5])
    np.testing.assert_allclose(negative[1], [10, 4.5, 20, 14.5])


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("steps", [15, 40])
def test_sequence_pairs_are_of_the_future_and_of_the_past(steps):
    assert pase_pairs.sequence_length(num_frames=3, gap=5) == 15
    latents = np.broadcast_to(np.arange(float(steps))[:, None], (500, steps, 1))
    pairs = jax.jit(functools.partial(pase_pairs.sequence_pairs, num_frames=3, gap=5))
    future, past = jax.device_get(pairs(jax.random.key(0), latents))
    assert future.shape == past.shape == (500, 4)
    np.testing.assert_array_equal(future[:, 0], past[:, 0])
    for pairs in (future, past):
        np.testing.assert_array_equal(np.diff(pairs[:, 1:], axis=1), 1)
    assert (future[:, 1] - future[:, 0]).min() == 5 and future.max() == steps - 1
    assert (past[:, 0] - past[:, 3]).min() == 5 and past[:, 1:].min() == 0
