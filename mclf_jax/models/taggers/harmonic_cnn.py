"""Harmonic CNN (Won et al., ICASSP 2020): trainable band-pass filters, harmonics as channels.

Input 80,000 samples at 16 kHz -> 313 frames of a power spectrogram. Time is pooled away, so any
longer input works too. 3,631,551 parameters for 50 tags.
"""

import flax.linen as nn

from mclf_jax.audio.features import (
    PowerSpectrogram,
    harmonic_bands,
    harmonic_centres_hz,
    power_to_db,
)
from mclf_jax.models.layers.blocks import (
    ConvBlock,
    Network,
    ResBlock,
    batch_norm,
    compute_in,
    dense,
    depth_rates,
    dropout,
    flatten_frequency,
    max_over,
    outputs,
)

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
        filters = HarmonicFilters(
            self.sample_rate_hz, self.num_harmonics, self.bands_per_semitone, name="hstft"
        )
        x = batch_norm(filters(x), name="hstft_bn", train=train)
        x = compute_in(x, self.dtype)
        run = self.runner(train=train)
        n = self.n_channels
        residual = (2, 3, 4, 6, 7)
        rates = depth_rates(self.stochastic_depth_rate, len(residual))
        rates = dict(zip(residual, rates, strict=True))
        x = run(ConvBlock(n, (2, 2), name="layer1"), x)
        for i in (2, 3, 4):
            block = ResBlock(n, pool=(2, 2), stochastic_depth_rate=rates[i], name=f"layer{i}")
            x = run(block, x)
        x = run(ConvBlock(2 * n, (2, 2), name="layer5"), x)
        for i in (6, 7):
            block = ResBlock(2 * n, pool=(3, 2), stochastic_depth_rate=rates[i], name=f"layer{i}")
            x = run(block, x)
        x = dense(max_over(flatten_frequency(x), 1), 2 * n, name="dense1")
        x = nn.relu(batch_norm(x, name="bn", train=train))
        return outputs(dropout(x, self.dropout_rate, train=train), self.num_labels, name="dense2")


class HarmonicFilters(nn.Module):
    """Triangular filters at the harmonics of every pitch, in dB: [B, F, bins] -> [B, F, L, H].

    `audio.harmonic` with a Q that is learnt (Won et al. 2020, equations 2 to 5).
    """

    sample_rate_hz: int
    num_harmonics: int
    bands_per_semitone: int

    @nn.compact
    def __call__(self, power):
        q = self.param("bw_Q", nn.initializers.ones, (1,))
        centres_hz = harmonic_centres_hz(
            self.sample_rate_hz,
            num_harmonics=self.num_harmonics,
            bands_per_semitone=self.bands_per_semitone,
        )
        bands = harmonic_bands(
            power, centres_hz, sample_rate_hz=self.sample_rate_hz, q=q.astype(power.dtype)
        )
        return power_to_db(bands)
