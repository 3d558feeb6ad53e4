"""The one walk through folders, for training and predicting alike, and names in a form to show."""

import os
import stat
import unicodedata
from collections.abc import Collection, Iterator

# Of systems and programs, beside all names that begin with a dot; in any case.
_SYSTEM_FOLDERS = {
    "__macosx",
    "$recycle.bin",
    "system volume information",
    "@eadir",
    "#recycle",
    "lost+found",
}
_UNSHOWN = {"Cc", "Zl", "Zp"}  # control characters, and separators of lines
_SPECIAL = (
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISFIFO, "a named pipe (fifo), not a file"),
    (stat.S_ISSOCK, "a socket, not a file"),
    (stat.S_ISBLK, "a device, not a file"),
    (stat.S_ISCHR, "a device, not a file"),
)


def files(
    root: str | os.PathLike,
    *,
    suffixes: Collection[str],
    skipped: list[tuple[str, str]] | None = None,
) -> Iterator[str]:
    """Files below a folder, by name; each folder's own before those of its subfolders.

    Hidden names and system folders are left out. Links are followed after everything else has been
    read, and no folder is read twice: what is linked to from two places, or from within itself,
    is found once, and where it really is if that is below `root`.

    Args:
        root: the folder.
        suffixes: in lower case, such as ".wav"; a file may have them in any case.
        skipped: takes (path, reason) of folders that cannot be read, of what is no file (pipes,
            sockets, devices), and of links to nothing that have one of the suffixes.
    """
    seen: set[tuple[int, int]] = set()
    folders, links = [os.fspath(root)], []
    while folders or links:
        if not folders:
            links.sort(reverse=True)
            folders = [links.pop()]
        folder = folders.pop()
        try:
            status = os.stat(folder)
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(folder) as entries:
                found = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            if skipped is not None:
                skipped.append((folder, f"the folder cannot be read ({error.strerror})"))
            continue
        below = []
        for entry in found:
            if entry.name.startswith("."):
                continue
            try:
                mode = entry.stat().st_mode
            except OSError as error:
                mode, reason = None, f"a link to nothing ({error.strerror})"
            else:
                reason = special(mode)
            wanted = os.path.splitext(entry.name)[1].lower() in suffixes
            if mode is not None and stat.S_ISDIR(mode):
                if entry.name.lower() not in _SYSTEM_FOLDERS:
                    (links if entry.is_symlink() else below).append(entry.path)
            elif reason and (wanted or mode is not None):
                if skipped is not None:
                    skipped.append((entry.path, reason))
            elif wanted and not reason:
                yield entry.path
        folders += reversed(below)


def special(mode: int) -> str:
    """What it is, if it is no file, by the mode of its status; "" for a file."""
    return next((kind for is_it, kind in _SPECIAL if is_it(mode)), "")


def shown(path: str | os.PathLike) -> str:
    r"""A name as text of one line: bytes that are no UTF-8, and control characters, as \xe9 or \n.

    Names are bytes to a file system, and to Python text with surrogates, which no JSON and no
    terminal takes.

    >>> shown("caf\udce9.wav")
    'caf\\xe9.wav'
    """
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(
        each.encode("unicode_escape").decode() if unicodedata.category(each) in _UNSHOWN else each
        for each in text
    )
