"""wav2vec (Schneider et al. 2019): contrastive predictive coding by convolutions alone.

Input up to 150,000 samples at 16 kHz (the published crops) -> 935 latents, one every 10 ms; the
context of each sees the last 210 ms. 12,370,482 parameters for 50 tags.

wav2vec large, in public code: `LARGE`.
"""

import flax.linen as nn
import jax.numpy as jnp

from mclf_jax.audio import fourier
from mclf_jax.audio.features import Waveform
from mclf_jax.common import checks
from mclf_jax.models.encoders.cpc import check_length, sequence_outputs
from mclf_jax.models.layers.blocks import Network, compute_in, conv

FEATURES = Waveform(sample_rate_hz=16000)
WINDOW_SAMPLES = 150_000
LARGE = {
    "kernel_sizes": (10, 8, 4, 4, 4, 1, 1),
    "strides": (5, 4, 2, 2, 2, 1, 1),
    "context_kernel_sizes": tuple(range(2, 14)),
    "shortcuts": "residual",
    "compression": "log",
}
"""Arguments of wav2vec large: 29,416,498 parameters for 50 tags."""
SHORTCUTS = ("none", "residual")
COMPRESSIONS = ("none", "log")


class Wav2Vec(Network):
    """Strided convolutions to latents, and causal ones from latents to contexts.

    Every convolution is followed by group normalisation with one group, which is over channels
    and time: of later samples a context knows their mean and variance, and nothing else.

    Attributes:
        n_channels: of every convolution.
        kernel_sizes, strides: of the encoder, one number a layer.
        context_kernel_sizes: of the context network, one number a layer.
        shortcuts: "none", or "residual": around every layer of the context network.
        compression: "none", or "log": latents are log(1 + |x|).
    """

    n_channels: int = 512
    kernel_sizes: tuple[int, ...] = (10, 8, 4, 4, 4)
    strides: tuple[int, ...] = (5, 4, 2, 2, 2)
    context_kernel_sizes: tuple[int, ...] = (3,) * 9
    shortcuts: str = "none"
    compression: str = "none"

    @nn.compact
    def __call__(self, x, *, train: bool):
        """[B, T] -> logits, embedding, and what predictive coding is about.

        Returns:
            {"logits": [B, K], "embedding": [B, C], the mean of the contexts over time,
            "latents": [B, S, C], "context": [B, S, C]}, C being n_channels.

        Raises:
            ValueError: settings that do not go together, or an input without any latent.
        """
        for field, allowed in (("shortcuts", SHORTCUTS), ("compression", COMPRESSIONS)):
            checks.choice(f"model.args.{field}", getattr(self, field), allowed)
        if len(self.kernel_sizes) != len(self.strides):
            raise ValueError(
                f"model.args.kernel_sizes and strides have {len(self.kernel_sizes)} and "
                f"{len(self.strides)} numbers; they must have as many, one for each convolution"
            )
        run = self.runner(train=train)
        x = compute_in(x[..., None], self.dtype)
        layers = zip(self.kernel_sizes, self.strides, strict=True)
        for i, (kernel_size, stride) in enumerate(layers):
            name = f"feature_extractor.conv_layers.{i}"
            x = run(_EncoderLayer(self.n_channels, kernel_size, stride, name=name), x)
            check_length(x)
        latents = jnp.log1p(jnp.abs(x)) if self.compression == "log" else x
        x = latents
        for i, kernel_size in enumerate(self.context_kernel_sizes):
            name = f"feature_aggregator.conv_layers.{i}"
            y = run(_ContextLayer(self.n_channels, kernel_size, name=name), x)
            x = (x + y) * 0.5**0.5 if self.shortcuts == "residual" else y
        return sequence_outputs(latents, x, self.num_labels, name="fc")


class _EncoderLayer(nn.Module):
    features: int
    kernel_size: int
    stride: int

    @nn.compact
    def __call__(self, x, *, train: bool):
        x = conv(
            x,
            self.features,
            kernel_size=(self.kernel_size,),
            strides=(self.stride,),
            padding=(0,),
            use_bias=False,
            name="0",
        )
        return nn.relu(_group_norm(x, name="2"))


class _ContextLayer(nn.Module):
    features: int
    kernel_size: int

    @nn.compact
    def __call__(self, x, *, train: bool):
        # The first step stands for what was before it.
        count = self.kernel_size - 1
        if fourier.are_products():  # for runtimes that cannot pad by the edge either
            x = jnp.concatenate([jnp.repeat(x[:, :1], count, axis=1), x], axis=1)
        else:
            x = jnp.pad(x, ((0, 0), (count, 0), (0, 0)), mode="edge")
        x = conv(x, self.features, kernel_size=(self.kernel_size,), padding=(0,), name="1")
        return nn.relu(_group_norm(x, name="3"))


def _group_norm(x, *, name: str):
    return nn.GroupNorm(
        num_groups=1, epsilon=1e-5, use_fast_variance=False, dtype=x.dtype, name=name
    )(x)
