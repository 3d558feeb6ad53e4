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

            # What does not depend on the state is one product over all steps.
            inputs = (x @ weight_ih.T + bias_ih).swapaxes(0, 1)
            return _states(inputs, weight_hh, bias_hh).swapaxes(0, 1)

        for i in range(self.num_layers):
            x = layer(x, i)
        return x


@jax.custom_vjp
def _states(inputs, weight, bias):
    """[T, B, 3H] -> h of all steps, [T, B, H], from h = 0 on; r, z and n lie side by side.

    Left to itself, JAX would add up the gradient of `weight` within the loop: a small product for
    each step, and over several devices an exchange for each. Here the loop back hands on nothing
    but dL/dh; all else is one product over all steps, before it or behind it.
    """

    def step(h, x):
        gates = _gates(x, h @ weight.T + bias)
        h = (1 - gates["update"]) * gates["new"] + gates["update"] * h
        return h, h

    start = jnp.zeros((inputs.shape[1], weight.shape[1]), inputs.dtype)
    return jax.lax.scan(step, start, inputs)[1]


def _gates(x, hidden):
    reset_x, update_x, new_x = jnp.split(x, 3, axis=-1)
    reset_h, update_h, new_h = jnp.split(hidden, 3, axis=-1)
    reset = jax.nn.sigmoid(reset_x + reset_h)
    return {
        "reset": reset,
        "update": jax.nn.sigmoid(update_x + update_h),
        "new": jnp.tanh(new_x + reset * new_h),
        "new_hidden": new_h,
    }


def _forward(inputs, weight, bias):
    states = _states(inputs, weight, bias)
    return states, (inputs, weight, bias, states)


def _backward(saved, d_states):
    inputs, weight, bias, states = saved
    before = jnp.concatenate([jnp.zeros_like(states[:1]), states[:-1]])
    reset, update, new, new_hidden = _gates(inputs, before @ weight.T + bias).values()
    # How much each gate's sum of inputs moves h; through n, the state is weighed by the reset gate.
    of_new = (1 - update) * (1 - new**2)
    of_update = (before - new) * update * (1 - update)
    of_reset = of_new * new_hidden * reset * (1 - reset)
    by_state = jnp.concatenate([of_reset, of_update, of_new * reset], axis=-1)

    def step(d_next, given):
        d_state, by_state, update = given
        d = d_state + d_next
        return d * update + (jnp.tile(d, 3) * by_state) @ weight, d

    d = jax.lax.scan(step, jnp.zeros_like(states[0]), (d_states, by_state, update), reverse=True)[1]
    d_inputs = jnp.concatenate([d * of_reset, d * of_update, d * of_new], axis=-1)
    d_hidden = jnp.tile(d, 3) * by_state
    d_weight = jnp.einsum("tbg,tbh->gh", d_hidden, before)
    return d_inputs, d_weight, d_hidden.sum((0, 1))


_states.defvjp(_forward, _backward)
