"""Losses against labels: single-label, multi-label, numbers and directions."""

import jax
import jax.numpy as jnp


def softmax_cross_entropy(
    logits: jax.Array, labels: jax.Array, *, label_smoothing: float = 0.0
) -> jax.Array:
    """Single-label cross-entropy: -sum_k y_k log softmax(logits)_k.

    Args:
        logits: [B, K].
        labels: int [B], or float [B, K] distributions.
        label_smoothing: weight of the uniform distribution in the targets (Szegedy et al. 2016).

    Returns:
        [B], in nats.

    >>> softmax_cross_entropy(jnp.log(jnp.array([[0.5, 0.25, 0.25]])), jnp.array([0])).round(3)
    Array([0.693], dtype=float32)
    """
    import optax  # which takes long to import, and is needed in training alone

    if jnp.issubdtype(labels.dtype, jnp.integer):
        labels = jax.nn.one_hot(labels, logits.shape[-1], dtype=logits.dtype)
    return optax.softmax_cross_entropy(logits, optax.smooth_labels(labels, label_smoothing))


def sigmoid_cross_entropy(
    logits: jax.Array, labels: jax.Array, *, pos_weight: jax.Array | float = 1.0
) -> jax.Array:
    """Multi-label cross-entropy, binary for each label, the mean over the observed labels.

    -(w y log sigmoid(logit) + (1 - y) log(1 - sigmoid(logit))) of each, w its `pos_weight`.

    Args:
        logits: [B, K].
        labels: float [B, K] in [0, 1], NaN where not observed.
        pos_weight: [K] or a number; what a positive counts against a negative
            (`pos_weight` of PyTorch's BCEWithLogitsLoss).

    Returns:
        [B], in nats.

    >>> sigmoid_cross_entropy(jnp.array([[0.0, 9.0]]), jnp.array([[1.0, jnp.nan]])).round(3)
    Array([0.693], dtype=float32)
    """
    observed = ~jnp.isnan(labels)
    logits, labels = jnp.where(observed, logits, 0), jnp.where(observed, labels, 0)
    positive = labels * jax.nn.log_sigmoid(logits)
    negative = (1 - labels) * jax.nn.log_sigmoid(-logits)
    return -_mean(pos_weight * positive + negative, observed)


def skeptical_cross_entropy(
    logits: jax.Array,
    labels: jax.Array,
    teacher_probabilities: jax.Array,
    *,
    threshold: float,
    pos_weight: jax.Array | float = 1.0,
) -> jax.Array:
    """`sigmoid_cross_entropy` that does not believe that a tag is absent if a teacher hears it.

    People tag what strikes them and leave out the rest, so a 0 often means that nobody said so.
    Where the label is 0 and the teacher's probability at least `threshold`, it is treated as not
    observed. The code published with the music tagging transformer (Won et al. 2021) calls a
    function of such a name and does not define it; this is what we mean by it.

    Args:
        logits: [B, K].
        labels: float [B, K] in [0, 1], NaN where not observed.
        teacher_probabilities: [B, K].
        threshold: above 1 it is `sigmoid_cross_entropy`.
        pos_weight: [K] or a number.

    Returns:
        [B], in nats.

    >>> logits, labels, heard = jnp.array([[0.0, 9.0]]), jnp.zeros((1, 2)), jnp.array([[0.1, 0.9]])
    >>> skeptical_cross_entropy(logits, labels, heard, threshold=0.5).round(3)
    Array([0.693], dtype=float32)
    """
    doubted = (labels == 0) & (teacher_probabilities >= threshold)
    labels = jnp.where(doubted, jnp.nan, labels)
    return sigmoid_cross_entropy(logits, labels, pos_weight=pos_weight)


def squared_error(predictions: jax.Array, targets: jax.Array) -> jax.Array:
    """Mean squared error over the observed outputs, [B, K] and [B, K] -> [B].

    `targets` are NaN where not observed.

    >>> squared_error(jnp.array([[1.0, 5.0]]), jnp.array([[3.0, jnp.nan]]))
    Array([4.], dtype=float32)
    """
    observed = ~jnp.isnan(targets)
    # Before the arithmetic and not after it: the gradient of what is left out afterwards is
    # 0 * NaN, which is NaN.
    predictions, targets = jnp.where(observed, predictions, 0), jnp.where(observed, targets, 0)
    return _mean(jnp.square(predictions - targets), observed)


def cosine_distance(predictions: jax.Array, targets: jax.Array) -> jax.Array:
    """One minus the cosine of the angle between vectors, [B, K] and [B, K] -> [B].

    0 for the same direction, 1 for a right angle, 2 for the opposite; lengths do not matter. A
    vector of zeros has no direction and is at a right angle to all others.

    Args:
        predictions: [B, K].
        targets: [B, K], NaN where not observed; those dimensions are left out, and a row that
            has no other is at distance 0.

    >>> cosine_distance(jnp.array([[0.0, 2.0]]), jnp.array([[3.0, 0.0]]))
    Array([1.], dtype=float32)
    """
    import optax  # which takes long to import, and is needed in training alone

    observed = ~jnp.isnan(targets)
    # Before the arithmetic, as in `squared_error`: 0 * NaN is NaN in a gradient.
    predictions, targets = jnp.where(observed, predictions, 0), jnp.where(observed, targets, 0)
    distance = optax.cosine_distance(predictions, targets, epsilon=1e-12)
    return jnp.where(observed.any(axis=-1), distance, 0)


def _mean(values: jax.Array, observed: jax.Array) -> jax.Array:
    """Mean [B] of the observed values of [B, K], 0 where there is none."""
    count = jnp.maximum(observed.sum(axis=-1), 1).astype(values.dtype)
    # The factor is exactly 1 where all are observed: the same bits as of a plain mean.
    return jnp.where(observed, values, 0).mean(axis=-1) * (values.shape[-1] / count)
