"""CRNN (Choi et al. 2017, as in Won et al. 2020): convolutions, then a recurrent layer over time.

Input 464,000 samples at 16 kHz -> 1813 frames of 96 mels (or 128); four poolings leave 18
steps, which two GRU layers read. 394,100 parameters for 50 tags.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from mclf_jax.audio.features import LogMel
from mclf_jax.models.layers.blocks import (
    ConvBlock,
    Network,
    batch_norm,
    compute_in,
    dropout,
    flatten_frequency,
    outputs,
    torch_bias_init,
)

FEATURES = LogMel(sample_rate_hz=16000, n_fft=512, hop_length=256, n_mels=96)
WINDOW_SAMPLES = 29 * 16000


class CRNN(Network):
    """Four convolutional blocks, a stack of GRUs, and a dense layer on the last state.

    Attributes:
        n_channels: of the first block; the others have twice as many.
        pools: (time, frequency) of each block's max-pooling, one block per entry.
        hidden_size, num_layers: of the GRU.
        dropout_rate: before the last layer.
    """

    n_channels: int = 64
    pools: tuple[tuple[int, int], ...] = ((2, 2), (3, 3), (4, 4), (4, 4))
    hidden_size: int = 32
    num_layers: int = 2
    dropout_rate: float = 0.5

    @nn.compact
    def __call__(self, x, *, train: bool):
        """[B, F, M] -> {"logits": [B, K], "embedding": [B, hidden_size]}."""
        x = batch_norm(x[..., None], name="spec_bn", train=train)
        x = compute_in(x, self.dtype)
        run = self.runner(train=train)
        for i, pool in enumerate(self.pools):
            features = self.n_channels * (1 if i == 0 else 2)
            x = run(ConvBlock(features, tuple(pool), name=f"layer{i + 1}"), x)
        gru = GRU(self.hidden_size, self.num_layers, name=f"layer{len(self.pools) + 1}")
        x = gru(flatten_frequency(x))[:, -1]
        return outputs(dropout(x, self.dropout_rate, train=train), self.num_labels, name="dense")


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
