"""The layer of a Conformer computes what published code does, and sees positions and neighbours."""

import functools

import jax
import numpy as np
import pytest

from mclf_jax.convert.keys import torch_key, turn
from mclf_jax.models.layers.conformer import ConformerLayer
from mclf_jax.models.names import path_of
from tests.models.reference import load_fixture, state_dict

HEARD = np.random.default_rng(0).standard_normal((2, 11, 24))


@pytest.fixture(scope="module")
def published():
    """(fixture of `Wav2Vec2ConformerEncoderLayer` of transformers 5.24, layer, its variables)."""
    fixture = load_fixture("layers/conformer")
    arrays = state_dict(fixture["keys"])
    layer = ConformerLayer(num_heads=4, kernel_size=7, dropout_rate=0.0, rotated="input")
    with jax.enable_x64(True):
        made = jax.eval_shape(lambda x: layer.init(jax.random.key(0), x, train=False), HEARD)
    leaves, tree = jax.tree_util.tree_flatten_with_path(made)
    paths = [path_of(parts) for parts, _ in leaves]
    assert {torch_key(path) for path in paths} == arrays.keys()
    return fixture, layer, tree.unflatten([turn(p, arrays[torch_key(p)]) for p in paths])


def test_computes_and_learns_as_published(published):
    fixture, layer, variables = published

    @functools.partial(jax.value_and_grad, has_aux=True)
    def cubes(params):
        variables_now = variables | {"params": params}
        y, _ = layer.apply(variables_now, HEARD, train=True, mutable=["batch_stats"])
        return (y**3).sum(), y

    with jax.enable_x64(True):
        evaluated = jax.jit(lambda v: layer.apply(v, HEARD, train=False))(variables)
        (_, trained), slopes = jax.jit(cubes)(variables["params"])
    np.testing.assert_allclose(evaluated, fixture["evaluation"], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(trained, fixture["training"], rtol=1e-6, atol=1e-6)
    norms = dict(zip(fixture["grad_keys"], fixture["grad_norms"], strict=True))
    for parts, slope in jax.tree_util.tree_leaves_with_path(slopes):
        key = torch_key(("params", *path_of(parts)))
        assert np.linalg.norm(slope) == pytest.approx(norms.pop(key), rel=1e-5, abs=1e-7), key
    assert not norms


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_heads": 5}, "24 wide, which is no multiple of model.args.num_heads, 5"),
        ({"num_heads": 8}, "heads of an even width, and it is 3"),
        ({"num_heads": 4, "rotated": "keys"}, "rotated is 'keys'; allowed: heads, input"),
        ({"num_heads": 4, "kernel_size": 4}, "model.args.kernel_size is 4; it must be odd"),
    ],
)
def test_what_cannot_be(settings, message):
    layer = ConformerLayer(**settings)
    with pytest.raises(ValueError, match=message):
        jax.eval_shape(lambda x: layer.init(jax.random.key(0), x, train=False), HEARD)
