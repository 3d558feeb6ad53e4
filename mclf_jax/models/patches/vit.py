"""Vision transformer on patches of a log-mel spectrogram, of all of them or of any subset.

The network of Myna (Yonay et al. 2025) by default, of the size called ViT-S: 21.4 million
parameters, 6.25 s as 196 frames of 128 mels, 96 patches of 16 x 16. AST (Gong et al. 2021), PaSST
(Koutini et al. 2022), M2D (Niizumi et al. 2023) and MATPAC (Quelennec et al. 2025) are such
networks too; `BASE` is their size, `AST`, `M2D` and `MATPAC` are as published weights are.
"""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp

from mclf_jax.audio.features import LogMel
from mclf_jax.common import checks
from mclf_jax.models.layers.blocks import (
    Network,
    batch_norm,
    compute_in,
    depth_rates,
    dropout,
    layer_norm,
    outputs,
    torch_bias_init,
    torch_kernel_init,
)
from mclf_jax.models.patches import grid as grid_lib
from mclf_jax.models.patches import positions as position_lib
from mclf_jax.models.patches.block import EPSILON, HEAD_EPSILON, Block
from mclf_jax.models.patches.grid import Grid

FEATURES = LogMel(sample_rate_hz=16000, n_fft=2048, hop_length=512, n_mels=128)
WINDOW_SAMPLES = 100_000
POOLINGS = ("mean", "bands", "cls", "cls_pair")
CLASS_TOKENS = ("when_pooled", "always")
INPUT_NORMS = ("batch", "none")
HEAD_NORMS = ("none", "layer")
BASE = {"attention_dim": 768}
"""ViT-B, 85.3 million parameters."""
# Kaldi's natural logarithm ends at max(x, amin), as our decibels do, which are so many times as
# large and the same once they are normalised; features.compression="log" adds amin instead.
_DB = 10 / math.log(10)
AST = {
    **BASE,
    "stride": (10, 10),
    "positions": "learned",
    "pooling": "cls_pair",
    "head_norm": "layer",
    "input_norm": "none",
    "features": {
        "n_fft": 512,
        "win_length": 400,
        "hop_length": 160,
        "window": "hann_symmetric",
        "framing": "kaldi",
        "preemphasis": 0.97,
        "f_min_hz": 20.0,
        "mel_scale": "kaldi",
        "amin": 1.1920929e-07,
        "normalization": "fixed",
        "mean": -4.2677393 * _DB,
        "std": 2 * 4.5689974 * _DB,
    },
    "window_s": 10.24,
}
"""As published weights of AST are, with the statistics of AudioSet, whose deviation it doubles."""
M2D = {
    **BASE,
    "pooling": "bands",
    "class_token": "always",
    "input_norm": "none",
    "features": {
        "n_fft": 400,
        "hop_length": 160,
        "n_mels": 80,
        "f_min_hz": 50.0,
        "mel_scale": "slaney",
        "mel_norm": "slaney",
        "compression": "log",
        "amin": 1.1920929e-07,
        "normalization": "fixed",
        "mean": -7.1,
        "std": 4.2,
    },
    "window_s": 6.08,
}
"""As published weights of M2D are, with the statistics of AudioSet that its code has."""
MATPAC = {
    **M2D,
    "features": {**M2D["features"], "framing": "start", "mean": -7.056, "std": 4.193},
    "window_s": 6.095,
}
"""As published encoders of MATPAC and MATPAC++ are, which are M2D's network on as many frames."""


class ViT(Network):
    """Patches, each a token; pre-norm attention layers; the mean of the tokens, or the first one.

    Attributes:
        patch: (frames, bands) of one: (16, 16), or (2, 128) for all bands of 128 at once, as
            Myna-Vertical has.
        stride: (frames, bands) from one to the next; () for those of `patch`, without overlap.
        attention_dim: width of the layers.
        head_dim: width of an attention head, as many as fit.
        num_layers: of attention.
        mlp_ratio: hidden units of the feed-forward layers over the width.
        positions: "sinusoidal", fixed sines of column and row; "learned", a table, which is cut or
            stretched for other lengths; "rotary", angles of queries and keys; or "none".
        pooling: what the embedding is: "mean" of all tokens; "bands", the mean over time of each
            row of patches, one after the other, [B, M * D], as M2D and MATPAC are probed; "cls", a
            token of its own; or "cls_pair", the mean of two such, as in DeiT and AST.
        class_token: "when_pooled", or "always": also where nothing is read off it, as in M2D.
        head_norm: "layer" for a layer normalisation of what is pooled, as in AST, or "none".
        input_norm: "batch", statistics of all that is heard, or "none" where features are
            normalised (`features.normalization`).
        patchout: (columns, rows) of patches that are left out in training, as in PaSST.
        patchout_rate: share of the other patches that is left out, too.
        dropout_rate: of tokens and within the layers.
        stochastic_depth_rate: of the last layer, see `blocks.depth_rates`.
        attention: "plain" or "dot_product_attention", see `models.layers.attention`.
    """

    patch: tuple[int, int] = (16, 16)
    stride: tuple[int, ...] = ()
    attention_dim: int = 384
    head_dim: int = 64
    num_layers: int = 12
    mlp_ratio: int = 4
    positions: str = "sinusoidal"
    pooling: str = "mean"
    class_token: str = "when_pooled"
    head_norm: str = "none"
    input_norm: str = "batch"
    patchout: tuple[int, int] = (0, 0)
    patchout_rate: float = 0.0
    dropout_rate: float = 0.0
    stochastic_depth_rate: float = 0.0
    attention: str = "plain"

    @nn.nowrap
    def grid(self, input_shape: tuple[int, ...]) -> Grid:
        """How many patches an input of (F, M) has."""
        return grid_lib.grid_of(input_shape, patch=self.patch, stride=self._stride)

    @property
    def _stride(self) -> tuple[int, int]:
        frames, bands = self.stride or self.patch
        return frames, bands

    @property
    def _class_tokens(self) -> tuple[str, ...]:
        """Names of tokens before those of the patches."""
        if self.pooling == "cls_pair":
            return "cls_token", "dist_token"
        has_one = self.pooling == "cls" or self.class_token == "always"
        return ("cls_token",) if has_one else ()

    @nn.compact
    def __call__(self, x, *, train: bool, visible: jax.Array | None = None):
        """[B, F, M] -> {"logits": [B, K], "embedding": [B, D], "tokens": [B, n, D]}.

        Args:
            x: log-mel spectrograms.
            train: whether to drop out, and patches, too, where `visible` does not say which.
            visible: int [B, n], the patches that are encoded, by number (see `patches.grid`), in
                any order, in which "tokens" are; all of them when not given.
        """
        self._check()
        width, grid = self.attention_dim, self.grid(x.shape[1:])
        if self.input_norm == "batch":
            x = batch_norm(x[..., None], name="input_bn", train=train)[..., 0]
        x = grid_lib.cut(compute_in(x, self.dtype), patch=self.patch, stride=self._stride)
        x = PatchEmbedding(self.patch, width, name="patch_embed.proj")(x)
        x, angles = self._placed(x, grid)
        if visible is None and train and (self.patchout_rate or any(self.patchout)):
            visible = grid_lib.patchout(
                self.make_rng("dropout"),
                x.shape[0],
                grid,
                columns=self.patchout[0],
                rows=self.patchout[1],
                rate=self.patchout_rate,
            )
        if visible is not None:
            x = grid_lib.take(x, visible)
            angles = None if angles is None else angles[0][visible]
        for name in reversed(self._class_tokens):
            first = self.param(name, nn.initializers.normal(0.02), (1, 1, width))
            first = jnp.broadcast_to(first.astype(x.dtype), (x.shape[0], 1, width))
            x = jnp.concatenate([first, x], axis=1)
            angles = None if angles is None else position_lib.with_first(angles)
        x = dropout(x, self.dropout_rate, train=train)
        run = self.runner(train=train)
        for i, rate in enumerate(depth_rates(self.stochastic_depth_rate, self.num_layers)):
            block = Block(
                width // self.head_dim,
                self.mlp_ratio,
                self.dropout_rate,
                rate,
                self.attention,
                name=f"blocks.{i}",
            )
            x = run(block, (x, angles))
        x = layer_norm(x, epsilon=EPSILON, name="norm")
        count = len(self._class_tokens)
        tokens = x[:, count:]
        if self.pooling.startswith("cls"):
            pooled = x[:, :count].mean(axis=1)
        elif self.pooling == "mean":
            pooled = tokens.mean(axis=1)
        else:
            pooled = by_rows(tokens, grid, visible)
        if self.head_norm == "layer":
            pooled = layer_norm(pooled, epsilon=HEAD_EPSILON, name="head_norm")
        return {**outputs(pooled, self.num_labels, name="head"), "tokens": tokens}

    def _check(self) -> None:
        checks.choice("model.args.pooling", self.pooling, POOLINGS)
        checks.choice("model.args.class_token", self.class_token, CLASS_TOKENS)
        checks.choice("model.args.head_norm", self.head_norm, HEAD_NORMS)
        checks.choice("model.args.input_norm", self.input_norm, INPUT_NORMS)
        checks.within("model.args.patchout_rate", self.patchout_rate, 0, 1, ends="[)")
        position_lib.check(self.positions, width=self.attention_dim, head_dim=self.head_dim)
        if self.attention_dim % self.head_dim:
            raise ValueError(
                f"model.args.attention_dim is {self.attention_dim}; it must be a multiple of "
                f"model.args.head_dim, {self.head_dim}"
            )

    def _placed(self, x: jax.Array, grid: Grid) -> tuple[jax.Array, jax.Array | None]:
        """Tokens that know their place, and the angles of theirs, [1, N, A], if these say it."""
        if self.positions == "sinusoidal":
            table = position_lib.sinusoidal(grid, width=self.attention_dim)
            return x + jnp.asarray(table, x.dtype), None
        if self.positions == "learned":
            if self.is_initializing():
                shape = (1, grid.count, self.attention_dim)
                self.param("pos_embed", nn.initializers.normal(0.02), shape)
            # `self.param` would insist on the length of this input.
            table = self.get_variable("params", "pos_embed")
            return x + position_lib.fitted(table, grid).astype(x.dtype), None
        if self.positions == "rotary":
            return x, jnp.asarray(position_lib.rotary(grid, head_dim=self.head_dim))[None]
        return x, None


class PatchEmbedding(nn.Module):
    """A dense layer on patches, [B, N, frames * bands] -> [B, N, features].

    Its kernel is that of the convolution of the same name in timm.
    """

    patch: tuple[int, int]
    features: int

    @nn.compact
    def __call__(self, x):
        size = self.patch[0] * self.patch[1]
        shape = (*self.patch, 1, self.features)
        kernel = self.param("kernel", torch_kernel_init, shape)
        bias = self.param("bias", torch_bias_init(size), shape[-1:])
        return x @ kernel.reshape(size, -1).astype(x.dtype) + bias.astype(x.dtype)


def by_rows(tokens: jax.Array, grid: Grid, visible: jax.Array | None) -> jax.Array:
    """The mean of the tokens of each row, one after the other, [B, n, D] -> [B, M * D].

    Of a row of which nothing is visible it is 0.
    """
    numbers = jnp.arange(grid.count)[None] if visible is None else visible
    rows = jax.nn.one_hot(numbers // grid.columns, grid.rows, dtype=tokens.dtype)
    rows = rows / jnp.maximum(rows.sum(axis=1, keepdims=True), 1)
    rows = jnp.broadcast_to(rows, (tokens.shape[0], *rows.shape[1:]))
    return jnp.einsum("bnm,bnd->bmd", rows, tokens).reshape(tokens.shape[0], -1)
