"""Gated recurrent units: the recursion as it is written, and its gradients."""

import jax
import jax.numpy as jnp
import numpy as np

from mclf_jax.models.layers.gru import GRU


def by_steps(params, x):
    """One layer, step by step, for JAX to differentiate."""
    h, states = jnp.zeros((x.shape[0], params["weight_hh_l0"].shape[1])), []
    for t in range(x.shape[1]):
        given = x[:, t] @ params["weight_ih_l0"].T + params["bias_ih_l0"]
        own = h @ params["weight_hh_l0"].T + params["bias_hh_l0"]
        (r_x, z_x, n_x), (r_h, z_h, n_h) = (jnp.split(each, 3, axis=-1) for each in (given, own))
        z = jax.nn.sigmoid(z_x + z_h)
        h = (1 - z) * jnp.tanh(n_x + jax.nn.sigmoid(r_x + r_h) * n_h) + z * h
        states.append(h)
    return jnp.stack(states, axis=1)


def test_values_and_gradients_are_those_of_the_recursion():
    rng = np.random.default_rng(0)
    with jax.enable_x64(True):
        x, weights = (
            jnp.asarray(rng.normal(size=(2, 5, 3))),
            jnp.asarray(rng.normal(size=(2, 5, 4))),
        )
        params = GRU(4).init(jax.random.key(0), x)["params"]
        params = jax.tree.map(lambda p: jnp.asarray(rng.normal(size=p.shape)), params)

        def energy(states, params, x):
            return (weights * states(params, x)).sum()

        def ours(params, x):
            return GRU(4).apply({"params": params}, x)

        got, expected = (
            jax.jit(jax.value_and_grad(energy, (1, 2)), static_argnums=0)(states, params, x)
            for states in (ours, by_steps)
        )
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12), got, expected
    )
