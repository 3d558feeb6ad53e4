"""The network in a checkpoint: training code wraps it, and keeps more beside it."""

import functools
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from mclf_jax import models
from mclf_jax.convert import ast_keys
from mclf_jax.convert.keys import torch_key
from mclf_jax.convert.locate import follows
from mclf_jax.convert.weights import read_checkpoint, unpack
from mclf_jax.models.names import path_of

# The head of CLMR and SimCLR, which is of no use once they are trained.
_PROJECTOR = re.compile(r"(.*\.)?projector\.\d+\..+", re.DOTALL)
# Heads of pretext tasks in the public code of a network: name for people -> its keys.
_PRETEXT_HEADS = {
    "cpc": {"loss.predictor.*": r"loss\.predictor\..+"},  # Spijkervet
    "wav2vec": {  # fairseq; features are projected for the loss alone
        "wav2vec_predictions.*": r"wav2vec_predictions\..+",
        "project_features.*": r"project_features\..+",
    },
    "musicfm": {  # minzwon; MuQ has another name for its codes
        "linear.*": r"linear\..+",
        "cls_token": r"cls_token",
        "quantizer_*": r"(quantizer_|rvq\.).+",
        "conformer.pos_conv_embed.*": r"conformer\.pos_conv_embed\..+",  # which nothing calls
        "conformer.embed_positions.*": r"conformer\.embed_positions\..+",
    },
    "vit": {  # nttcslab
        "decoder_*": r"(decoder_(embed|blocks|norm|pred)\..+|decoder_pos_embed|mask_token)",
        "target_*": r"target_(blocks|norm)\..+",
    },
    "pase": {  # santi-pdp
        "*_workers.*": r"(regression|classification|regularizer)_workers\..+",
        "minions.*": r"minions\..+",
    },
}


class Unwrapped(NamedTuple):
    """The weights of a network.

    Attributes:
        arrays: under the network's own keys.
        left_out: what else there was, for people: "projector.*", "optimizer_states".
        projector_inputs: size of the embeddings that a projector took, the head of contrastive
            learning; None where there was no projector.
    """

    arrays: dict[str, np.ndarray]
    left_out: tuple[str, ...]
    projector_inputs: int | None


def unwrap(name: str, weights: Mapping[str, Any] | str | Path) -> Unwrapped:
    """Find the weights of the network `name`, whatever they were wrapped in.

    Dictionaries and prefixes of any name are taken off; what belongs to a teacher, to a projector
    or to another head of a pretext task is left out, and so is an encoder that is there a second
    time, as in checkpoints of CLMR. What CLMR calls linear evaluation, an encoder and one layer on
    it, is a network with its last layer. Other keys stay as they are.

    Args:
        name: one of `models.ARCHITECTURES`.
        weights: a state_dict, a checkpoint that holds one, or the path of a file of these.

    Raises:
        FileNotFoundError, ValueError: as `weights.read_checkpoint`; also an unknown name.
    """
    keys = expected_keys(name)  # an unknown name is an error before a file is read
    if name == "vit":
        keys |= ast_keys.KEYS
    if isinstance(weights, Mapping):
        found = unpack(weights, keys=keys)
    else:
        found = read_checkpoint(weights, keys=keys)
    left_out: list[str] = []
    prefix = found.prefix
    arrays: dict[str, np.ndarray] = {}
    for key, array in found.arrays.items():
        own = key.removeprefix(prefix)
        is_other = own == key and prefix and prefix + key in found.arrays
        arrays[f"{key} (outside of {prefix})" if is_other else own] = array

    def leave_out(keys: set[str], what: str) -> None:
        if keys:
            left_out.append(what)
            for key in keys:
                del arrays[key]

    for other in found.again:
        if follows(other):
            leave_out({key for key in arrays if key.startswith(other)}, f"{other}*")
        else:
            again = {key for key in arrays if other and _same(arrays, key, key.removeprefix(other))}
            leave_out(again, f"{other}* (the same weights again)")
    if name == "vit":
        arrays, unused = ast_keys.with_own_keys(arrays, prefix=prefix)
        left_out.extend(unused)
    for what, pattern in _PRETEXT_HEADS.get(name, {}).items():
        leave_out({key for key in arrays if re.fullmatch(pattern, key, re.DOTALL)}, what)
    projector = {key for key in arrays if _PROJECTOR.fullmatch(key)}
    first = [arrays[key] for key in projector if key.endswith("projector.0.weight")]
    projector_inputs = first[0].shape[-1] if first and first[0].ndim == 2 else None
    leave_out(projector, "projector.*")
    # What CLMR trains on top of an encoder that stays as it is.
    if prefix.endswith("encoder.") and not has_last_layer(name, arrays):
        layer = f"{prefix.removesuffix('encoder.')}model.0."
        beside = f"{re.escape(layer.removesuffix('0.'))}[0-9]+[.](weight|bias)"
        classifier = {key for key in arrays if re.fullmatch(beside, key)}
        if classifier == {f"{layer}weight", f"{layer}bias"}:
            head = models.architecture(name).head
            for leaf in ("weight", "bias"):
                arrays[f"{head}.{leaf}"] = arrays.pop(f"{layer}{leaf}")
        else:
            leave_out(classifier, "model.* (a classifier of more than one layer)")
    return Unwrapped(arrays, (*left_out, *found.beside), projector_inputs)


def has_last_layer(name: str, arrays: Mapping[str, np.ndarray]) -> bool:
    """Whether there is anything of the layer that makes the logits; encoders have none."""
    head = models.architecture(name).head
    return any(key.startswith(f"{head}.") for key in arrays)


@functools.cache
def expected_keys(name: str) -> frozenset[str]:
    """Keys of a network in its published size; deeper ones have more.

    Raises:
        ValueError: an unknown name.
    """
    model = models.build(name, num_labels=1)
    leaves = jax.tree_util.tree_leaves_with_path(jax.eval_shape(model.init, jax.random.key(0)))
    return frozenset(torch_key(path_of(parts)) for parts, _ in leaves)


def _same(arrays: Mapping[str, np.ndarray], key: str, other: str) -> bool:
    return key != other and other in arrays and np.array_equal(arrays[key], arrays[other])
