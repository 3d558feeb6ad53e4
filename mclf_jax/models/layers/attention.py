"""Scaled dot-product attention, written out or by XLA's fused kernel, and rotary positions."""

import jax
import jax.numpy as jnp

from mclf_jax.common import checks

ATTENTIONS = ("plain", "dot_product_attention")


def attention(query, key, value, *, implementation: str, dropout=None):
    """softmax(q k^T / sqrt(D)) v (Vaswani et al. 2017).

    Args:
        query, key, value: [B, L, H, D] each, L positions of H heads.
        implementation: "plain", or "dot_product_attention" for `jax.nn.dot_product_attention`,
            which never holds the L x L weights of all heads at once on accelerators that have
            a kernel for it.
        dropout: applied to the weights [B, H, L, L]; "plain" only.

    Returns:
        [B, L, H * D].

    Raises:
        ValueError: an unknown implementation, or dropout where it cannot be had.
    """
    checks.choice("model.args.attention", implementation, ATTENTIONS)
    if implementation == "dot_product_attention":
        if dropout is not None:
            raise ValueError(
                "model.args.attention='dot_product_attention' has no dropout on its weights; set "
                "model.args.attention_dropout_rate=0 or model.args.attention='plain'"
            )
        y = jax.nn.dot_product_attention(query, key, value)
    else:
        scores = jnp.einsum("bqhd,bkhd->bhqk", query, key) * query.shape[-1] ** -0.5
        # In bfloat16 the sum over positions would lose what small weights add.
        precise = scores.astype(jnp.promote_types(scores.dtype, jnp.float32))
        weights = jax.nn.softmax(precise, axis=-1).astype(value.dtype)
        if dropout is not None:
            weights = dropout(weights)
        y = jnp.einsum("bhqk,bkhd->bqhd", weights, value)
    return y.reshape(*y.shape[:2], -1)


def rotate(x, angles):
    """Queries or keys turned by their place, so that products tell distances (Su et al. 2021).

    Number i and number i + D/2 of a head are one point, turned by angle i.

    Args:
        x: [B, L, H, D].
        angles: [B or 1, L, D/2], in radians.
    """
    angles = angles[:, :, None]
    sine, cosine = jnp.sin(angles).astype(x.dtype), jnp.cos(angles).astype(x.dtype)
    first, second = jnp.split(x, 2, axis=-1)
    return jnp.concatenate(
        [first * cosine - second * sine, first * sine + second * cosine], axis=-1
    )


def check_heads(width: int, num_heads: int) -> None:
    """Raise a ValueError unless heads divide the width of attention layers."""
    if width % num_heads:
        raise ValueError(
            f"attention layers are {width} wide, which is no multiple of model.args.num_heads, "
            f"{num_heads}"
        )
