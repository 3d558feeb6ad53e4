"""Checksums of the files in a folder, as `sha256sum --check` reads them, and what they find."""

from pathlib import Path

from mclf_jax.common import files

NAME = "checksums.sha256"


def seal(folder: Path) -> None:
    """Write down what is in a folder and below it, which must not change any more."""
    names = sorted(name for name in _names(folder) if name != NAME)
    write(folder, {name: files.checksum(folder / name) for name in names})


def write(folder: Path, checksums: dict[str, str]) -> None:
    """Write known checksums by name of the file; not whole at once, as nothing reads it yet."""
    lines = [f"{checksum}  {name}\n" for name, checksum in checksums.items()]
    (folder / NAME).write_text("".join(lines), encoding="utf-8")


def are_there(folder: Path) -> bool:
    """Whether a folder was sealed."""
    return (folder / NAME).exists()


def damage(folder: Path, *, later: tuple[str, ...] = ()) -> str:
    """What is wrong with a folder that was sealed, such as "d/1a2b is missing"; "" if nothing.

    A folder without checksums, of an earlier version, has nothing wrong with it as far as is known.

    Args:
        folder: of `seal`.
        later: files that came after it was sealed. Hidden ones, which file systems leave, may too.
    """
    if not folder.is_dir():
        return "it is a file, not a folder" if folder.exists() else "it is missing"
    try:
        found = set(_names(folder))
        if NAME not in found:
            return "" if found else "it is empty"
        text = (folder / NAME).read_text(encoding="utf-8", errors="replace")
        lines = [line.partition("  ") for line in text.splitlines()]
        expected = {name: checksum for checksum, _, name in lines}
        found -= {NAME}
        if missing := sorted(set(expected) - found):
            return f"{missing[0]} is missing"
        if more := sorted(found - set(expected) - set(later)):
            return f"{more[0]} is not in {NAME}"
        for name, checksum in expected.items():
            if files.checksum(folder / name) != checksum:
                return f"{name} is not what was written: its checksum is another"
    except OSError as error:
        return f"{Path(error.filename or folder).name} cannot be read: {error.strerror}"
    return "" if expected else f"{NAME} is empty"


def _names(folder: Path) -> list[str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    names = (path.relative_to(folder) for path in files)
    return [
        name.as_posix() for name in names if not any(part.startswith(".") for part in name.parts)
    ]
