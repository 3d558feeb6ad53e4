"""Trainable band-pass filters whose harmonics are channels, then convolutions (Won et al. 2020)."""

import flax.linen as nn

from mclf_jax.audio.features import (
    PowerSpectrogram,
    harmonic_bands,
    harmonic_centres_hz,
    power_to_db,
)
from mclf_jax.common import checks
from mclf_jax.models.layers.blocks import (
    ConvBlock,
    ResBlock,
    batch_norm,
    compute_in,
    flatten_frequency,
)
from mclf_jax.models.layers.parts import Part

FEATURES = PowerSpectrogram(sample_rate_hz=16000, n_fft=512, hop_length=256)
WINDOW_SAMPLES = 5 * 16000
# Kind, multiplier of the channels, and (time, frequency) of the pooling of each block.
_BLOCKS = (
    ("conv", 1, (2, 2)),
    *(("residual", 1, (2, 2)),) * 3,
    ("conv", 2, (2, 2)),
    *(("residual", 2, (3, 2)),) * 2,
)
NUM_RESIDUAL = sum(kind == "residual" for kind, *_ in _BLOCKS)


class Harmonic(Part):
    """A harmonic filter bank and up to seven 3x3 blocks.

    Attributes:
        sample_rate_hz: of the waveform; filled in by `models.build`.
        n_channels: of the first four blocks; the others have twice as many.
        num_harmonics: channels of the filter bank.
        bands_per_semitone: of the filter bank, for each harmonic.
        num_blocks: 1 to 7, each of which leaves half of the frequencies, and of the time too, but
            that the last two leave a third of it. Frequencies that are left are kept apart as
            channels.
        depth_rates: of stochastic depth in the residual blocks, see `blocks.depth_rates`; none
            where there are none.
    """

    sample_rate_hz: int = 16000
    n_channels: int = 128
    num_harmonics: int = 6
    bands_per_semitone: int = 2
    num_blocks: int = 4
    depth_rates: tuple[float, ...] = ()

    @nn.compact
    def __call__(self, x, *, train: bool):
        """Power [B, F, n_fft//2 + 1] -> [B, F', C * L']."""
        checks.within("model.args.num_blocks", self.num_blocks, 1, len(_BLOCKS))
        filters = HarmonicFilters(
            self.sample_rate_hz,
            self.num_harmonics,
            self.bands_per_semitone,
            name=f"{self.prefix}hstft",
        )
        x = batch_norm(filters(x), name=f"{self.prefix}hstft_bn", train=train)
        x = compute_in(x, self.dtype)
        run = self.runner(train=train)
        rates = iter(self.depth_rates or (0.0,) * NUM_RESIDUAL)
        for i, (kind, multiplier, pool) in enumerate(_BLOCKS[: self.num_blocks]):
            features, name = self.n_channels * multiplier, f"{self.prefix}layer{i + 1}"
            if kind == "conv":
                block = ConvBlock(features, pool, name=name)
            else:
                rate = next(rates)
                block = ResBlock(features, pool=pool, stochastic_depth_rate=rate, name=name)
            x = run(block, x)
        return flatten_frequency(x)


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
