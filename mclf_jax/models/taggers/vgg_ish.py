"""VGG of the musicnn library (Pons and Serra 2019): five 3x3 layers of 128 channels on 3 s.

Input 47,616 samples at 16 kHz -> 187 frames of 96 mels, in librosa's convention and compressed
by log10(1 + 10000 x). 605,748 parameters for 50 tags. Convolution, ReLU and batch norm come
in this order, with TensorFlow's constants. The library's rounding of the spectrogram to float16
is left out.
"""

import flax.linen as nn

from mclf_jax.audio.features import preset
from mclf_jax.models.layers.blocks import (
    Network,
    batch_norm,
    compute_in,
    dropout,
    flatten,
    max_pool,
    outputs,
)
from mclf_jax.models.layers.convolutions.quick import quick_conv

FEATURES = preset("musicnn")
WINDOW_SAMPLES = 186 * 256
_TENSORFLOW = {"momentum": 0.99, "epsilon": 1e-3}


class VGGish(Network):
    """Convolution, ReLU, batch norm and max-pooling five times, and one dense layer.

    Attributes:
        n_channels: of every layer.
        block_dropout_rate, dropout_rate: after the first four poolings, and before the last
            layer.
    """

    n_channels: int = 128
    block_dropout_rate: float = 0.25
    dropout_rate: float = 0.5

    @nn.compact
    def __call__(self, x, *, train: bool):
        """[B, F, M] -> {"logits": [B, K], "embedding": [B, 2 * n_channels]}."""
        x = batch_norm(x[..., None], name="input_bn", train=train, **_TENSORFLOW)
        x = compute_in(x, self.dtype)
        run = self.runner(train=train)
        for i in range(5):
            x = run(_Layer(self.n_channels, name=f"layer{i + 1}"), x)
            if i == 0:
                # Overlapping in time, and nothing but a stride in frequency.
                x = nn.max_pool(x, window_shape=(4, 1), strides=(2, 2))
            else:
                x = max_pool(x, (4, 4) if i == 4 else (2, 2))
            if i < 4:
                x = dropout(x, self.block_dropout_rate, train=train)
        x = dropout(flatten(x), self.dropout_rate, train=train)
        return outputs(x, self.num_labels, name="dense")


class _Layer(nn.Module):
    features: int

    @nn.compact
    def __call__(self, x, *, train: bool):
        init = nn.initializers.glorot_uniform()
        x = nn.Conv(
            self.features,
            (3, 3),
            kernel_init=init,
            dtype=x.dtype,
            conv_general_dilated=quick_conv,
            name="conv",
        )(x)
        return batch_norm(nn.relu(x), name="bn", train=train, **_TENSORFLOW)
