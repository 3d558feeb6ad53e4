"""Files of weights: name -> array, read and written without running anything that is in them."""

import importlib
import math
import zipfile
from collections import OrderedDict
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mclf_jax.common import files
from mclf_jax.convert import kinds
from mclf_jax.convert.locate import Located, locate

SUFFIXES = (".pth", ".pt", ".ckpt", ".safetensors", ".npz")
# What a file may take in memory: so many times its bytes, and so many more.
_EXPANSION, _ALLOWANCE = 20, 64 << 20


def read_weights(path: str | Path) -> dict[str, np.ndarray]:
    """The arrays of a file under their own names; see `read_checkpoint`."""
    return read_checkpoint(path).arrays


def read_checkpoint(path: str | Path, *, keys: Collection[str] = ()) -> Located:
    """Read a file of weights.

    Sizes are read before data: what would take far more memory than the file has bytes is refused.

    Args:
        path: .pth, .pt or .ckpt of PyTorch (a state_dict, or a checkpoint that holds one),
            .safetensors, or .npz.
        keys: of the network that is looked for, see `locate`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: another suffix, a broken or changed file, one that is something else than its
            suffix says, one that expands beyond sense, or something else than arrays in it.
        ImportError: the library for this suffix is not installed.
    """
    path = Path(path)
    suffix = _suffix(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    wanted = {".npz": "npz", ".safetensors": "safetensors"}.get(suffix, "torch")
    kinds.check(path, wanted=wanted)
    read = {"npz": _read_npz, "safetensors": _read_safetensors, "torch": _read_torch}[wanted]
    return unpack(read(path), origin=str(path), keys=keys, most_bytes=_most_bytes(path))


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


def unpack(
    weights: Mapping[Any, Any],
    *,
    origin: str = "weights",
    keys: Collection[str] = (),
    most_bytes: int | None = None,
) -> Located:
    """A state_dict, or a checkpoint that holds one, apart from what was saved with it.

    Args:
        weights: name -> numpy or jax array or PyTorch tensor, in dictionaries of any depth.
        origin: where they are from, for messages.
        keys: of the network that is looked for, see `locate`.
        most_bytes: that the arrays may have.

    Raises:
        ValueError: see `locate`; or an array that is not a plain one, or too much of them.
    """
    found = locate(weights, keys, origin=origin)
    # A tensor may repeat few numbers without end.
    size = sum(8 * math.prod(value.shape) for value in found.arrays.values())
    if most_bytes and size > most_bytes:
        raise ValueError(_too_large(origin, size, most_bytes))
    arrays = {key: _as_array(value, name=f"{origin}: {key}") for key, value in found.arrays.items()}
    return found._replace(arrays=arrays)


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    _check_archive(path)
    try:
        with path.open("rb") as file:
            found = np.load(file, allow_pickle=False)
            if len(set(found.files)) != len(found.files):
                raise ValueError("arrays are in it twice")
            return {key: found[key] for key in found.files}
    except Exception as error:  # of zipfile, zlib, struct and numpy, whatever is broken
        raise ValueError(f"{path} cannot be read as .npz: {_reason(error)}") from error


def _most_bytes(path: Path) -> int:
    return _ALLOWANCE + _EXPANSION * path.stat().st_size


def _check_archive(path: Path) -> None:
    """Raise a ValueError if an archive says that it expands beyond sense, or if it has changed."""
    if not zipfile.is_zipfile(path):  # before PyTorch 1.6, or broken: the reader says what
        return
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            size, most = sum(member.file_size for member in members), _most_bytes(path)
            # PyTorch writes checksums, unless it was told not to, and does not read them.
            has_checksums = any(member.CRC for member in members)
            damaged = archive.testzip() if size <= most and has_checksums else None
    except Exception as error:  # of zipfile, zlib and struct, whatever is broken
        raise ValueError(f"{path} is damaged: {_reason(error)}") from error
    if size > most:
        raise ValueError(_too_large(str(path), size, most))
    if damaged:
        raise ValueError(
            f"{path} is damaged: {damaged} in it has another checksum than when it was written"
        )


def _too_large(origin: str, size: int, most: int) -> str:
    return (
        f"{origin} would take {size / 1e6:,.0f} MB of memory, far more than it has bytes; weights "
        f"do not shrink like that, so at most {most / 1e6:,.0f} MB are read"
    )


def _read_safetensors(path: Path) -> dict[str, np.ndarray]:
    import ml_dtypes  # noqa: F401, which makes numpy know bfloat16

    library = _library("safetensors.numpy")
    try:
        return library.load_file(path)
    except Exception as error:
        raise ValueError(f"{path} cannot be read as .safetensors: {_reason(error)}") from error


def _read_torch(path: Path) -> Mapping[str, Any]:
    torch = _library("torch")
    _check_archive(path)
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


def _as_array(value: Any, *, name: str) -> np.ndarray:
    try:
        if hasattr(value, "detach"):  # a tensor; no need to import torch to know
            value = value.detach().cpu()
            # numpy has no bfloat16 of its own.
            return (value.float() if "bfloat16" in str(value.dtype) else value).numpy()
        array = np.asarray(value)
    except Exception as error:  # of a sparse, quantised or other tensor without plain memory
        raise ValueError(f"{name} is not a plain array: {_reason(error)}") from error
    return array.astype(np.float32) if array.dtype.name == "bfloat16" else array


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".partition("\n")[0]
