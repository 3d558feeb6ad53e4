"""What goes wrong without labels: measures of embeddings that a loss alone does not show.

All are of unit vectors, and none has a gradient. N rows, D dimensions.
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp

from mclf_jax.losses.contrastive import unit

_PRECISION = jax.lax.Precision.HIGHEST
# What grows with the square or the cube of both N and D is computed from so many rows at most.
_MAX_ROWS = 256

# Below this, different clips have a cosine of .99 on average.
_ALIKE_STD = 0.1
# Below this, one direction says almost all.
_LINE_RANK = 2.0
# Below this, one code stands for more than nine moments in ten.
_FEW_CODES = 1.4


def diagnose(views: jax.Array, *, valid: jax.Array) -> dict[str, jax.Array]:
    """Metrics of a step, name -> [N].

    Args:
        views: embeddings that the loss compares, [N, V, D]; the first two are the aligned ones.
        valid: [N], 0 for rows that do not count.

    Returns:
        "alignment", "uniformity", "embedding_std" and "effective_rank"; the functions of these
        names say what they are. Of large batches, uniformity is that of 256 rows; where D is
        above 256, so is the rank.
    """
    z = unit(jax.lax.stop_gradient(views))
    num_clips, num_views, size = z.shape
    rows, weight = z.reshape(-1, size), jnp.repeat(valid, num_views)
    some = slice(None, None, -(-num_clips // _MAX_ROWS))
    ranked = slice(None, None, -(-len(rows) // _MAX_ROWS) if size > _MAX_ROWS else 1)
    of_batch = {
        "uniformity": uniformity(z[some, 0], valid=valid[some]),
        "embedding_std": embedding_std(rows, valid=weight),
        "effective_rank": effective_rank(rows[ranked], valid=weight[ranked]),
    }
    everywhere = {name: jnp.broadcast_to(value, num_clips) for name, value in of_batch.items()}
    return {"alignment": alignment(z[:, 0], z[:, 1]), **everywhere}


def diagnose_one(
    vectors: jax.Array,
    *,
    valid: jax.Array,
    measures: tuple[str, ...] = ("uniformity", "embedding_std", "effective_rank"),
) -> dict[str, jax.Array]:
    """Metrics of a step, name -> [N], where there is one vector of each song, [N, D].

    Args:
        vectors: of any length.
        valid: [N], 0 for rows that do not count.
        measures: names of functions below, but "alignment", which compares two.
    """
    z = unit(jax.lax.stop_gradient(vectors))
    of_batch = {name: globals()[name](z, valid=valid) for name in measures}
    return {name: jnp.broadcast_to(value, len(z)) for name, value in of_batch.items()}


def diagnose_some(vectors: jax.Array, *, valid: jax.Array) -> dict[str, jax.Array]:
    """`diagnose_one`; of large batches, of some of the songs, as its cost grows with their cube."""
    some = slice(None, None, -(-len(valid) // _MAX_ROWS))
    found = diagnose_one(vectors[some], valid=valid[some])
    return {name: jnp.broadcast_to(values[0], valid.shape) for name, values in found.items()}


def alignment(a: jax.Array, b: jax.Array) -> jax.Array:
    """Squared distance of two views, [N, D] and [N, D] -> [N]; 0 is perfect.

    Wang and Isola 2020 with alpha = 2; for unit vectors.
    """
    return jnp.square(a - b).sum(axis=-1)


def uniformity(z: jax.Array, *, valid: jax.Array) -> jax.Array:
    """Log of the mean Gaussian potential over pairs of different rows, [N, D] -> [].

    Wang and Isola 2020 with t = 2; for unit vectors. 0 if all are alike, about -4 spread evenly
    over a sphere of many dimensions.
    """
    square_distance = 2 - 2 * jnp.matmul(z, z.T, precision=_PRECISION)
    pairs = valid[:, None] * valid * (1 - jnp.eye(len(z)))
    mean = (jnp.exp(-2 * square_distance) * pairs).sum() / jnp.maximum(pairs.sum(), 1)
    return jnp.where(pairs.sum() > 0, jnp.log(jnp.maximum(mean, 1e-30)), 0)


def embedding_std(z: jax.Array, *, valid: jax.Array) -> jax.Array:
    """Standard deviation of each dimension, their mean times sqrt(D), [N, D] -> [].

    For unit vectors 1 if they are spread over all directions, 0 if they are all alike (Chen and He
    2021, section 4.1, who draw it without the factor).
    """
    weight = (valid / jnp.maximum(valid.sum(), 1))[:, None]
    variance = (jnp.square(z - (z * weight).sum(axis=0)) * weight).sum(axis=0)
    return jnp.sqrt(variance).mean() * jnp.sqrt(z.shape[-1])


def effective_rank(z: jax.Array, *, valid: jax.Array) -> jax.Array:
    """How many directions are in use: exp of the entropy of the singular values, [N, D] -> [].

    Roy and Vetterli 2007. From 1, all rows on one line, to min(N, D), all directions alike. The
    mean is not taken out, so that rows that are all the same have rank 1 and not that of their
    rounding.
    """
    rows = z * jnp.sqrt(valid)[:, None]
    # Singular values are roots of the eigenvalues of either product; the smaller one is cheap.
    product = rows.T @ rows if len(rows) >= rows.shape[1] else rows @ rows.T
    eigenvalues = jnp.linalg.eigvalsh(product)
    noise = len(product) * jnp.finfo(product.dtype).eps * eigenvalues[-1]
    values = jnp.sqrt(jnp.where(eigenvalues > noise, eigenvalues, 0))
    share = values / jnp.maximum(values.sum(), jnp.finfo(values.dtype).tiny)
    return jnp.exp(-jax.scipy.special.xlogy(share, share).sum())


def collapse_message(metrics: Mapping[str, float], *, advice: str = "") -> str | None:
    """What is wrong with a run and what to change, in words; None if it has not collapsed.

    Three thresholds. An `embedding_std` below 0.1: its square is at most 1 minus the mean cosine of
    two rows, so that different clips then have a cosine of 0.99 or more where dimensions vary
    alike. BYOL whose heads have no normalisation falls to 0.05 to 0.08 within 20 steps; what
    learns has 0.4 to 0.95. An `effective_rank` below 2: what is left is a line, along which clips
    can differ by sign and no more. A `code_perplexity` below 1.4: with nine moments in ten under
    one code and the others under another, it is 1.38.

    An untrained network in evaluation mode, whose running statistics are not of its data yet, may
    look like that too, so this is for metrics of training steps, or after some.

    Args:
        metrics: means over some steps, with the names of `diagnose`; without these names the
            answer is None.
        advice: what else may help, of the objective: `Traits.against_collapse`.
    """
    std, rank = metrics.get("embedding_std"), metrics.get("effective_rank")
    perplexity = metrics.get("code_perplexity")
    if std is not None and std < _ALIKE_STD:
        found = (
            f"all clips have nearly the same embedding (embedding_std {std:.3f}, where 1 is spread "
            f"out and below {_ALIKE_STD} collapsed)"
        )
    elif rank is not None and rank < _LINE_RANK:
        found = f"embeddings lie on one line (effective_rank {rank:.2f}, below {_LINE_RANK:g})"
    elif perplexity is not None and perplexity < _FEW_CODES:
        found = f"nearly all moments have the same code (code_perplexity {perplexity:.2f}, least 1)"
    else:
        return None
    general = "lower optim.learning_rate or warm it up (optim.warmup_steps)"
    advice = "; ".join(filter(None, (general, advice)))
    return f"the run has collapsed: {found}. What may help: {advice}."
