"""The network of contrastive predictive coding (van den Oord et al. 2018), for music.

Sizes are those of CLMR's first version, which reads 59,049 samples at 22,050 Hz: seven strided
convolutions make a latent of every 480 samples, 124 in all, and a GRU sums up the latents so far.
6,380,082 parameters for 50 tags, 5,775,872 of them in the convolutions.

For speech at 16 kHz, in the paper and its public code: `SPEECH`.
"""

import flax.linen as nn
import jax.numpy as jnp

from mclf_jax.audio.features import Waveform
from mclf_jax.common import checks
from mclf_jax.models.layers.blocks import (
    Network,
    batch_norm,
    compute_in,
    conv,
    dense,
    layer_norm,
    outputs,
)
from mclf_jax.models.layers.gru import GRU
from mclf_jax.models.layers.quantizer import VectorQuantizer

FEATURES = Waveform(sample_rate_hz=22050)
WINDOW_SAMPLES = 3**10
SPEECH = {
    "kernel_sizes": (10, 8, 4, 4, 4),
    "strides": (5, 4, 2, 2, 2),
    "paddings": (2, 2, 2, 2, 1),
}
"""Arguments of the network for speech, which hears 1.28 s at 16 kHz."""
NORMS = ("none", "layer", "batch")


class CPC(Network):
    """Strided convolutions to latents, perhaps quantised, and a GRU from latents to contexts.

    Attributes:
        n_channels: of every convolution.
        context_dim: of the GRU.
        kernel_sizes, strides, paddings: of the convolutions, one number each.
        norm: before each ReLU: "none" as published; "layer", over the channels of every step, as
            Riviere et al. (2020) found more stable; or "batch", over the steps of all clips. With
            the others, latents start nearly alike, as biases outweigh what is heard, and short runs
            do not get away from there; with "batch", a context knows the mean and variance of
            later steps and of other clips.
        num_codes: of a quantiser between latents and contexts, which makes this the network of
            VQ-CPC (van Niekerk et al. 2020, with 512; they read log-mels, and an LSTM sums up);
            0 is without.
        code_dim: of a code; latents are projected to it.
        code_decay, restart_codes_below: see `VectorQuantizer`.
    """

    n_channels: int = 512
    context_dim: int = 256
    kernel_sizes: tuple[int, ...] = (10, 6, 4, 4, 4, 2, 2)
    strides: tuple[int, ...] = (5, 3, 2, 2, 2, 2, 2)
    paddings: tuple[int, ...] = (2, 2, 2, 2, 1, 1, 1)
    norm: str = "none"
    num_codes: int = 0
    code_dim: int = 64
    code_decay: float = 0.999
    restart_codes_below: float = 0.0

    @nn.compact
    def __call__(self, x, *, train: bool):
        """[B, T] -> logits, embedding, and what predictive coding is about.

        Returns:
            {"logits": [B, K], "embedding": [B, context_dim], the mean of the contexts over time
            as in the published supervised head, "latents": [B, S, C], "context":
            [B, S, context_dim]}, C being n_channels; with a quantiser, "latents" are codes of
            code_dim, and there are "codes": int32 [B, S] and "commitment": [B].

        Raises:
            ValueError: settings that do not go together, or an input without any latent.
        """
        checks.choice("model.args.norm", self.norm, NORMS)
        layers = (self.kernel_sizes, self.strides, self.paddings)
        if len(set(map(len, layers))) != 1:
            raise ValueError(
                "model.args.kernel_sizes, strides and paddings have "
                f"{', '.join(str(len(sizes)) for sizes in layers)} numbers; they must have as "
                "many, one for each convolution"
            )
        run = self.runner(train=train)
        x = compute_in(x[..., None], self.dtype)
        for i, (kernel_size, stride, padding) in enumerate(zip(*layers, strict=True)):
            name = f"encoder.seq.layer-{i}"
            x = run(_Layer(self.n_channels, kernel_size, stride, padding, self.norm, name=name), x)
            check_length(x)
        quantized = {}
        if self.num_codes:
            quantizer = VectorQuantizer(
                self.num_codes, self.code_decay, self.restart_codes_below, name="codebook"
            )
            quantized = quantizer(dense(x, self.code_dim, name="projection"), train=train)
            x = compute_in(quantized.pop("quantized"), self.dtype)
        context = GRU(self.context_dim, name="autoregressor.autoregressor")(x)
        return sequence_outputs(x, context, self.num_labels, name="fc") | quantized


class _Layer(nn.Module):
    features: int
    kernel_size: int
    stride: int
    padding: int
    norm: str

    @nn.compact
    def __call__(self, x, *, train: bool):
        x = conv(
            x,
            self.features,
            kernel_size=(self.kernel_size,),
            strides=(self.stride,),
            padding=(self.padding,),
            name="0",
        )
        if self.norm == "layer":
            x = layer_norm(x, name="norm", epsilon=1e-5)
        elif self.norm == "batch":
            x = batch_norm(x, name="norm", train=train)
        return nn.relu(x)


def sequence_outputs(latents, context, num_labels: int, *, name: str):
    """What a network of latents and contexts returns, [B, S, C] and [B, S, D].

    The last layer, `name`, reads the mean of the contexts over time.
    """
    precise = jnp.promote_types(latents.dtype, jnp.float32)
    latents, context = latents.astype(precise), context.astype(precise)
    return {
        **outputs(context.mean(axis=1), num_labels, name=name),
        "latents": latents,
        "context": context,
    }


def check_length(x):
    """Raise ValueError if nothing is left of an input, [B, S, C], after a convolution."""
    if x.shape[1] < 1:
        raise ValueError(
            "the input is too small for this network: not one latent is left; raise model.window_s"
        )
