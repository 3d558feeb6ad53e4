"""Weights of AST as its authors and as Hugging Face name them, under the keys of our network."""

import re
from collections.abc import Mapping

import numpy as np

# Hugging Face's modules below "audio_spectrogram_transformer." and ours, whose names are timm's.
_LAYER = "encoder.layer.{}."
_MODULES = {
    "embeddings.patch_embeddings.projection": "patch_embed.proj",
    f"{_LAYER}layernorm_before": "blocks.{}.norm1",
    f"{_LAYER}attention.output.dense": "blocks.{}.attn.proj",
    f"{_LAYER}layernorm_after": "blocks.{}.norm2",
    f"{_LAYER}intermediate.dense": "blocks.{}.mlp.fc1",
    f"{_LAYER}output.dense": "blocks.{}.mlp.fc2",
    "layernorm": "norm",
}
_TOKENS = {
    "embeddings.cls_token": "cls_token",
    "embeddings.distillation_token": "dist_token",
    "embeddings.position_embeddings": "pos_embed",
}
_QKV = tuple(f"{_LAYER}attention.attention.{part}" for part in ("query", "key", "value"))
_LEAVES = ("weight", "bias")
# Before the first layer, at the end: of the authors, of Hugging Face.
_HEADS = {
    r"(.*\.)?mlp_head\.0": "head_norm",
    r"(.*\.)?mlp_head\.1": "head",
    r"classifier\.layernorm": "head_norm",
    r"classifier\.dense": "head",
}
# Of the DeiT that the authors began with; nothing calls them.
_OF_DEIT = re.compile(r"head(_dist)?\.(weight|bias)")
KEYS = frozenset(_TOKENS) | {
    f"{module.format(i)}.{leaf}"
    for module in (*_MODULES, *_QKV)
    for i in range(12)
    for leaf in _LEAVES
}
"""Hugging Face's, of the published depth, by which a file of theirs is known."""


def with_own_keys(
    arrays: Mapping[str, np.ndarray], *, prefix: str
) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """(the weights of AST under the keys of "vit", what is left out), other weights as they are.

    The positions of both class tokens are added to these, as the network does at every step.

    Args:
        arrays: without the prefix of the network.
        prefix: that was before their names; the authors' network has "v.".
    """
    is_authors = prefix == "v." or prefix.endswith(".v.")
    if not is_authors and "embeddings.distillation_token" not in arrays:
        return dict(arrays), ()
    renamed = {_own_key(key): array for key, array in arrays.items() if not _OF_DEIT.fullmatch(key)}
    for i in range(len(renamed)):
        for leaf in _LEAVES:
            parts = [f"{part.format(i)}.{leaf}" for part in _QKV]
            if all(part in renamed for part in parts):
                joined = np.concatenate([renamed.pop(part) for part in parts])
                renamed[f"blocks.{i}.attn.qkv.{leaf}"] = joined
    tokens, table = [renamed.get(name) for name in ("cls_token", "dist_token")], "pos_embed"
    if table in renamed and all(token is not None for token in tokens):
        places = renamed[table]
        for i, name in enumerate(("cls_token", "dist_token")):
            renamed[name] = renamed[name] + places[:, i : i + 1]
        renamed[table] = places[:, 2:]
    left_out = sorted({key.partition(".")[0] for key in arrays if _OF_DEIT.fullmatch(key)})
    return renamed, tuple(f"{name}.* (which AST does not use)" for name in left_out)


def _own_key(key: str) -> str:
    if key in _TOKENS:
        return _TOKENS[key]
    module, _, leaf = key.rpartition(".")
    for pattern, name in _HEADS.items():
        if re.fullmatch(pattern, module):
            return f"{name}.{leaf}"
    number = re.search(r"\d+", module)
    general = re.sub(r"\d+", "{}", module, count=1)
    if general not in _MODULES:
        return key
    return f"{_MODULES[general].format(number and number.group())}.{leaf}"
