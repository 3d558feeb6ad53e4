"""Back ends by name: each maps a sequence [B, F, D] to an embedding [B, E]."""

from mclf_jax.models.backs import (
    attention,
    conformer,
    convolutions,
    flatten,
    gru,
    pooling,
    transformer,
)

BACKS = {
    "pooling": pooling.Pooling,
    "flatten": flatten.Flatten,
    "convolutions": convolutions.Convolutions,
    "gru": gru.LastState,
    "attention": attention.FirstToken,
    "transformer": transformer.Transformer,
    "conformer": conformer.Conformer,
}
