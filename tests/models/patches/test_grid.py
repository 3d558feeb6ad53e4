"""Patches: which numbers they have, what is in them, and how some are chosen."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mclf_jax.models.patches import grid as grid_lib
from mclf_jax.models.patches.grid import Grid

KEY = jax.random.key(0)


@pytest.mark.parametrize("stride", [(3, 4), (2, 1)])
def test_patches_are_what_they_cover(stride):
    x = np.random.default_rng(0).standard_normal((2, 8, 10)).astype("f4")
    grid = grid_lib.grid_of(x.shape[1:], patch=(3, 4), stride=stride)
    assert grid == {(3, 4): Grid(2, 2), (2, 1): Grid(3, 7)}[stride]
    patches = grid_lib.cut(jnp.asarray(x), patch=(3, 4), stride=stride)
    assert patches.shape == (2, grid.count, 12)
    for number in (0, 1, grid.count - 1):
        frame = number % grid.columns * stride[0]
        band = number // grid.columns * stride[1]
        expected = x[:, frame : frame + 3, band : band + 4].reshape(2, -1)
        np.testing.assert_array_equal(patches[:, number], expected)


def test_each_example_has_an_order_of_its_own():
    order = np.asarray(grid_lib.shuffled(KEY, 4, 30))
    np.testing.assert_array_equal(np.sort(order, axis=1), np.tile(np.arange(30), (4, 1)))
    assert len(np.unique(order[:, 0])) > 1
    tokens = np.random.default_rng(0).standard_normal((4, 30, 2))
    taken = grid_lib.take(jnp.asarray(tokens), jnp.asarray(order[:, :5]))
    np.testing.assert_allclose(taken, tokens[np.arange(4)[:, None], order[:, :5]], rtol=1e-6)
    assert [grid_lib.num_kept(96, f) for f in (0.1, 0.3, 1.0, 1e-9)] == [9, 28, 96, 1]


def test_patchout_leaves_out_whole_columns_and_rows_and_then_a_share():
    grid = Grid(columns=6, rows=4)
    left = np.asarray(grid_lib.patchout(KEY, 8, grid, columns=2, rows=1, rate=0.0))
    assert left.shape == (8, 12)
    gone = set()
    for numbers in left:
        assert len(set(numbers)) == 12
        rows, columns = set(numbers // 6), set(numbers % 6)
        assert (len(rows), len(columns)) == (3, 4)
        gone |= {*range(6)} - columns
    assert len(gone) > 2  # not the same ones of all examples
    some = grid_lib.patchout(KEY, 8, grid, columns=2, rows=1, rate=0.5)
    assert some.shape == (8, 6)
    assert all(set(few) <= set(many) for few, many in zip(np.asarray(some), left, strict=True))
    with pytest.raises(ValueError, match=r"patchout is \(6, 0\), of 6 columns and 4 rows"):
        grid_lib.patchout(KEY, 8, grid, columns=6, rows=0, rate=0.0)
