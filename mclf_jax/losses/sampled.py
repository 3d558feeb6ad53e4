"""Single-label cross-entropy with very many labels, from a few of them."""

import jax
import jax.numpy as jnp
import numpy as np


def sampled_softmax_cross_entropy(
    embedding: jax.Array,
    labels: jax.Array,
    *,
    kernel: jax.Array,
    bias: jax.Array,
    key: jax.Array,
    num_sampled: int,
) -> jax.Array:
    """Single-label cross-entropy with very many labels, from the logits of a few of them.

    The classes are cut into S even parts and one is drawn from each, the same for the whole batch.
    The sum in the softmax is that of the true class, as it is, and of the drawn ones, each
    multiplied by the size of its part, which is one over the chance that it is drawn: the logit
    minus log Q of Bengio and Senecal (2008) and of Jean, Cho, Memisevic and Bengio (2015, "On
    Using Very Large Target Vocabulary for Neural Machine Translation"). That sum is unbiased, its
    logarithm too low on average and the less so the more are drawn, and with S = K it is exactly
    the softmax over all. A drawn class that is a row's own is not counted twice.

    Draws are uniform and not by frequency: artists have about as many songs as one another,
    where words differ by orders of magnitude. One from each part costs no sorting of K numbers,
    cannot draw a class twice, and varies less than free draws.

    Args:
        embedding: [B, D], the input of the last layer.
        labels: int [B].
        kernel: [D, K], of the last layer.
        bias: [K].
        key: of the draws.
        num_sampled: S, from 1 to K.

    Returns:
        [B], in nats.

    Raises:
        ValueError: `num_sampled` is out of range.

    >>> last = {"kernel": jnp.zeros((4, 8)), "bias": jnp.zeros(8), "key": jax.random.key(0)}
    >>> sampled_softmax_cross_entropy(jnp.ones((1, 4)), jnp.array([3]), **last, num_sampled=8)
    Array([2.0794415], dtype=float32)
    """
    num_classes = kernel.shape[-1]
    if not 1 <= num_sampled <= num_classes:
        raise ValueError(f"num_sampled must be from 1 to {num_classes}, got {num_sampled}")
    # On the host, where S * K fits into an integer.
    bounds = np.arange(num_sampled + 1, dtype=np.int64) * num_classes // num_sampled
    low, high = bounds[:-1].astype(np.int32), bounds[1:].astype(np.int32)
    drawn = jax.random.randint(key, (num_sampled,), low, high)
    log_size = jnp.log(jnp.asarray(high - low, embedding.dtype))

    true = (embedding * kernel[:, labels].T).sum(axis=-1) + bias[labels]
    others = embedding @ kernel[:, drawn] + bias[drawn] + log_size
    others = jnp.where(drawn == labels[:, None], -jnp.inf, others)
    total = jax.nn.logsumexp(jnp.concatenate([true[:, None], others], axis=-1), axis=-1)
    return total - true
