"""PyTorch weights in: a state_dict of arrays becomes Linen variables."""

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mclf_jax import models
from mclf_jax.audio.features import Features, LogMel, mel_filter_bank
from mclf_jax.common import checks
from mclf_jax.convert.fixed_positions import without_fixed_positions
from mclf_jax.convert.keys import torch_key, torch_shape, turn
from mclf_jax.convert.shapes import sizes_of
from mclf_jax.convert.unwrap import has_last_layer, unwrap
from mclf_jax.models import presets
from mclf_jax.models.names import path_of

# Constants of the front end, which this project computes from its settings, and counters.
_CONSTANT = re.compile(
    r"(.*\.)?((spec|melspec|amplitude_to_db|to_db)\..+|num_batches_tracked)", re.DOTALL
)
LAST_LAYERS = ("required", "fresh")
_SHOWN = 12
# Of the largest weight: filter banks for other settings differ by about 1, those of other
# PyTorch versions by 1e-5.
_FILTER_BANK_TOLERANCE = 1e-2


def from_torch(
    name: str,
    weights: Mapping[str, Any] | str | Path,
    *,
    num_labels: int | None = None,
    last_layer: str = "required",
    preset: str = presets.PUBLISHED,
    **arguments: Any,
) -> dict[str, Any]:
    """Variables of the model `name` from PyTorch weights under their public keys.

    Dictionaries and prefixes of training code ("state_dict", "network.", "module.", any other) are
    taken off, and a teacher or a projector beside them is left out, see `unwrap`. So are the
    network's own constants, windows and mel filter banks; but a filter bank that is there must be
    the one that `features` describes.

    Args:
        name: one of `models.ARCHITECTURES`.
        weights: a state_dict, or the path of a file that `read_weights` takes.
        num_labels: K that the last layer must have; read off it when not given.
        last_layer: "required", or "fresh": where there is none, as in encoders that were trained
            without labels, it is initialised, for embeddings or to be trained.
        preset: one of `presets.PRESETS[name]`, for what does not show in shapes, such as strides.
        **arguments: of `models.build`, such as `features` and attributes of the module. Widths
            and depths that are not given are read off the shapes.

    Returns:
        {"params": ..., "batch_stats": ...} for `Model.apply`, in the precision of the arrays.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: another number of labels, other features, keys that are unknown or missing or
            have another shape, or numbers that are not finite; the arrays are named.
    """
    checks.choice("last_layer", last_layer, LAST_LAYERS)
    arrays = unwrap(name, weights).arrays
    head = models.architecture(name).head
    last = [arrays[key] for key in (f"{head}.weight", f"{head}.bias") if key in arrays]
    outputs = last[0].shape[0] if last and last[0].ndim else None
    if num_labels and outputs and num_labels != outputs:
        raise ValueError(
            f"these weights have {outputs} outputs ({head}) and {num_labels} labels were asked "
            "for; give the labels that they were trained on, in that order"
        )
    arguments = presets.preset(name, preset) | sizes_of(name, arrays) | arguments
    model = models.build(name, num_labels=outputs or num_labels or 1, **arguments)
    check_filter_bank(arrays, model.features)
    arrays = without_fixed_positions(model, without_constants(arrays))
    is_encoder = not has_last_layer(name, arrays)
    fresh = is_encoder and last_layer == "fresh"

    leaves, tree = jax.tree_util.tree_flatten_with_path(_shapes(model, preset=preset))
    given, found, problems = len(arrays), {}, []
    for parts, leaf in sorted(leaves, key=lambda item: item[0][0].key != "params"):
        path = path_of(parts)
        key = torch_key(path)
        if fresh and key.startswith(f"{head}."):
            continue
        array = arrays.pop(key, None)
        if array is None:
            problems.append(f"missing: {key}")
            continue
        if array.shape != torch_shape(path, leaf.shape):
            problems.append(f"{key}: got {array.shape}, need {torch_shape(path, leaf.shape)}")
        elif not jnp.issubdtype(array.dtype, jnp.floating):
            problems.append(f"{key}: got {array.dtype}, need floating point")
        found[path] = turn(path, array)
    problems += [f"unknown: {key}" for key in sorted(arrays)]
    if problems:
        if len(problems) > _SHOWN:
            problems[_SHOWN:] = [
                f"and {len(problems) - _SHOWN} more; it has {len(leaves)} keys, and {given} were "
                "given"
            ]
        hint = ""
        if is_encoder and all(problem.startswith(f"missing: {head}.") for problem in problems):
            hint = (
                f"\nThere is no last layer, {head}: of an encoder alone `mclf convert` makes a run "
                "for embeddings, and last_layer='fresh' initialises one."
            )
        elif models.architecture(name).length == "fixed":
            hint = f"\nThe size of {head} depends on features and model.window_s."
        raise ValueError(f"these weights do not fit {name!r}:\n  " + "\n  ".join(problems) + hint)
    # Only now, as sizes in a file may be beyond sense.
    loaded = {path: jnp.asarray(array) for path, array in found.items()}
    checks.finite("these weights", {torch_key(path): array for path, array in loaded.items()})
    if fresh:
        loaded |= jax.jit(lambda key: _leaves(model.init(key), without=loaded))(jax.random.key(0))
    return jax.tree_util.tree_unflatten(tree, [loaded[path_of(parts)] for parts, _ in leaves])


def _leaves(tree: Any, *, without: Collection[tuple[str, ...]]) -> dict[tuple[str, ...], Any]:
    """By path; those that others have already cost nothing, as nobody asks for them."""
    leaves = {path_of(parts): leaf for parts, leaf in jax.tree_util.tree_leaves_with_path(tree)}
    return {path: leaf for path, leaf in leaves.items() if path not in without}


def _shapes(model: models.Model, *, preset: str) -> Any:
    """Of its variables, as far as sizes read off weights go together."""
    try:
        return jax.eval_shape(model.init, jax.random.key(0))
    except Exception as error:  # of flax, jax and arithmetic, whatever sizes are nonsense
        others = [name for name in presets.PRESETS.get(model.name, {}) if name != preset]
        hint = f" Perhaps it is of the preset {' or '.join(others)}." if others else ""
        raise ValueError(
            f"{model.name!r} cannot be made in the sizes that these weights show: "
            f"{str(error).partition(chr(10))[0].rstrip('.')}.{hint}"
        ) from error


def without_constants(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Weights without windows, filter banks and counters, which PyTorch saves beside them."""
    return {key: array for key, array in arrays.items() if not _CONSTANT.fullmatch(key)}


def check_filter_bank(arrays: Mapping[str, np.ndarray], features: Features) -> None:
    """Raise a ValueError if weights come with another mel filter bank than that of `features`.

    Some networks take any number of mel bands, and would load and then be wrong.
    """
    banks = [array for key, array in arrays.items() if key.endswith("mel_scale.fb") and array.size]
    if not banks or not isinstance(features, LogMel):
        return
    expected = mel_filter_bank(features)
    if banks[0].shape != expected.shape:
        bins, bands = banks[0].shape
        raise ValueError(
            f"these weights are for features.n_mels={bands} and features.n_fft={2 * (bins - 1)}, "
            f"as their mel filter bank says; got {features.n_mels} and {features.n_fft}"
        )
    difference = np.abs(banks[0] - expected).max() / expected.max()
    if difference > _FILTER_BANK_TOLERANCE:
        raise ValueError(
            f"the mel filter bank of these weights differs by {difference:.0%} from that of "
            "features.sample_rate_hz, f_min_hz, f_max_hz, mel_scale, mel_norm; got "
            f"{features.sample_rate_hz}, {features.f_min_hz}, {features.top_hz}, "
            f"{features.mel_scale}, {features.mel_norm}"
        )
