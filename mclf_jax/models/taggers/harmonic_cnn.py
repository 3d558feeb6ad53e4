"""Harmonic CNN (Won et al., ICASSP 2020): trainable band-pass filters, harmonics as channels.

Input 80,000 samples at 16 kHz -> 313 frames of a power spectrogram. Time is pooled away, so any
longer input works too. 3,631,551 parameters for 50 tags.
"""

import flax.linen as nn

from mclf_jax.audio.features import PowerSpectrogram
from mclf_jax.models.backs.pooling import Pooling
from mclf_jax.models.fronts.harmonic import NUM_RESIDUAL, Harmonic
from mclf_jax.models.layers.blocks import Network, depth_rates, dropout, outputs
from mclf_jax.models.layers.parts import joined

FEATURES = PowerSpectrogram(sample_rate_hz=16000, n_fft=512, hop_length=256)
WINDOW_SAMPLES = 5 * 16000


class HarmonicCNN(Network):
    """A harmonic filter bank, seven 3x3 blocks, the maximum over time and two dense layers.

    Attributes:
        sample_rate_hz: of the waveform; filled in by `models.build`.
        n_channels: of the first four blocks; the others and the dense layer have twice as many.
        num_harmonics: channels of the filter bank.
        bands_per_semitone: of the filter bank, for each harmonic.
        dropout_rate: before the last layer.
        stochastic_depth_rate: of the last residual block, see `blocks.depth_rates`.
    """

    sample_rate_hz: int = 16000
    n_channels: int = 128
    num_harmonics: int = 6
    bands_per_semitone: int = 2
    dropout_rate: float = 0.5
    stochastic_depth_rate: float = 0.0

    @nn.compact
    def __call__(self, x, *, train: bool):
        """Power [B, F, n_fft//2 + 1] -> {"logits": [B, K], "embedding": [B, 2 * n_channels]}."""
        front = Harmonic(
            self.sample_rate_hz,
            self.n_channels,
            self.num_harmonics,
            self.bands_per_semitone,
            num_blocks=7,
            depth_rates=depth_rates(self.stochastic_depth_rate, NUM_RESIDUAL),
            **self.ways,
        )
        x = joined(self, front)(x, train=train)
        x = joined(self, Pooling("max", 2 * self.n_channels))(x, train=train)
        return outputs(dropout(x, self.dropout_rate, train=train), self.num_labels, name="dense2")
