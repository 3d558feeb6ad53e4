"""What a file is that should be weights: a web page, a pointer, another format, nothing."""

import string
import zipfile
from collections.abc import Sequence
from pathlib import Path

from mclf_jax.common import checks

_BEGINNINGS = {
    b"\x1f\x8b": "a gzip archive: unpack it",
    b"BZh": "a bzip2 archive: unpack it",
    b"\xfd7zXZ": "an xz archive: unpack it",
    b"\x28\xb5\x2f\xfd": "a Zstandard archive: unpack it",
    b"7z\xbc\xaf": "a 7z archive: unpack it",
    b"Rar!": "a RAR archive: unpack it",
    b"\x89HDF": "an HDF5 file, as of Keras: save its arrays as .npz",
    b"\x93NUMPY": "one array, without a name: save it as .npz under its name",
    b"%PDF": "a PDF",
}
_TEXT = frozenset(string.printable.encode()) | frozenset(range(0x80, 0x100))
# Beginning of a text -> what it is.
_TEXTS = {
    "version https://git-lfs": "a Git LFS pointer, which stands for a file: `git lfs pull` gets it",
    "/annex/objects": "a git-annex pointer, which stands for a file: `git annex get` gets it",
    "<": "a web page, or another answer of a server, and not what it should have sent: download"
    " the file itself",
    "{": "JSON, as of a server that says why it did not send the file",
    "[": "JSON, as of a server that says why it did not send the file",
}
_FORMATS = {
    "torch": "a file of PyTorch: call it .pth",
    "npz": "a file of numpy: call it .npz",
    "safetensors": "a file of safetensors: call it .safetensors",
}


def check(path: Path, *, wanted: str) -> None:
    """Raise a ValueError that says what a file is, if it is known and not what is wanted.

    Args:
        path: of the file.
        wanted: "torch", "npz" or "safetensors".
    """
    with path.open("rb") as file:
        head = file.read(512)
    is_it = _format_of(path, head)
    found = "" if is_it == wanted else _FORMATS.get(is_it) or _stranger(path, head)
    if found:
        raise ValueError(f"{path} is no file of weights; it is {found}")


def _format_of(path: Path, head: bytes) -> str:
    names = _members(path)
    if any(name.rpartition("/")[2] == "data.pkl" for name in names):
        return "torch"
    if any(name.endswith(".npy") for name in names):
        return "npz"
    header = int.from_bytes(head[:8], "little")
    if head[8:9] == b"{" and header <= path.stat().st_size - 8:
        return "safetensors"
    return "torch" if head[:1] == b"\x80" else ""  # a pickle, as before PyTorch 1.6


def _stranger(path: Path, head: bytes) -> str:
    if not head.strip(b"\0"):
        return "full of zeros: download it again" if head else "empty: download it again"
    if names := _members(path):
        return f"a zip archive of {checks.few(names)}: unpack it"
    for beginning, what in _BEGINNINGS.items():
        if head.startswith(beginning):
            return what
    if head[257:262] == b"ustar":
        return "a tar archive: unpack it"
    if not _TEXT.issuperset(head):
        return ""
    text = head.decode(errors="replace").lstrip("\ufeff \t\r\n")
    what = next((what for start, what in _TEXTS.items() if text.startswith(start)), "text")
    return f"{what}; it begins with {' '.join(text.split())[:60]!r}"


def _members(path: Path) -> Sequence[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            return [name for name in archive.namelist() if not name.endswith("/")]
    # No zip file, a damaged one, or one that needs a later version to read.
    except (zipfile.BadZipFile, ValueError, RuntimeError, OSError):
        return ()
