"""MobileNetV3 on log-mel spectrograms, as EfficientAT (Schmid et al. 2023) distils into.

Input 10 s at 32 kHz -> 1000 frames of 128 mels; time is pooled away, so any length works. 4,265,794
parameters for 50 tags as "mn10", 738,898 as "mn04" (`MN04`): with the 527 classes of AudioSet 4.88
and .98 million, as published.
"""

import flax.linen as nn

from mclf_jax.audio.features import LogMel
from mclf_jax.models.efficient.inverted import ConvNorm, Inverted, divisible
from mclf_jax.models.layers.blocks import Network, compute_in, dense, depth_rates, dropout, outputs

FEATURES = LogMel(
    sample_rate_hz=32000,
    n_fft=1024,
    win_length=800,
    hop_length=320,
    window="hann_symmetric",
    n_mels=128,
    f_max_hz=15000.0,
    mel_scale="kaldi",
    preemphasis=0.97,
    compression="log",
    amin=1e-5,
    normalization="fixed",
    mean=-4.5,
    std=5.0,
)
WINDOW_SAMPLES = 10 * 32000
MN04 = {"hidden_size": 512}
"""Arguments of the small one."""
# Kernel, channels inside and at the end, whether they are weighed, activation, stride.
_BLOCKS = (
    (3, 16, 16, False, "relu", 1),
    (3, 64, 24, False, "relu", 2),
    (3, 72, 24, False, "relu", 1),
    (5, 72, 40, True, "relu", 2),
    (5, 120, 40, True, "relu", 1),
    (5, 120, 40, True, "relu", 1),
    (3, 240, 80, False, "hard_swish", 2),
    (3, 200, 80, False, "hard_swish", 1),
    (3, 184, 80, False, "hard_swish", 1),
    (3, 184, 80, False, "hard_swish", 1),
    (3, 480, 112, True, "hard_swish", 1),
    (3, 672, 112, True, "hard_swish", 1),
    (5, 672, 160, True, "hard_swish", 2),
    (5, 960, 160, True, "hard_swish", 1),
    (5, 960, 160, True, "hard_swish", 1),
)
_HIDDEN = 1280


class MobileNet(Network):
    """Fifteen inverted residual blocks, the mean over time and frequency, and two dense layers.

    Attributes:
        hidden_size: of the dense layer before the last, which is the embedding. All widths are in
            proportion to it: 1280 is "mn10", 512 "mn04".
        dropout_rate: before the last layer.
        stochastic_depth_rate: of the last block, see `blocks.depth_rates`.
    """

    hidden_size: int = _HIDDEN
    dropout_rate: float = 0.2
    stochastic_depth_rate: float = 0.0

    @nn.compact
    def __call__(self, x, *, train: bool):
        """[B, F, M] -> {"logits": [B, K], "embedding": [B, hidden_size]}."""

        def wide(channels: int) -> int:
            return divisible(channels * self.hidden_size / _HIDDEN)

        x = compute_in(x[..., None], self.dtype)
        run = self.runner(train=train)
        x = run(ConvNorm(wide(16), 3, 2, "hard_swish", name="features.0"), x)
        rates = depth_rates(self.stochastic_depth_rate, len(_BLOCKS))
        for i, (settings, rate) in enumerate(zip(_BLOCKS, rates, strict=True), start=1):
            kernel_size, expanded, features, squeeze, activation, stride = settings
            block = Inverted(
                wide(expanded),
                wide(features),
                kernel_size,
                stride,
                squeeze,
                activation,
                rate,
                name=f"features.{i}",
            )
            x = run(block, x)
        last = ConvNorm(6 * x.shape[-1], activation="hard_swish", name=f"features.{i + 1}")
        x = run(last, x).mean(axis=(1, 2))
        x = nn.hard_swish(dense(x, wide(_HIDDEN), name="classifier.2"))
        x = dropout(x, self.dropout_rate, train=train)
        return outputs(x, self.num_labels, name="classifier.5")
