"""What a network costs, against counts by hand."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest

from mclf_jax import models
from mclf_jax.models import size


class _Mixed(nn.Module):
    """A strided convolution, one in groups, a GRU over time and a dense layer."""

    @nn.compact
    def __call__(self, x):
        x = nn.Conv(8, (3, 3), strides=(2, 2))(x)
        x = nn.Conv(8, (3, 3), feature_group_count=4)(x)
        x = nn.RNN(nn.GRUCell(5))(x.mean(axis=2))
        return nn.Dense(3)(jax.nn.relu(x[:, -1]))


def test_operations_by_hand():
    x = jnp.zeros((2, 10, 12, 4))
    module = _Mixed()
    variables = jax.eval_shape(module.init, jax.random.key(0), x)
    found = size.count_flops(jax.make_jaxpr(module.apply)(variables, x).jaxpr)
    places = 2 * 5 * 6
    by_hand = places * 8 * 9 * 4 + places * 8 * 9 * 2  # multiplications of the convolutions
    by_hand += 2 * 5 * (3 * 8 * 5 + 3 * 5 * 5)  # three gates at each of five steps
    by_hand += 2 * 5 * 3
    assert found == 2 * by_hand


def test_of_branches_the_longest_counts():
    def branch(x):
        return jax.lax.cond(x.sum() > 0, lambda x: x @ x @ x, lambda x: x @ x, x)

    assert size.count_flops(jax.make_jaxpr(branch)(jnp.zeros((4, 4))).jaxpr) == 2 * 2 * 4**3


@pytest.mark.parametrize(("name", "parameters"), [("fcn", 447_732), ("crnn", 394_100)])
def test_of_a_network(name, parameters):
    model = models.build(name, num_labels=50)
    whole = size.measure(model)
    assert whole["parameters"] == parameters
    assert 1 < whole["gflop_per_minute"] < 100
