"""`.mclf` files: a trained network, or several, in one file that needs nothing else.

A zip archive, stored without compression, of

mclf.json              settings, see `settings`
weights.safetensors    arrays by the names of `settings.flatten`
program.stablehlo      the computation, see `program`; may be missing
card.md                the model card
"""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors import numpy as safetensors

from mclf_jax.common import checks, files
from mclf_jax.common.text import documents
from mclf_jax.export import program, settings
from mclf_jax.export.bundle import Bundle

SUFFIX = ".mclf"
WEIGHTS = ("float32", "float16")
_SETTINGS, _WEIGHTS, _PROGRAM, _CARD = (
    "mclf.json",
    "weights.safetensors",
    "program.stablehlo",
    "card.md",
)
# Settings and card are small; what says otherwise is none of ours.
_MOST_TEXT_BYTES = 64 << 20


def write_archive(bundle: Bundle, path: str | Path, *, weights: str = "float32") -> Path:
    """Write a bundle, whole or not at all.

    Args:
        bundle: whose networks are here.
        path: of the file, which ends in `.mclf`.
        weights: of `WEIGHTS`: how they are stored; they are computed with in float32.

    Raises:
        ValueError: another ending, or weights that float16 cannot hold.
    """
    path = Path(path)
    checks.choice("weights", weights, WEIGHTS)
    if path.suffix != SUFFIX:
        raise ValueError(f"--out is {path}; it must end in {SUFFIX}")
    if any(model.module is None for model in bundle.models):
        raise ValueError(
            f"the code of {bundle.name} is not here, and it is needed to export it again; copy the "
            "file instead"
        )
    arrays = stored(settings.flatten(bundle.weights), weights=weights)
    parts = {
        _SETTINGS: json.dumps(settings.to_json(bundle), indent=1, allow_nan=False).encode(),
        _WEIGHTS: safetensors.save(arrays),
        _PROGRAM: program.make_program(bundle),
        _CARD: bundle.card.encode(),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with files.replacing(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name, content in parts.items():
            # A fixed date, so that the same bundle makes the same bytes but for its own.
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content)
    return path


def stored(arrays: dict[str, np.ndarray], *, weights: str) -> dict[str, np.ndarray]:
    """The arrays in the type that they are stored in, in C order.

    Raises:
        ValueError: one of them is too large for float16.
    """
    arrays = {key: np.array(array, order="C") for key, array in arrays.items()}
    if weights == "float32":
        return arrays
    with np.errstate(over="ignore"):
        half = {
            key: array.astype(np.float16) if array.dtype == np.float32 else array
            for key, array in arrays.items()
        }
    if too_large := [key for key, array in half.items() if not np.isfinite(array).all()]:
        raise ValueError(
            f"float16 goes up to 65504, and {checks.few(too_large)} beyond; take --weights float32"
        )
    return half


def read_archive(path: str | Path) -> Bundle:
    """The bundle of a file of `write_archive`; nothing that is in it is run but StableHLO.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is none of them, is damaged, or of a later version.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    try:
        with zipfile.ZipFile(path) as archive:
            return _read(archive, path)
    except zipfile.BadZipFile as error:
        raise ValueError(
            f"{path} is no {SUFFIX} file, or damaged ({error}); export it again, or restore it "
            "from a copy"
        ) from error


def _read(archive: zipfile.ZipFile, path: Path) -> Bundle:
    there = {entry.filename: entry for entry in archive.infolist()}
    for name in (_SETTINGS, _WEIGHTS):
        if name not in there:
            raise ValueError(f"{path} is no {SUFFIX} file: it has no {name}")
    # What was stored as it is cannot expand.
    if packed := [name for name, entry in there.items() if entry.compress_type]:
        raise ValueError(f"{path} was packed by something else: {packed[0]} is compressed")
    if max(there[_SETTINGS].file_size, _size(there, _CARD)) > _MOST_TEXT_BYTES:
        raise ValueError(f"{path}: its settings or card are larger than any of their kind")
    known = documents.parse(archive.read(_SETTINGS), name=f"{path}: {_SETTINGS}")
    settings.check(known, name=f"{path}: {_SETTINGS}")
    return settings.from_json(
        known,
        arrays=load_arrays(lambda: archive.read(_WEIGHTS), name=str(path)),
        name=str(path),
        card=archive.read(_CARD).decode(errors="replace") if _CARD in there else "",
        program=(
            program.read_program(archive.read(_PROGRAM), made=known["made"])
            if _PROGRAM in there
            else None
        ),
    )


def load_arrays(read: Callable[[], bytes], *, name: str) -> dict[str, np.ndarray]:
    """The arrays of a file of safetensors.

    Raises:
        ValueError: it is damaged.
    """
    try:
        return safetensors.load(read())
    except (SafetensorError, KeyError, TypeError) as error:
        raise ValueError(f"{name}: its weights cannot be read ({error})") from error


def _size(there: dict[str, Any], name: str) -> int:
    return there[name].file_size if name in there else 0
