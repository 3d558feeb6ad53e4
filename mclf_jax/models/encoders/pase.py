"""PASE (Pascual et al. 2019) and PASE+ (Ravanelli et al. 2020): encoders of many tasks at once.

Input 16,000 samples at 16 kHz -> 100 latents, one every 10 ms. 5,823,070 parameters for 50 tags,
of which the encoder has 5,818,020; PASE+, `PLUS`, has 7,832,896 in its encoder and hears 2 s.
"""

import math

import flax.linen as nn
import jax.numpy as jnp

from mclf_jax.audio.features import Waveform
from mclf_jax.common import checks
from mclf_jax.models.encoders.cpc import check_length
from mclf_jax.models.layers.blocks import Network, batch_norm, compute_in, conv, outputs
from mclf_jax.models.layers.qrnn import QRNN
from mclf_jax.models.layers.sinc import SincConv

FEATURES = Waveform(sample_rate_hz=16000)
WINDOW_SAMPLES = 16000
PLUS = {"embedding_dim": 256, "skips": "sum", "recurrent": "qrnn"}
"""Arguments of PASE+."""
SKIPS = ("none", "sum")
RECURRENT = ("none", "qrnn")
_MULTIPLIERS = (1, 1, 2, 2, 4, 4, 8, 8)


class PASE(Network):
    """A sinc layer and seven strided convolutions, perhaps a QRNN, and a projection.

    Attributes:
        n_channels: of the first two layers; the eight have 1, 1, 2, 2, 4, 4, 8, 8 times as many.
        kernel_sizes, strides: of the layers, one number each; the first is the sinc layer, whose
            stride is 1. Their product is the hop.
        embedding_dim: D, of every latent.
        skips: "none", or "sum": every layer but the last is projected, averaged over the steps
            that make a latent, and added to it.
        recurrent: "none", or "qrnn" between the last convolution and the projection.
        hidden_size: of the QRNN.
        sample_rate_hz: rate of the waveform.
    """

    n_channels: int = 64
    kernel_sizes: tuple[int, ...] = (251, 20, 11, 11, 11, 11, 11, 11)
    strides: tuple[int, ...] = (1, 10, 2, 1, 2, 1, 2, 2)
    embedding_dim: int = 100
    skips: str = "none"
    recurrent: str = "none"
    hidden_size: int = 512
    sample_rate_hz: int = 16000

    @property
    def hop_length(self) -> int:
        """Samples between latents."""
        return math.prod(self.strides)

    @nn.compact
    def __call__(self, x, *, train: bool):
        """[B, T] -> {"logits": [B, K], "embedding": [B, D], "latents": [B, S, D]}.

        S is T // 160 if the hop divides T. Published tasks read the latents, frame by frame; one
        vector of a clip, here as in PASE's own task of that kind (GIM), is their mean over time.

        Raises:
            ValueError: settings that do not go together, or an input without any latent.
        """
        self._check()
        run = self.runner(train=train)
        x = compute_in(x, self.dtype)
        sinc = (self.n_channels, self.kernel_sizes[0], self.sample_rate_hz)
        x = run(_SincBlock(*sinc, name="blocks.0"), x)
        skipped = []
        layers = list(zip(_MULTIPLIERS, self.kernel_sizes, self.strides, strict=True))
        for i, (multiplier, kernel_size, stride) in enumerate(layers[1:], start=1):
            if self.skips == "sum":
                name = f"denseskips.{i - 1}"
                skipped.append(_pointwise(x, self.embedding_dim, name=name, use_bias=False))
            channels = multiplier * self.n_channels
            x = run(_Block(channels, kernel_size, stride, name=f"blocks.{i}"), x)
        check_length(x)
        if self.recurrent == "qrnn":
            x = QRNN(self.hidden_size, name="rnn")(x)
        x = _pointwise(x, self.embedding_dim, name="W")
        for skip in skipped:
            x = x + _averaged(skip, x.shape[1])
        x = x.astype(jnp.promote_types(x.dtype, jnp.float32))
        latents = nn.BatchNorm(
            use_running_average=not train,
            momentum=0.9,
            epsilon=1e-5,
            use_bias=False,
            use_scale=False,
            use_fast_variance=False,
            dtype=x.dtype,
            name="norm_out",
        )(x)
        return {**outputs(latents.mean(axis=1), self.num_labels, name="fc"), "latents": latents}

    def _check(self) -> None:
        for field, allowed in (("skips", SKIPS), ("recurrent", RECURRENT)):
            checks.choice(f"model.args.{field}", getattr(self, field), allowed)
        for field in ("kernel_sizes", "strides"):
            if len(sizes := getattr(self, field)) != len(_MULTIPLIERS):
                raise ValueError(
                    f"model.args.{field} has {len(sizes)} numbers; it must have "
                    f"{len(_MULTIPLIERS)}, one for each layer"
                )
        if self.strides[0] != 1:
            raise ValueError(
                f"model.args.strides begins with {self.strides[0]}; the sinc layer must have 1"
            )


class PReLU(nn.Module):
    """x where it is positive, else a slope of its own for each channel times x; [..., C]."""

    initial_slope: float = 0.25

    @nn.compact
    def __call__(self, x):
        slope = self.param("weight", nn.initializers.constant(self.initial_slope), x.shape[-1:])
        return jnp.where(x > 0, x, slope.astype(x.dtype) * x)


class _SincBlock(nn.Module):
    features: int
    kernel_size: int
    sample_rate_hz: int

    @nn.compact
    def __call__(self, x, *, train: bool):
        x = SincConv(self.features, self.kernel_size, self.sample_rate_hz, name="conv")(x)
        return _normalized(x, train=train)


class _Block(nn.Module):
    features: int
    kernel_size: int
    stride: int

    @nn.compact
    def __call__(self, x, *, train: bool):
        half = self.kernel_size // 2
        shorter = self.stride > 1 or self.kernel_size % 2 == 0
        pad = (half - 1 if shorter else half, half)
        x = jnp.pad(x, ((0, 0), pad, (0, 0)), mode="reflect")
        x = conv(
            x,
            self.features,
            kernel_size=(self.kernel_size,),
            strides=(self.stride,),
            padding=(0,),
            name="conv",
        )
        return _normalized(x, train=train)


def _normalized(x, *, train: bool):
    # A slope of 0 at first: a ReLU that may learn to leak.
    return PReLU(0.0, name="act")(batch_norm(x, name="norm", train=train))


def _pointwise(x, features: int, *, name: str, use_bias: bool = True):
    return conv(x, features, kernel_size=(1,), padding=(0,), use_bias=use_bias, name=name)


def _averaged(x, num_steps: int):
    """Means over equally many neighbouring steps, [B, S * n + rest, D] -> [B, S, D]."""
    n = x.shape[1] // num_steps
    return x[:, : n * num_steps].reshape(x.shape[0], num_steps, n, -1).mean(axis=2)
