"""Which moments of a waveform are hidden, and what stands there in their place.

Legend: B songs, T samples, n tokens along time, each of them `hop` samples long.
"""

import jax
import jax.numpy as jnp


def draw_blocks(
    key: jax.Array, batch_size: int, *, num_tokens: int, block: int, probability: float
) -> jax.Array:
    """Tokens that are hidden, bool [B, n]: blocks of some, each of them with a probability.

    Args:
        key: to draw with, for each example by itself.
        batch_size: B.
        num_tokens: n.
        block: tokens of a block; the last one may be shorter.
        probability: that a block is hidden.
    """
    blocks = jax.random.bernoulli(key, probability, (batch_size, -(-num_tokens // block)))
    return jnp.repeat(blocks, block, axis=1)[:, :num_tokens]


def fill_with_noise(
    key: jax.Array, audio: jax.Array, masked: jax.Array, *, hop: int, std: float
) -> jax.Array:
    """The waveform with white noise where tokens are hidden, [B, T] -> [B, T].

    Args:
        key: of the noise.
        audio: float [B, T], T at least n * hop; what is beyond that stays.
        masked: bool [B, n].
        hop: samples of a token.
        std: standard deviation of the noise.
    """
    hidden = jnp.repeat(masked, hop, axis=1)
    hidden = jnp.pad(hidden, ((0, 0), (0, audio.shape[1] - hidden.shape[1])))
    noise = std * jax.random.normal(key, audio.shape, audio.dtype)
    return jnp.where(hidden, noise, audio)
