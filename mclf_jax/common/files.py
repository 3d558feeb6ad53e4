"""Files on disk: written whole or not at all, locked, and caches that know what they are of."""

import contextlib
import errno
import hashlib
import json
import math
import os
import re
import secrets
import warnings
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path, PurePath
from typing import Any

import filelock
import numpy as np

URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):(//?)(?=[^/]|$)")
"""Of something that is on no disk; with one slash where it has been through `pathlib.Path`."""


def is_remote(path: Any) -> bool:
    """Whether a path is on object storage (`s3://BUCKET/FOLDER`), or was meant to be."""
    return isinstance(path, str | os.PathLike) and bool(URL.match(os.fspath(path)))


def refuse_remote(field: str, path: Any, *, instead: str) -> None:
    """Raise a ValueError if a path that must be on a disk is on object storage.

    Args:
        field: its name.
        path: of a file or folder, or None.
        instead: what to do.
    """
    if is_remote(path):
        raise ValueError(f"{field} is {os.fspath(path)}; it must be on a disk: {instead}")


@contextlib.contextmanager
def replacing(path: str | os.PathLike) -> Iterator[Path]:
    """A path beside `path` to write to: takes its place at the end, and is gone after an error.

    Readers see the old file or the new one, never half of one.
    """
    # Those of epath stay on their storage.
    place: Any = path if isinstance(path, PurePath) else Path(path)
    # Of one writer alone, and not longer than a name may be. Writers choose a format by the suffix.
    temporary = place.with_name(f".{secrets.token_hex(6)}.partial{place.suffix}")
    try:
        yield temporary
        temporary.replace(place)
    finally:
        temporary.unlink(missing_ok=True)


def check_place(field: str, path: str | os.PathLike, *, kind: str) -> None:
    """Raise an error if nothing can be written at `path`: before hours of work, not after.

    It is an OSError; of a path on object storage a ValueError.

    Args:
        field: its name.
        path: of the file or folder, which may be there, and folders above it not.
        kind: "file" or "folder".
    """
    refuse_remote(field, path, instead=f"name a {kind} here, and copy it afterwards")
    path = Path(path).absolute()
    there = next(one for one in (path, *path.parents) if one.exists())
    if there == path and there.is_dir() != (kind == "folder"):
        raise OSError(f"{field} is {path}, which is there and no {kind}")
    if there != path and not there.is_dir():
        raise OSError(f"{field} is {path}; {there} is a file and no folder")
    if not os.access(there, os.W_OK):
        raise OSError(f"{field} is {path}; {there} may not be written to")


def write_text(path: str | os.PathLike, text: str) -> None:
    """Write a text file whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | os.PathLike, content: Any) -> None:
    """Write JSON whole or not at all; what is no finite number becomes null, see `without_nan`."""
    text = json.dumps(without_nan(content), indent=2, sort_keys=True, allow_nan=False)
    write_text(path, text + "\n")


def without_nan(value: Any) -> Any:
    """The same with null for every NaN and infinity, which JSON has not, and with plain numbers."""
    if isinstance(value, Mapping):
        return {key: without_nan(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(each) for each in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def with_nan(value: Any) -> Any:
    """What `without_nan` was given, where that held dicts of numbers: NaN for every null."""
    if isinstance(value, Mapping):
        return {key: with_nan(each) for key, each in value.items()}
    return math.nan if value is None else value


@contextlib.contextmanager
def locked(path: Path, *, refusal: str) -> Iterator[None]:
    """While it lasts, no other process gets this far; it ends with the process at last.

    Args:
        path: a folder, which gets a file `.lock`, or a file that is made.
        refusal: of the error.

    Raises:
        ValueError: another process holds it.
    """
    # A soft lock would outlive a process that is killed.
    file = path / ".lock" if path.is_dir() else path
    lock = filelock.FileLock(file, blocking=False, fallback_to_soft=False)
    try:
        lock.acquire()
    except filelock.Timeout as error:
        raise ValueError(refusal) from error
    except OSError as error:
        # Where nothing can be written, whoever writes next says so.
        if error.errno in (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP):
            warnings.warn(
                f"{path} cannot be locked ({error.strerror}): nothing keeps a second process out",
                stacklevel=3,
            )
    try:
        yield
    finally:
        lock.release()


def checksum(path: Path) -> str:
    """SHA-256 of a file, as hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def cache_folder() -> Path:
    """Where findings are kept for the next start: `mclf_jax` in `$XDG_CACHE_HOME` or `~/.cache`."""
    home = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
    return Path(home) / "mclf_jax"


@contextlib.contextmanager
def naming_damage(path: Path) -> Iterator[None]:
    """Raise a ValueError that names a file if reading it fails, but for what the system says."""
    try:
        yield
    except Exception as error:  # numpy and zipfile have a dozen for damage
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise ValueError(f"{path} is damaged; restore it from a copy") from error


def load_arrays(path: Path, names: Collection[str]) -> dict[str, np.ndarray]:
    """The arrays of these names in an .npz file.

    Raises:
        ValueError: it is damaged, or lacks one of them.
    """
    # numpy leaves a file open that turns out to be damaged.
    with (
        naming_damage(path),
        path.open("rb") as handle,
        np.load(handle, allow_pickle=False) as file,
    ):
        found = {name: file[name] for name in names if name in file.files}
    if lacking := [name for name in names if name not in found]:
        raise ValueError(f"{path} lacks {', '.join(lacking)}; restore it from a copy")
    return found


def read_arrays(path: Path, identity: Mapping[str, Any]) -> dict[str, np.ndarray] | None:
    """What `write_arrays` wrote under this identity; None if it is another one, or damaged."""
    try:
        # numpy leaves a file open that turns out to be damaged.
        with path.open("rb") as handle, np.load(handle, allow_pickle=False) as file:
            found = dict(file)
    except Exception:  # as above
        return None
    return found if str(found.pop("identity", "")) == _text(identity) else None


def write_arrays(path: Path, identity: Mapping[str, Any], **arrays: np.ndarray) -> None:
    """Keep arrays (.npz) with all that they depend on, as JSON types."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, identity=_text(identity), **arrays)


def read_cache(path: Path, identity: Any) -> Any:
    """What `write_cache` wrote under this identity; None if it is another one, or damaged."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    same = isinstance(found, dict) and found.get("identity") == identity
    return found.get("content") if same else None


def write_cache(path: Path, identity: Any, content: Any) -> None:
    """Keep what can be found out again, both of JSON types; a full or closed disk does no harm."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, json.dumps({"identity": identity, "content": content}))


def _text(identity: Mapping[str, Any]) -> str:
    return json.dumps(identity, sort_keys=True)
