"""Vector quantisation with a codebook that follows what falls on it (van den Oord et al. 2017)."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from mclf_jax.losses.contrastive import unit

# A code with less than this in its moving average has been forgotten, and stays where it is.
_SMALLEST_COUNT = 1e-6


class VectorQuantizer(nn.Module):
    """The nearest code of each vector, with gradients straight through.

    Codes are moving averages of the vectors that were nearest to them, not parameters: they lie
    in the collection "codebook" and move in training only. They start as in VQ-CPC (van Niekerk
    et al. 2020), near zero, and jump to the mean of the first vectors that fall on them. Unlike
    there, codes on which nothing falls stay where they are: its smoothing of the counts would
    throw them far away in the first step, never to be used again.

    Attributes:
        num_codes: in the codebook.
        decay: of the moving averages, a step.
        restart_below: codes used less than this fraction of an equal share start again at a
            vector of the batch, as in Jukebox (Dhariwal et al. 2020); 0 is never.
    """

    num_codes: int
    decay: float = 0.999
    restart_below: float = 0.0

    @nn.compact
    def __call__(self, x, *, train: bool):
        """[B, S, D] -> {"quantized": [B, S, D], "codes": int32 [B, S], "commitment": [B]}.

        "commitment" is the mean squared distance of the vectors to their codes, whose gradient
        pulls the vectors.
        """
        x = x.astype(jnp.promote_types(x.dtype, jnp.float32))
        shape = (self.num_codes, x.shape[-1])
        embedding = self.variable("codebook", "embedding", self._initial, shape, x.dtype)
        count = self.variable("codebook", "ema_count", jnp.zeros, shape[:1], x.dtype)
        weight = self.variable("codebook", "ema_weight", jnp.zeros, shape, x.dtype)

        codes = nearest(jax.lax.stop_gradient(x), embedding.value)
        quantized = embedding.value[codes]
        if train:
            vectors = jax.lax.stop_gradient(x).reshape(-1, shape[1])
            assigned = jax.nn.one_hot(codes.reshape(-1), self.num_codes, dtype=x.dtype)
            new_count = _average(count.value, assigned.sum(axis=0), self.decay)
            new_weight = _average(weight.value, assigned.T @ vectors, self.decay)
            known = new_count > _SMALLEST_COUNT
            mean = new_weight / jnp.where(known, new_count, 1)[:, None]
            new_embedding = jnp.where(known[:, None], mean, embedding.value)
            if self.restart_below:
                equal_share = new_count.mean()
                dead = new_count < self.restart_below * equal_share
                chosen = jax.random.randint(
                    self.make_rng("dropout"), shape[:1], minval=0, maxval=len(vectors)
                )
                # With an equal share of the count they have time to be found useful.
                new_embedding = jnp.where(dead[:, None], vectors[chosen], new_embedding)
                new_count = jnp.where(dead, equal_share, new_count)
                new_weight = jnp.where(dead[:, None], equal_share * new_embedding, new_weight)
            embedding.value, count.value, weight.value = new_embedding, new_count, new_weight
        distance = jnp.square(x - jax.lax.stop_gradient(quantized))
        return {
            "quantized": x + jax.lax.stop_gradient(quantized - x),
            "codes": codes,
            "commitment": distance.mean(axis=(1, 2)),
        }

    def _initial(self, shape, dtype):
        bound = 1 / self.num_codes
        return jax.random.uniform(self.make_rng("params"), shape, dtype, -bound, bound)


def nearest(vectors: jax.Array, codes: jax.Array) -> jax.Array:
    """Index of the code nearest to each vector, [..., D] and [N, D] -> int32 [...]."""
    products = jnp.einsum("...d,nd->...n", vectors, codes, precision="highest")
    return (jnp.square(codes).sum(axis=-1) - 2 * products).argmin(axis=-1).astype(jnp.int32)


def nearest_by_cosine(vectors: jax.Array, codes: jax.Array) -> jax.Array:
    """Which code points most nearly where each vector does, [..., D] and [N, D] -> int32 [...].

    >>> nearest_by_cosine(jnp.array([3.0, 1.0]), jnp.array([[0.0, 9.0], [1.0, 0.0]]))
    Array(1, dtype=int32)
    """
    products = jnp.einsum("...d,nd->...n", unit(vectors), unit(codes), precision="highest")
    return products.argmax(axis=-1).astype(jnp.int32)


def usage(codes: jax.Array, weight: jax.Array, *, num_codes: int) -> dict[str, jax.Array]:
    """How much of a codebook a batch uses.

    Args:
        codes: int [B, S].
        weight: [B] or [B, S], 0 for what does not count.
        num_codes: in the codebook.

    Returns:
        {"code_perplexity": exp of the entropy of the codes, from 1 (one code for all) to
        `num_codes` (each as often as any other); "unused_codes": the fraction that does not
        occur}, each of them [].
    """
    share = shares(codes, weight, num_codes=num_codes)
    entropy = -(share * jnp.log(jnp.where(share > 0, share, 1))).sum()
    return {"code_perplexity": jnp.exp(entropy), "unused_codes": (share == 0).mean()}


def shares(codes: jax.Array, weight: jax.Array, *, num_codes: int) -> jax.Array:
    """How often each code occurs, of all that count, [num_codes]; arguments as of `usage`."""
    weight = weight if weight.ndim == codes.ndim else weight[:, None]
    weight = jnp.broadcast_to(weight, codes.shape).reshape(-1).astype(jnp.float32)
    count = jnp.zeros(num_codes).at[codes.reshape(-1)].add(weight)
    return count / jnp.maximum(count.sum(), 1)


def _average(old, new, decay):
    return decay * old + (1 - decay) * new
