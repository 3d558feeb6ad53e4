"""Residual vector quantisation: each codebook for what the ones before have left over.

As in the Mel-RVQ of MuQ (Zhu et al. 2025), whose stages are those of the Descript Audio Codec
(Kumar et al. 2023, https://arxiv.org/abs/2306.06546): codes are few numbers wide, and the nearest
is that of the largest cosine. Legend: B songs, S steps, D numbers a step, C stages, K codes.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from mclf_jax.losses.contrastive import unit
from mclf_jax.models.layers.blocks import dense, torch_kernel_init
from mclf_jax.models.layers.quantizer import nearest_by_cosine


class ResidualQuantizer(nn.Module):
    """Stages of a projection to few numbers, their nearest code, and a projection back.

    Attributes:
        num_stages: C.
        num_codes: K of each.
        code_dim: of a code.
        stale_after: steps of training in which a code was nearest to nothing, after which it is put
            onto a vector of the batch.
    """

    num_stages: int = 8
    num_codes: int = 1024
    code_dim: int = 16
    stale_after: int = 1000

    @nn.compact
    def __call__(self, x, *, train: bool):
        """[B, S, D] -> {"quantized": [B, S, D], "codes": int32 [B, S, C], "commitment": [B],
        "codebook_loss": [B]}.

        The last two are mean squared distances of projected vectors and their codes, summed over
        stages; through "commitment" gradients reach the vectors, through "codebook_loss" the codes.
        """
        residual, quantized = x, jnp.zeros_like(x)
        codes, commitment, codebook_loss = [], 0.0, 0.0
        for number in range(self.num_stages):
            stage = _Stage(self.num_codes, self.code_dim, self.stale_after, name=f"stages.{number}")
            found = stage(residual, train=train)
            residual, quantized = residual - found["output"], quantized + found["output"]
            codes.append(found["codes"])
            commitment = commitment + found["commitment"]
            codebook_loss = codebook_loss + found["codebook_loss"]
        return {
            "quantized": quantized,
            "codes": jnp.stack(codes, axis=-1),
            "commitment": commitment,
            "codebook_loss": codebook_loss,
        }


class _Stage(nn.Module):
    """One of the stages; attributes as of `ResidualQuantizer`."""

    num_codes: int
    code_dim: int
    stale_after: int

    @nn.compact
    def __call__(self, x, *, train: bool):
        shape = (self.num_codes, self.code_dim)
        # Only the optimiser writes parameters, so that codes that are moved move by this.
        moved = self.variable("codebook", "moved", jnp.zeros, shape)
        unused = self.variable("codebook", "unused_steps", jnp.zeros, shape[:1])
        learnt = self.param("codes", nn.initializers.normal(1.0), shape)
        low = self._project(x)
        table = learnt + jax.lax.stop_gradient(moved.value)
        codes = nearest_by_cosine(jax.lax.stop_gradient(low), jax.lax.stop_gradient(table))
        chosen = table[codes]
        if train and not self.is_initializing():
            vectors = jax.lax.stop_gradient(low).reshape(-1, self.code_dim)
            used = jnp.zeros(shape[0]).at[codes.reshape(-1)].max(1.0) > 0
            waited = jnp.where(used, 0, unused.value + 1)
            stale = waited >= self.stale_after
            drawn = jax.random.randint(
                self.make_rng("dropout"), shape[:1], minval=0, maxval=len(vectors)
            )
            there = vectors[drawn] - jax.lax.stop_gradient(learnt)
            moved.value = jnp.where(stale[:, None], there, moved.value)
            unused.value = jnp.where(stale, 0, waited)
        straight = low + jax.lax.stop_gradient(chosen - low)
        apart = [jnp.square(low - jax.lax.stop_gradient(chosen))]
        apart += [jnp.square(jax.lax.stop_gradient(low) - chosen)]
        commitment, codebook_loss = (distance.mean(axis=(1, 2)) for distance in apart)
        return {
            "output": dense(straight, x.shape[-1], name="out_proj"),
            "codes": codes,
            "commitment": commitment,
            "codebook_loss": codebook_loss,
        }

    def _project(self, x):
        """A dense layer whose columns have a length of their own (Salimans and Kingma 2016)."""
        shape = (x.shape[-1], self.code_dim)
        direction = self.param("in_proj.direction", torch_kernel_init, shape)
        length = self.param("in_proj.length", lambda _: jnp.sqrt(jnp.square(direction).sum(axis=0)))
        bias = self.param("in_proj.bias", nn.initializers.zeros, shape[1:])
        return x @ (unit(direction.T) * length[:, None]).T + bias
