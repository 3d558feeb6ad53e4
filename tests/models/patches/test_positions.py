"""Places of patches: what they are by hand, and what they promise."""

import jax.numpy as jnp
import numpy as np
import pytest

from mclf_jax.models.layers.attention import rotate
from mclf_jax.models.patches import positions
from mclf_jax.models.patches.grid import Grid

GRID = Grid(columns=3, rows=2)


def test_sines_are_of_column_and_row():
    table = positions.sinusoidal(GRID, width=8)
    assert table.shape == (6, 8) and table.dtype == np.float32
    column, row = 2, 1  # number 5, the last one
    expected = [f(n * w) for n in (column, row) for f in (np.sin, np.cos) for w in (1.0, 0.01)]
    np.testing.assert_allclose(table[5], expected, rtol=1e-6)


def test_products_of_rotated_vectors_tell_distances_alone():
    grid = Grid(columns=5, rows=5)
    angles = jnp.asarray(positions.rotary(grid, head_dim=8))[None]
    rng = np.random.default_rng(0)
    query, key = (np.tile(rng.standard_normal((1, 1, 1, 8)), (1, 25, 1, 1)) for _ in range(2))
    turned = [np.asarray(rotate(jnp.asarray(x), angles))[0, :, 0] for x in (query, key)]
    products = turned[0] @ turned[1].T

    def product(one, other):
        (row, column), (other_row, other_column) = one, other
        return products[row * 5 + column, other_row * 5 + other_column]

    assert product((0, 0), (1, 2)) == pytest.approx(product((3, 1), (4, 3)), rel=1e-4)
    assert product((0, 0), (1, 2)) != pytest.approx(product((0, 0), (2, 1)), rel=1e-2)
    np.testing.assert_allclose(np.linalg.norm(turned[0], axis=-1), np.linalg.norm(query[0, 0]))
    first = positions.with_first(angles)
    assert first.shape == (1, 26, 4) and not first[0, 0].any()


def test_learnt_tables_are_cut_or_stretched_in_time():
    table = jnp.asarray(np.arange(6.0).reshape(1, 6, 1))  # rows 0 1 2 and 3 4 5
    np.testing.assert_array_equal(positions.fitted(table, GRID), table)
    short = positions.fitted(table, Grid(columns=2, rows=2))
    np.testing.assert_array_equal(short[0, :, 0], [0, 1, 3, 4])
    long = positions.fitted(table, Grid(columns=6, rows=2))[0, :, 0].reshape(2, 6)
    np.testing.assert_allclose(long[0], [0, 0.25, 0.75, 1.25, 1.75, 2], atol=1e-5)
    np.testing.assert_allclose(long[1], long[0] + 3, atol=1e-5)
    with pytest.raises(ValueError, match="positions of 6 patches, which are no 4 rows"):
        positions.fitted(table, Grid(columns=2, rows=4))
