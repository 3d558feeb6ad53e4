"""Files of weights: name -> array, read and written without running anything that is in them."""

import importlib
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mclf_jax.common import files

SUFFIXES = (".pth", ".pt", ".ckpt", ".safetensors", ".npz")
# What training scripts call the state_dict when they save it beside other things.
_NESTINGS = ("state_dict", "model_state_dict", "model")


class Checkpoint(NamedTuple):
    """What a training script has saved.

    Attributes:
        arrays: of the state_dict, under their own names.
        beside: names of what was saved with it: "epoch", "optimizer_states".
    """

    arrays: dict[str, np.ndarray]
    beside: tuple[str, ...]


def read_weights(path: str | Path) -> dict[str, np.ndarray]:
    """The arrays of a file under their own names; see `read_checkpoint`."""
    return read_checkpoint(path).arrays


def read_checkpoint(path: str | Path) -> Checkpoint:
    """Read a file of weights.

    Args:
        path: .pth, .pt or .ckpt of PyTorch (a state_dict, or a Lightning checkpoint that holds
            one), .safetensors, or .npz.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: another suffix, a broken file, or something else than arrays in it.
        ImportError: the library for this suffix is not installed.
    """
    path = Path(path)
    suffix = _suffix(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    read = {".npz": _read_npz, ".safetensors": _read_safetensors}.get(suffix, _read_torch)
    return unpack(read(path), origin=str(path))


def write_weights(path: str | Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays to a file of one of `SUFFIXES`, whole or not at all.

    Raises:
        ValueError: another suffix.
        ImportError: the library for this suffix is not installed.
    """
    path = Path(path)
    suffix = _suffix(path)
    # safetensors copies memory as it lies, so that reversed axes would come out wrong, and
    # PyTorch warns of arrays that nobody may write to.
    arrays = {key: np.array(array, order="C") for key, array in arrays.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    with files.replacing(path) as temporary:
        if suffix == ".npz":
            with temporary.open("wb") as file:
                np.savez(file, **arrays)
        elif suffix == ".safetensors":
            _library("safetensors.numpy").save_file(arrays, temporary)
        else:
            torch = _library("torch")
            tensors = {key: torch.from_numpy(array) for key, array in arrays.items()}
            torch.save(tensors, temporary)


def unpack(weights: Mapping[str, Any], *, origin: str = "weights") -> Checkpoint:
    """A state_dict, or a checkpoint that holds one, apart from what was saved with it.

    Args:
        weights: name -> numpy or jax array or PyTorch tensor.
        origin: where they are from, for messages.

    Raises:
        ValueError: there are other things than arrays.
    """
    nested = [name for name in _NESTINGS if isinstance(weights.get(name), Mapping)]
    beside = tuple(str(key) for key in weights if key != nested[0]) if nested else ()
    weights = weights[nested[0]] if nested else weights
    others = {key: type(value).__name__ for key, value in weights.items() if not _is_array(value)}
    if others or not weights:
        got = ", ".join(f"{key} ({kind})" for key, kind in others.items()) or "none (a module?)"
        raise ValueError(
            f"{origin}: expected a state_dict, name -> array, or a checkpoint that holds one as "
            f"{' or '.join(_NESTINGS)}; got {got}"
        )
    return Checkpoint({key: _as_array(value) for key, value in weights.items()}, beside)


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    try:
        with path.open("rb") as file:
            found = np.load(file, allow_pickle=False)
            if isinstance(found, np.ndarray):
                raise ValueError("it is one array, without a name")
            return dict(found)
    except Exception as error:  # of zipfile, zlib, struct and numpy, whatever is broken
        raise ValueError(f"{path} cannot be read as .npz: {_reason(error)}") from error


def _read_safetensors(path: Path) -> dict[str, np.ndarray]:
    import ml_dtypes  # noqa: F401, which makes numpy know bfloat16

    library = _library("safetensors.numpy")
    try:
        return library.load_file(path)
    except Exception as error:
        raise ValueError(f"{path} cannot be read as .safetensors: {_reason(error)}") from error


def _read_torch(path: Path) -> Mapping[str, Any]:
    torch = _library("torch")
    try:
        # Lightning saves hyper-parameters and callbacks beside the weights, objects of classes
        # that need not even exist here: stand-ins take their places, and no code of theirs runs.
        stand_ins = [
            (_NumpyStandIn if name.startswith("numpy") else _StandIn, name)
            for name in _foreign_globals(torch, path)
        ]
        with torch.serialization.safe_globals(stand_ins):
            found = torch.load(path, weights_only=True, map_location="cpu")
    except Exception as error:
        raise ValueError(
            f"{path} is broken, or holds other things than PyTorch reads safely "
            "(weights_only=True). If you trust it, save the state_dict() alone with the code that "
            "made it, and take that"
        ) from error
    if not isinstance(found, Mapping):
        raise ValueError(
            f"{path}: expected a state_dict, name -> array, got {type(found).__name__}"
        )
    return found


def _foreign_globals(torch: Any, path: Path) -> list[str]:
    try:
        return torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except ValueError:  # a file from before PyTorch 1.6
        return []


class _StandIn:
    """Called with anything, it is an empty dictionary, which PyTorch's reader can add to."""

    def __new__(cls, *args: Any, **kwargs: Any):
        return OrderedDict()


class _NumpyStandIn:
    """Scalars and dtypes of numpy, whose states are tuples."""

    def __init__(self, *args: Any):
        pass

    def __setstate__(self, state: Any):
        pass


def _suffix(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise ValueError(f"{path}: weights are files of {', '.join(SUFFIXES)}; got {suffix!r}")
    return suffix


def _library(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(
            f"{name.partition('.')[0]} is not installed, which this kind of file needs: "
            "pip install 'mclf-jax[torch]'; or take an .npz file"
        ) from error


def _is_array(value: Any) -> bool:
    return hasattr(value, "shape") and hasattr(value, "dtype")


def _as_array(value: Any) -> np.ndarray:
    if hasattr(value, "detach"):  # a tensor; no need to import torch to know
        value = value.detach().cpu()
        # numpy has no bfloat16 of its own.
        return (value.float() if "bfloat16" in str(value.dtype) else value).numpy()
    array = np.asarray(value)
    return array.astype(np.float32) if array.dtype.name == "bfloat16" else array


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".partition("\n")[0]
