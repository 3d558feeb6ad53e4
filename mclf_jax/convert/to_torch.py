"""Weights out: Linen variables become a state_dict that the published PyTorch classes load."""

import warnings
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from mclf_jax.audio.features import (
    Features,
    LogMel,
    PowerSpectrogram,
    mel_filter_bank,
    window_function,
)
from mclf_jax.convert.keys import torch_key, turn
from mclf_jax.models import Model
from mclf_jax.models.layers.opinion import COLLECTION

# What the published classes call torchaudio's front end, which has its constants in checkpoints.
_FRONT_ENDS = {
    "tutorial_cnn": "melspec",
    "harmonic_cnn": "hstft.spec",
    "musicfm": "preprocessor_melspec_2048.melspec",
}
# Those that keep none of them, and those that were never in PyTorch.
_WITHOUT_CONSTANTS = ("vgg_ish", "mobilenet", "rvq", "combined")


def to_torch(model: Model, variables: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """A state_dict under the published keys, for `load_state_dict(..., strict=True)`.

    Args:
        model: of `models.build`.
        variables: of its module: {"params": ..., "batch_stats": ...}.

    Returns:
        key -> array: the weights in their own precision, the constants of the published front
        end in float32, and a `num_batches_tracked` of 0 for every batch norm. A second opinion
        (`models.layers.opinion`) is left out, with a warning.
    """
    arrays = {} if model.name in _WITHOUT_CONSTANTS else _constants(model.name, model.features)
    if COLLECTION in variables:
        warnings.warn(
            "the second opinion of the network is left out: the published classes have none, and "
            "say what the network says alone",
            stacklevel=2,
        )
    kept = {name: tree for name, tree in variables.items() if name != COLLECTION}
    for parts, leaf in jax.tree_util.tree_leaves_with_path(kept):
        path = tuple(part.key for part in parts)
        key = torch_key(path)
        arrays[key] = np.asarray(turn(path, np.asarray(leaf)), order="C")
        module, _, leaf_name = key.rpartition(".")
        if leaf_name == "running_mean":
            arrays[f"{module}.num_batches_tracked"] = np.array(0, np.int64)
    return arrays


def _constants(name: str, features: Features) -> dict[str, np.ndarray]:
    front_end = _FRONT_ENDS.get(name, "spec")
    if not isinstance(features, LogMel | PowerSpectrogram):
        return {}
    window = window_function(features.window, features.win_length or features.n_fft)
    if isinstance(features, LogMel):
        constants = {
            f"{front_end}.spectrogram.window": window,
            f"{front_end}.mel_scale.fb": mel_filter_bank(features),
        }
    else:
        constants = {f"{front_end}.window": window}
    return {key: array.astype(np.float32) for key, array in constants.items()}
