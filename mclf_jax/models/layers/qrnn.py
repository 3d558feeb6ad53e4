"""Quasi-recurrent network (Bradbury et al. 2017): gates by convolution, no weights in the loop."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from mclf_jax.models.layers.blocks import dense


class QRNN(nn.Module):
    """One causal layer with forget and output gates (QRNN-fo), [B, S, D] -> [B, S, hidden_size].

    z, f, o = tanh, sigmoid and sigmoid of an affine map of this step and the one before; then
    c = f z + (1 - f) c' and o c. Named as in the PyTorch implementation by its authors.
    """

    hidden_size: int

    @nn.compact
    def __call__(self, x):
        before = jnp.pad(x, ((0, 0), (1, 0), (0, 0)))[:, :-1]
        gates = dense(
            jnp.concatenate([x, before], axis=-1), 3 * self.hidden_size, name="layers.0.linear"
        )
        new, forget, output = jnp.split(gates, 3, axis=-1)
        return jax.nn.sigmoid(output) * forget_mult(jax.nn.sigmoid(forget), jnp.tanh(new))


def forget_mult(forget: jax.Array, new: jax.Array) -> jax.Array:
    """c[t] = forget[t] new[t] + (1 - forget[t]) c[t-1] from c[-1] = 0; all [B, S, D].

    By an associative scan, so in log(S) steps instead of S.
    """

    def then(first, second):
        (keep_1, add_1), (keep_2, add_2) = first, second
        return keep_1 * keep_2, keep_2 * add_1 + add_2

    return jax.lax.associative_scan(then, (1 - forget, forget * new), axis=1)[1]
