"""Contrastive losses: which vectors belong together, among all of the batch; arrays in, [N] out.

Legend: N clips, V views of each, D dimensions. All of it is in the global view: with rows split
over devices, every row still meets every other.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

# Similarities are divided by small temperatures, and accelerators may round products.
_PRECISION = jax.lax.Precision.HIGHEST


class Contrast(NamedTuple):
    """What a comparison says of each anchor, all [N] or [N, V].

    Attributes:
        loss: in nats.
        correct: 1 where a positive is more similar than all negatives, else 0; no gradient.
    """

    loss: jax.Array
    correct: jax.Array


def nt_xent(
    a: jax.Array,
    b: jax.Array,
    *,
    temperature: float = 0.5,
    valid: jax.Array | None = None,
    same: jax.Array | None = None,
    block_size: int | None = None,
) -> jax.Array:
    """The loss of SimCLR and CLMR (Chen et al. 2020, equation 1), two views of N clips.

    -log of the softmax, over all other vectors of the batch, that the cosine similarity divided
    by the temperature gives to the other view of the anchor. ln(2N - 1) if all are alike.

    Args:
        a, b: [N, D], of any length; zero vectors have similarity 0 to all and no gradient.
        temperature: tau.
        valid: [N], 0 for rows that are neither anchors nor negatives; all are when not given.
        same: int [N]; clips with the same number are no negatives of each other.
        block_size: columns of the similarity matrix to be held at once; whole when not given.
            Memory then grows with N times this instead of N squared, and the backward pass
            computes the similarities again.

    Returns:
        [2N], anchors of a, then of b; 0 where not valid.

    >>> nt_xent(jnp.ones((2, 4)), jnp.ones((2, 4))).round(1)  # ln 3: all are alike
    Array([1.1, 1.1, 1.1, 1.1], dtype=float32)
    """
    _check_shapes(a, b)
    views = jnp.stack([a, b], axis=1)
    contrast = contrast_views(
        views, temperature=temperature, valid=valid, same=same, block_size=block_size
    )
    return contrast.loss.T.reshape(-1)


def contrast_views(
    views: jax.Array,
    *,
    temperature: float = 0.5,
    valid: jax.Array | None = None,
    same: jax.Array | None = None,
    block_size: int | None = None,
) -> Contrast:
    """`nt_xent` for any number of views, [N, V, D] -> [N, V].

    The loss of an anchor is the mean over its V - 1 positives, each against all other vectors
    (Khosla et al. 2020, equation 2, L_out).
    """
    num_views = views.shape[1]
    if num_views < 2:
        raise ValueError(f"views has {num_views} views of each clip; it must have at least 2")
    z = unit(views)
    among = jnp.einsum("nvd,nwd->nvw", z, z, precision=_PRECISION) / temperature
    itself = jnp.eye(num_views, dtype=bool)
    positive = jnp.where(itself, 0, among).sum(axis=-1) / (num_views - 1)
    nearest = jnp.where(itself, -jnp.inf, among).max(axis=-1)
    return _contrast(
        z / temperature,
        z,
        positive=positive,
        nearest=nearest,
        anchor_view=jnp.arange(num_views),
        valid=valid,
        same=same,
        block_size=block_size,
    )


def contrast_bilinear(
    a: jax.Array,
    b: jax.Array,
    kernel: jax.Array,
    *,
    temperature: float = 1.0,
    valid: jax.Array | None = None,
    same: jax.Array | None = None,
    block_size: int | None = None,
) -> Contrast:
    """COLA's loss (Saeed et al. 2021): which row of b is the other crop of each row of a.

    The similarity is a^T W b, without normalisation and in this direction alone; published
    without a temperature.

    Args:
        a, b: [N, D].
        kernel: W, [D, D].
        temperature, valid, same, block_size: as in `nt_xent`.

    Returns:
        `Contrast` of [N].
    """
    _check_shapes(a, b)
    a, b = _at_least_float32(a), _at_least_float32(b)
    anchors = jnp.matmul(a, kernel, precision=_PRECISION)[:, None] / temperature
    positive = (anchors * b[:, None]).sum(axis=-1)
    contrast = _contrast(
        anchors,
        b[:, None],
        positive=positive,
        nearest=positive,
        anchor_view=jnp.full(1, -1),  # no row of b is the anchor itself
        valid=valid,
        same=same,
        block_size=block_size,
    )
    return Contrast(contrast.loss[:, 0], contrast.correct[:, 0])


def contrast_pairs(
    a: jax.Array,
    b: jax.Array,
    *,
    scale: jax.Array | float,
    valid: jax.Array | None = None,
    same: jax.Array | None = None,
) -> tuple[Contrast, Contrast]:
    """Symmetric InfoNCE of pairs (CLIP, Radford et al. 2021, figure 3; MuLan, equation 1).

    Row n of a belongs to row n of b: once a looks for its partner among all of b, once b among all
    of a.

    Args:
        a, b: [N, D], of any length, such as of songs and of their words.
        scale: of the cosine similarities, 1 / temperature; may be learnt.
        valid, same: as in `nt_xent`: rows of the same number, whose words are equal, are no
            negatives of each other.

    Returns:
        The two, of [N]; their mean is the loss of a pair.
    """
    _check_shapes(a, b)
    a, b = unit(a), unit(b)
    positive = (a * b).sum(axis=-1, keepdims=True) * scale

    def among(anchors, others):
        contrast = _contrast(
            anchors[:, None] * scale,
            others[:, None],
            positive=positive,
            nearest=positive,
            anchor_view=jnp.full(1, -1),  # no row of the other side is the anchor itself
            valid=valid,
            same=same,
            block_size=None,
        )
        return jax.tree.map(lambda x: x[:, 0], contrast)

    return among(a, b), among(b, a)


def info_nce(
    query: jax.Array, positive: jax.Array, negatives: jax.Array, *, temperature: float = 0.07
) -> jax.Array:
    """The loss of MoCo (He et al. 2020, equation 1): one positive against given negatives.

    Args:
        query, positive: [N, D], of any length.
        negatives: [K, D], the same for all queries.
        temperature: of the cosine similarities.

    Returns:
        [N], in nats; ln(K + 1) if all are alike.

    >>> info_nce(jnp.ones((1, 4)), jnp.ones((1, 4)), jnp.ones((3, 4))).round(3)
    Array([1.386], dtype=float32)
    """
    return contrast_negatives(query, positive, negatives, temperature=temperature).loss


def contrast_negatives(
    query: jax.Array,
    positive: jax.Array,
    negatives: jax.Array,
    *,
    temperature: float = 0.07,
    weights: jax.Array | None = None,
) -> Contrast:
    """`info_nce`, and which queries are nearest to their positive.

    `weights` [K] or [N, K] say how many negatives each one stands for; 1 when not given, and 0 for
    none.
    """
    _check_shapes(query, positive)
    query, positive, negatives = unit(query), unit(positive), unit(negatives)
    own = (query * positive).sum(axis=-1) / temperature
    others = jnp.matmul(query, negatives.T, precision=_PRECISION) / temperature
    if weights is None:
        total, hardest = jax.nn.logsumexp(others, axis=-1), others.max(axis=-1)
    else:
        # A finite number for none at all, whose logarithm would be one of 0.
        others = jnp.where(weights > 0, others, jnp.finfo(others.dtype).min)
        log_weights = jnp.log(jnp.where(weights > 0, weights, 1))
        total, hardest = jax.nn.logsumexp(others + log_weights, axis=-1), others.max(axis=-1)
    return Contrast(jnp.logaddexp(own, total) - own, _exceeds(own, hardest))


def byol_regression(prediction: jax.Array, target: jax.Array) -> jax.Array:
    """Squared distance of unit vectors, 2 - 2 cos, [..., D] and [..., D] -> [...].

    Grill et al. 2020, equation 2. The gradient flows into both; stopping it in the target is up
    to the caller.

    >>> byol_regression(jnp.array([0.0, 3.0]), jnp.array([1.0, 0.0]))
    Array(2., dtype=float32)
    """
    return 2 - 2 * (unit(prediction) * unit(target)).sum(axis=-1)


def unit(x: jax.Array) -> jax.Array:
    """Vectors [..., D] at length 1, in float32 or better; a zero vector stays one.

    No gradient flows into vectors shorter than 1e-12, which have no direction: that of
    x / max(|x|, eps) would be 1 / eps.
    """
    x = _at_least_float32(x)
    square = jnp.square(x).sum(axis=-1, keepdims=True)
    has_direction = square > 1e-24
    # Also inside, because the gradient of what is left out afterwards is 0 * inf.
    return jnp.where(has_direction, x * jax.lax.rsqrt(jnp.where(has_direction, square, 1)), 0)


def _contrast(
    anchors: jax.Array,
    others: jax.Array,
    *,
    positive: jax.Array,
    nearest: jax.Array,
    anchor_view: jax.Array,
    valid: jax.Array | None,
    same: jax.Array | None,
    block_size: int | None,
) -> Contrast:
    """Cross-entropy of `positive` among the products of anchors [N, A, D] and others [N, V, D].

    The view of an anchor, [A], says which of the others it is itself and is not compared with.
    """
    num_clips, num_views, size = others.shape
    clip = jnp.arange(num_clips)
    valid = jnp.ones(num_clips, bool) if valid is None else valid > 0
    same = clip if same is None else same
    # Clips come before views, so that the rows of a split batch stay where they are.
    columns = {
        "vector": others.reshape(-1, size),
        "clip": jnp.repeat(clip, num_views),
        "view": jnp.tile(jnp.arange(num_views), num_clips),
        "valid": jnp.repeat(valid, num_views),
        "same": jnp.repeat(same, num_views),
    }

    def compare(block: dict[str, jax.Array]) -> tuple[jax.Array, jax.Array]:
        """Log of the sum, and the largest of the negatives, [N, A] each, over some columns."""
        products = jnp.einsum("nad,kd->nak", anchors, block["vector"], precision=_PRECISION)
        lowest = jnp.finfo(products.dtype).min
        negative = (block["valid"] & (block["same"] != same[:, None]))[:, None]
        partner = (block["clip"] == clip[:, None])[:, None]
        partner &= block["view"] != anchor_view[:, None]
        total = jax.nn.logsumexp(jnp.where(negative | partner, products, lowest), axis=-1)
        hardest = jnp.where(negative, jax.lax.stop_gradient(products), lowest).max(axis=-1)
        return total, hardest

    num_columns = num_clips * num_views
    if not block_size or block_size >= num_columns:
        total, hardest = compare(columns)
    else:
        total, hardest = _over_blocks(compare, columns, block_size, like=positive)
    loss = jnp.where(valid[:, None], total - positive, 0)
    return Contrast(loss, _exceeds(nearest, hardest) * valid[:, None])


def _over_blocks(compare: Any, columns: dict[str, jax.Array], block_size: int, *, like: jax.Array):
    """`compare` a block at a time, its sums joined in log space; nothing of it is kept."""
    rest = -len(columns["valid"]) % block_size
    # -1 is the number of no clip, and False is not valid: what is filled in counts nowhere.
    fill = {"vector": 0, "clip": -1, "view": -1, "valid": False, "same": -1}

    def blocks_of(name, rows):
        rows = jnp.pad(rows, [(0, rest)] + [(0, 0)] * (rows.ndim - 1), constant_values=fill[name])
        return rows.reshape(-1, block_size, *rows.shape[1:])

    def join(so_far, block):
        total, hardest = compare(block)
        return (jnp.logaddexp(so_far[0], total), jnp.maximum(so_far[1], hardest)), None

    lowest = jnp.full_like(jax.lax.stop_gradient(like), jnp.finfo(like.dtype).min)
    blocks = {name: blocks_of(name, rows) for name, rows in columns.items()}
    # A loop cannot be merged with its backward pass, which `prevent_cse` would have to prevent.
    return jax.lax.scan(jax.checkpoint(join, prevent_cse=False), (lowest, lowest), blocks)[0]


def _exceeds(positive: jax.Array, negative: jax.Array) -> jax.Array:
    return jax.lax.stop_gradient(positive > negative).astype(positive.dtype)


def _at_least_float32(x: jax.Array) -> jax.Array:
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def _check_shapes(a: jax.Array, b: jax.Array) -> None:
    if a.ndim != 2 or a.shape != b.shape:
        raise ValueError(f"shapes {a.shape} and {b.shape}; both must be the same [N, D]")
