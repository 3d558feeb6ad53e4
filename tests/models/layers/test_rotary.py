"""Rotary positions: products know how far apart two positions are, and nothing else of them."""

import numpy as np

from mclf_jax.models.layers.attention import rotate
from mclf_jax.models.layers.rotary import angles


def test_products_depend_on_the_distance_alone():
    rng = np.random.default_rng(0)
    query, key = (np.broadcast_to(rng.standard_normal(8, "f4"), (1, 40, 2, 8)) for _ in range(2))
    turned, keys = (rotate(x, angles(40, head_dim=8)) for x in (query, key))
    products = np.einsum("bqhd,bkhd->hqk", turned, keys)[0]
    for distance in (-7, 0, 3):
        along = np.diagonal(products, distance)
        np.testing.assert_allclose(along, along[0], atol=1e-4)
    assert np.ptp(products) > 0.5
    np.testing.assert_allclose(turned[:, 0], query[:, 0], rtol=1e-5)
    lengths = (np.linalg.norm(x, axis=-1) for x in (turned, query))
    np.testing.assert_allclose(*lengths, rtol=1e-5)
