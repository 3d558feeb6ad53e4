"""PASE's yes-or-no questions: pairs of latents that belong together, and pairs that do not.

Each function returns (positive, negative) of the same shape [B, ..., N]: LIM and GIM ask whether
two are of the same song, SPC whether the second is later than the first.
"""

import jax
import jax.numpy as jnp


def other_rows(key: jax.Array, *, valid: jax.Array, index: jax.Array) -> jax.Array:
    """For each row a random valid row of another song, int [B]; itself if there is none.

    Args:
        key: to draw with.
        valid: [B], 1 or 0.
        index: int [B], of songs; a batch over the end of an epoch can have one twice.
    """
    allowed = (valid > 0) & (index != index[:, None])
    drawn = jnp.where(allowed, jax.random.uniform(key, allowed.shape), -1).argmax(axis=1)
    return jnp.where(allowed.any(axis=1), drawn, jnp.arange(len(valid)))


def local_pairs(
    key: jax.Array, latents: jax.Array, other: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """LIM: every latent with one of the same song, and with one of another song: [B, S, 2D].

    Args:
        key: to draw with.
        latents: [B, V, S, D]. Partners come from the second window of a song if there is one,
            else from the first one, turned in time by a random number of steps.
        other: [B], rows of other songs.
    """
    anchor, partner = latents[:, 0], latents[:, -1]
    if latents.shape[1] == 1:
        steps = anchor.shape[1]
        shift = jax.random.randint(key, (len(anchor), 1), 1, max(steps, 2))
        turned = (jnp.arange(steps) + shift) % steps
        partner = jnp.take_along_axis(anchor, turned[..., None], axis=1)
    return _pairs(anchor, partner, partner[other])


def global_pairs(latents: jax.Array, other: jax.Array) -> tuple[jax.Array, jax.Array]:
    """GIM: the mean of a window with that of another one of the same or another song: [B, 2D].

    Args:
        latents: [B, V, S, D]. The other window is the second one if there is one; else the two
            halves of the first one are windows.
        other: [B], rows of other songs.
    """
    if latents.shape[1] == 1:
        half = latents.shape[2] // 2
        anchor, partner = latents[:, 0, :half], latents[:, 0, half:]
    else:
        anchor, partner = latents[:, 0], latents[:, 1]
    anchor, partner = anchor.mean(axis=1), partner.mean(axis=1)
    return _pairs(anchor, partner, partner[other])


def sequence_pairs(
    key: jax.Array, latents: jax.Array, *, num_frames: int, gap: int
) -> tuple[jax.Array, jax.Array]:
    """SPC: a latent with some consecutive ones of its future, and of its past: [B, (n + 1) D].

    Args:
        key: to draw with, for every row.
        latents: [B, S, D], S at least `sequence_length`.
        num_frames: n, how many consecutive ones.
        gap: how far they are at least.
    """
    batch, steps, _ = latents.shape
    now_key, future_key, past_key = jax.random.split(key, 3)
    now = jax.random.randint(now_key, (batch,), gap + num_frames - 1, steps - gap - num_frames + 1)
    future = jax.random.randint(future_key, (batch,), now + gap, steps - num_frames + 1)
    past = jax.random.randint(past_key, (batch,), 0, now - gap - num_frames + 2)

    def taken(start, count):
        places = start[:, None] + jnp.arange(count)
        found = jnp.take_along_axis(latents, places[..., None], axis=1)
        return found.reshape(batch, -1)

    return _pairs(taken(now, 1), taken(future, num_frames), taken(past, num_frames))


def sequence_length(*, num_frames: int, gap: int) -> int:
    """The least number of latents that `sequence_pairs` can draw from."""
    return 2 * (num_frames + gap) - 1


def _pairs(anchor, positive, negative):
    positive = jnp.concatenate([anchor, positive], axis=-1)
    return positive, jnp.concatenate([anchor, negative], axis=-1)
