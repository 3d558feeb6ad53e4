"""The network in a checkpoint: training code wraps it, and keeps more beside it."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from mclf_jax import models
from mclf_jax.convert.keys import torch_key
from mclf_jax.convert.weights import Checkpoint, read_checkpoint, unpack

# What training code wraps a network in: Lightning, DataParallel, CLMR, torch.compile.
_WRAPPERS = re.compile(r"((network|model|module|encoder|_orig_mod)\.)*")
# The head of CLMR and SimCLR, which is of no use once they are trained.
_PROJECTOR = re.compile(r"(.*\.)?projector\.\d+\..+")
# What CLMR trains on top of an encoder that stays as it is.
_CLASSIFIER = re.compile(r"model\.\d+\.(weight|bias)")


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

    Prefixes are taken off; what belongs to a teacher or to a projector is left out, and so is an
    encoder that is there a second time, as in checkpoints of CLMR. What CLMR calls linear
    evaluation, an encoder and one layer on it, is a network with its last layer. Other keys stay
    as they are.

    Args:
        name: one of `models.ARCHITECTURES`.
        weights: a state_dict, a checkpoint that holds one, or the path of a file of these.

    Raises:
        FileNotFoundError, ValueError: as `weights.read_checkpoint`.
    """
    models.features_of(name)  # an unknown name is an error before a file is read
    found = unpack(weights) if isinstance(weights, Mapping) else read_checkpoint(weights)
    left_out: list[str] = []
    prefix, *others = _prefixes(name, found)
    arrays = {key.removeprefix(prefix): array for key, array in found.arrays.items()}

    def leave_out(keys: set[str], what: str) -> None:
        if keys:
            left_out.append(what)
            for key in keys:
                del arrays[key]

    if prefix:
        aside = f"teacher_{prefix}"
        leave_out({key for key in arrays if key.startswith(aside)}, f"{aside}*")
    for other in others:
        again = {key for key in arrays if other and _same(arrays, key, key.removeprefix(other))}
        leave_out(again, f"{other}* (the same weights again)")
    projector = {key for key in arrays if _PROJECTOR.fullmatch(key)}
    first = [arrays[key] for key in projector if key.endswith("projector.0.weight")]
    projector_inputs = first[0].shape[-1] if first and first[0].ndim == 2 else None
    leave_out(projector, "projector.*")
    if prefix == "encoder." and not has_last_layer(name, arrays):
        classifier = {key for key in arrays if _CLASSIFIER.fullmatch(key)}
        if classifier == {"model.0.weight", "model.0.bias"}:
            head = models.architecture(name).head
            for leaf in ("weight", "bias"):
                arrays[f"{head}.{leaf}"] = arrays.pop(f"model.0.{leaf}")
        else:
            leave_out(classifier, "model.* (a classifier of more than one layer)")
    return Unwrapped(arrays, (*left_out, *found.beside), projector_inputs)


def has_last_layer(name: str, arrays: Mapping[str, np.ndarray]) -> bool:
    """Whether there is anything of the layer that makes the logits; encoders have none."""
    head = models.architecture(name).head
    return any(key.startswith(f"{head}.") for key in arrays)


def _prefixes(name: str, found: Checkpoint) -> list[str]:
    """Those of all keys, the one of the network first."""
    prefixes = sorted({_WRAPPERS.match(key).group() for key in found.arrays} | {""}, key=len)
    if len(prefixes) > 1:
        model = models.build(name, num_labels=1)
        leaves = jax.tree_util.tree_leaves_with_path(jax.eval_shape(model.init, jax.random.key(0)))
        keys = [torch_key([part.key for part in parts]) for parts, _ in leaves]
        prefixes.sort(key=lambda prefix: -sum(prefix + key in found.arrays for key in keys))
    return prefixes


def _same(arrays: Mapping[str, np.ndarray], key: str, other: str) -> bool:
    return key != other and other in arrays and np.array_equal(arrays[key], arrays[other])
