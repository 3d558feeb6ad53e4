"""What the shapes of published weights tell about the network: its widths and its depth."""

import itertools
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

# Argument of the module -> where it is seen: (key, axis), a list of these for a tuple, a key with
# {} for a tuple of as many as there are, or a pattern whose matches are counted.
_EVIDENCE: dict[str, dict[str, Any]] = {
    "clmr_sample_cnn": {
        "n_channels": ("sequential.0.0.weight", 0),
        "strides": [(f"sequential.{i}.0.weight", 2) for i in range(1, 10)],
    },
    "cnnsa": {
        "n_channels": ("layer1.conv_1.weight", 0),
        "num_layers": r"encoder\.layer\.\d+\.output\.dense\.weight",
    },
    "cpc": {
        "n_channels": ("encoder.seq.layer-0.0.weight", 0),
        "kernel_sizes": ("encoder.seq.layer-{}.0.weight", 2),
        "context_dim": ("autoregressor.autoregressor.weight_hh_l0", 1),
        "num_codes": ("codebook.embedding", 0),
        "code_dim": ("codebook.embedding", 1),
    },
    "crnn": {
        "n_channels": ("layer1.conv.weight", 0),
        "hidden_size": ("layer5.weight_hh_l0", 1),
        "num_layers": r"layer5\.weight_hh_l\d+",
    },
    "fcn": {"n_channels": ("layer1.conv.weight", 0)},
    "harmonic_cnn": {
        "n_channels": ("layer1.conv.weight", 0),
        "num_harmonics": ("layer1.conv.weight", 1),
    },
    "mobilenet": {"hidden_size": ("classifier.2.weight", 0)},
    "musicfm": {
        "conv_channels": ("conv.conv.0.conv1.weight", 0),
        "attention_dim": ("conv.linear.weight", 0),
        "num_layers": r"conformer\.layers\.\d+\.final_layer_norm\.weight",
        "kernel_size": ("conformer.layers.0.conv_module.depthwise_conv.weight", 2),
    },
    "music_tagging_transformer": {
        "conv_channels": ("frontend.layer1.conv_1.weight", 0),
        "attention_dim": ("cls_token", 0),
        "num_layers": r"transformer\.layers\.\d+\.0\.fn\.norm\.weight",
    },
    "musicnn": {
        "n_channels": ("layers.2.conv.weight", 0),
        "backend_channels": ("layer1.conv.weight", 0),
        "dense_units": ("dense1.weight", 0),
        "heights": [("layers.0.conv.weight", 2), ("layers.1.conv.weight", 2)],
    },
    "pase": {
        "n_channels": ("blocks.0.conv.low_hz_", 0),
        "embedding_dim": ("W.weight", 0),
    },
    "rvq": {
        "num_stages": r"quantizer\.stages\.\d+\.codes",
        "num_codes": ("quantizer.stages.0.codes", 0),
        "code_dim": ("quantizer.stages.0.codes", 1),
    },
    "sample_cnn": {"n_channels": ("layer1.conv.weight", 0)},
    "sample_cnn_se": {"n_channels": ("layer1.conv_1.weight", 0)},
    "short_chunk_cnn": {
        "n_channels": ("layer1.conv.weight", 0),
        "num_blocks": r"layer\d+\.conv\.weight",
    },
    "short_chunk_resnet": {
        "n_channels": ("layer1.conv_1.weight", 0),
        "num_blocks": r"layer\d+\.conv_1\.weight",
    },
    "tutorial_cnn": {"n_channels": ("layer1.conv.weight", 0)},
    "vgg_ish": {"n_channels": ("layer1.conv.weight", 0)},
    "vit": {
        "patch": [("patch_embed.proj.weight", 3), ("patch_embed.proj.weight", 2)],
        "attention_dim": ("patch_embed.proj.weight", 0),
        "num_layers": r"blocks\.\d+\.norm1\.weight",
    },
    "wav2vec": {
        "n_channels": ("feature_extractor.conv_layers.0.0.weight", 0),
        "kernel_sizes": ("feature_extractor.conv_layers.{}.0.weight", 2),
        "context_kernel_sizes": ("feature_aggregator.conv_layers.{}.1.weight", 2),
    },
}


def sizes_of(name: str, arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Arguments of the module `name` as far as its weights show them.

    Numbers of attention heads do not show, nor do strides and the sizes of poolings.

    Args:
        name: one of `models.ARCHITECTURES`.
        arrays: under the network's own keys, see `keys`.
    """
    found = {}
    for argument, evidence in _EVIDENCE.get(name, {}).items():
        if isinstance(evidence, str):
            found[argument] = sum(bool(re.fullmatch(evidence, key)) for key in arrays)
        elif isinstance(evidence, list):
            sizes = [_size(arrays, *where) for where in evidence]
            found[argument] = None if None in sizes else tuple(sizes)
        elif "{}" in evidence[0]:
            found[argument] = _sizes(arrays, *evidence)
        else:
            found[argument] = _size(arrays, *evidence)
    return {argument: value for argument, value in found.items() if value}


def _sizes(arrays: Mapping[str, np.ndarray], pattern: str, axis: int) -> tuple[int, ...]:
    sizes = (_size(arrays, pattern.format(i), axis) for i in itertools.count())
    return tuple(itertools.takewhile(lambda size: size is not None, sizes))


def _size(arrays: Mapping[str, np.ndarray], key: str, axis: int) -> int | None:
    shape = arrays[key].shape if key in arrays else ()
    return shape[axis] if axis < len(shape) else None
