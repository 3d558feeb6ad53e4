"""Stacked gated recurrent units, with the parameters that PyTorch's have."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from mclf_jax.models.layers.blocks import torch_bias_init


class GRU(nn.Module):
    """Stacked gated recurrent units as in PyTorch, [B, T, D] -> [B, T, hidden_size].

    r, z = sigmoid(W x + b + U h + c) and n = tanh(W x + b + r * (U h + c)); h' = (1-z) n + z h.
    Flax's cell has one bias for r and z where PyTorch has two, so checkpoints would not
    come out again as they went in.
    """

    hidden_size: int
    num_layers: int = 1

    @nn.compact
    def __call__(self, x):
        init = torch_bias_init(self.hidden_size)

        def layer(x, i):
            weight_ih = self.param(f"weight_ih_l{i}", init, (3 * self.hidden_size, x.shape[-1]))
            weight_hh = self.param(
                f"weight_hh_l{i}", init, (3 * self.hidden_size, self.hidden_size)
            )
            bias_ih = self.param(f"bias_ih_l{i}", init, (3 * self.hidden_size,))
            bias_hh = self.param(f"bias_hh_l{i}", init, (3 * self.hidden_size,))
            weight_ih, weight_hh, bias_ih, bias_hh = (
                w.astype(x.dtype) for w in (weight_ih, weight_hh, bias_ih, bias_hh)
            )

            def step(h, x_t):
                reset_x, update_x, new_x = jnp.split(x_t, 3, axis=-1)
                reset_h, update_h, new_h = jnp.split(h @ weight_hh.T + bias_hh, 3, axis=-1)
                update = jax.nn.sigmoid(update_x + update_h)
                new = jnp.tanh(new_x + jax.nn.sigmoid(reset_x + reset_h) * new_h)
                h = (1 - update) * new + update * h
                return h, h

            # What does not depend on the state is one product over all steps.
            inputs = (x @ weight_ih.T + bias_ih).swapaxes(0, 1)
            start = jnp.zeros((x.shape[0], self.hidden_size), x.dtype)
            return jax.lax.scan(step, start, inputs)[1].swapaxes(0, 1)

        for i in range(self.num_layers):
            x = layer(x, i)
        return x
