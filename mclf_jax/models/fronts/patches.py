"""Patches of a log-mel spectrogram, each through one dense layer (Dosovitskiy et al. 2021)."""

import flax.linen as nn

from mclf_jax.audio.features import LogMel
from mclf_jax.models.layers.blocks import batch_norm, compute_in
from mclf_jax.models.layers.parts import Part
from mclf_jax.models.patches.grid import cut, grid_of
from mclf_jax.models.patches.vit import PatchEmbedding

FEATURES = LogMel(sample_rate_hz=16000, n_fft=512, hop_length=256, n_mels=128)
WINDOW_SAMPLES = 5 * 16000


class Patches(Part):
    """Patches that do not overlap; those of one time are side by side.

    Attributes:
        patch: (frames, bands) of one; (4, 128) for all bands of 128 at once.
        n_channels: of each patch.
    """

    patch: tuple[int, int] = (4, 32)
    n_channels: int = 64

    @nn.compact
    def __call__(self, x, *, train: bool):
        """[B, F, M] -> [B, F / frames, n_channels * M / bands]."""
        grid = grid_of(x.shape[1:], patch=self.patch, stride=self.patch)
        x = batch_norm(x[..., None], name=f"{self.prefix}input_bn", train=train)[..., 0]
        x = cut(compute_in(x, self.dtype), patch=self.patch, stride=self.patch)
        name = f"{self.prefix}patch_embed.proj"
        x = PatchEmbedding(self.patch, self.n_channels, name=name)(x)
        x = x.reshape(x.shape[0], grid.rows, grid.columns, -1).swapaxes(1, 2)
        return x.reshape(*x.shape[:2], -1)
