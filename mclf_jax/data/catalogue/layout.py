"""Finding a published data set on disk, and saying what is missing where it is not there."""

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from mclf_jax.audio.decode import AUDIO_SUFFIXES
from mclf_jax.common import walk
from mclf_jax.data.catalogue.items import Catalogue, Facts, Item

_SHOWN = 8


def data_root(path: str | os.PathLike, *, title: str, holds: Iterable[str]) -> Path:
    """The folder of a data set, or the one folder in it that is, as archives and mirdata make it.

    Args:
        path: that a user gave.
        title: of the data set.
        holds: what is in its folder, such as the table of its labels; one of these is enough.

    Raises:
        ValueError: there is no such folder, or there are several in it.
    """
    root = Path(path).expanduser()
    # Without a name it would be the current directory.
    if not os.fspath(path) or not root.is_dir():
        raise ValueError(
            f"path must be the folder of {title}, got {os.fspath(path)!r}: no such folder"
        )
    holds = tuple(holds)

    def is_it(folder: Path) -> bool:
        return any((folder / name).exists() for name in holds)

    if is_it(root):
        return root
    inside = [e for e in os.scandir(root) if not e.name.startswith(".") and e.is_dir()]
    found = sorted(entry.name for entry in inside if is_it(Path(entry.path)))
    if len(found) > 1:
        raise ValueError(f"{root} has several folders of {title}: {_few(found)}; name one of them")
    return root / found[0] if found else root


def find(root: Path, *candidates: str, title: str) -> Path:
    """The first of the candidates, relative to `root`, that is there, a file or a folder.

    Of a folder that holds one of its own name, as some unpack archives, it is the inner one.

    Raises:
        ValueError: none is; the message says what was looked for and what was found.
    """
    for candidate in candidates:
        found = root / candidate
        if found.exists():
            inner = found / found.name
            return inner if inner.is_dir() else found
    raise ValueError(
        f"{root} is not {title} as it is distributed: looked for {_few(candidates, ' or ')}; "
        f"found {contents(root)}"
    )


def contents(root: Path) -> str:
    """The first entries of a folder, for messages."""
    names = sorted(entry.name + "/" * entry.is_dir() for entry in os.scandir(root))
    return _few(names) or "nothing"


def _few(names: Sequence[str], separator: str = ", ") -> str:
    more = [f"and {len(names) - _SHOWN} more"] if len(names) > _SHOWN else []
    return separator.join([*names[:_SHOWN], *more])


def keep_existing(
    items: Iterable[Item], *, title: str, looked_in: Path, hint: str = ""
) -> tuple[tuple[Item, ...], tuple[tuple[str, str], ...]]:
    """Items whose audio is on disk, and (item, reason) of the others.

    Raises:
        ValueError: not one is there; the message says where was looked and what was found.
    """
    kept, skipped, first = [], [], None
    for item in items:
        if os.path.isfile(item.file):
            kept.append(item)
        else:
            first = first or item.file
            skipped.append((item.item_id, "no such file"))
    if not kept:
        raise ValueError(
            f"no audio of {title} is in {looked_in}: looked for {len(skipped)} files, such as "
            f"{first}; found {contents(looked_in) if looked_in.is_dir() else 'no such folder'}"
            f"{hint and f'. {hint}'}"
        )
    return tuple(kept), tuple(skipped)


def option_folder(root: Path, name: str, value: str) -> Path:
    """A folder that an option of a reader names, relative to `root`.

    Raises:
        ValueError: it is not there.
    """
    folder = root / Path(value).expanduser()
    if not folder.is_dir():
        raise ValueError(
            f"{name}={value!r} must be a folder in {root} or an absolute path; found there:"
            f" {contents(root)}"
        )
    return folder


def missing_note(skipped: Sequence[tuple[str, str]], *, kept: int) -> tuple[str, ...]:
    """A sentence for `Catalogue.notes` on listed files that are not there; none if all are."""
    if not skipped:
        return ()
    return (
        f"{len(skipped)} of {len(skipped) + kept} listed files are not on disk and left out, such"
        f" as {skipped[0][0]}",
    )


def make_catalogue(
    facts: Facts,
    items: Iterable[Item],
    *,
    looked_in: Path,
    skipped: Iterable[tuple[str, str]] = (),
    notes: Iterable[str] = (),
    **others: Any,
) -> Catalogue:
    """A catalogue of the items whose audio is on disk; the others are skipped, and a note says so.

    Args:
        facts: of the data set.
        items: that are listed; of those of one name the first counts, and the others are skipped.
        looked_in: the folder of audio, for an error.
        skipped, notes: what else there is to tell.
        **others: fields of `Catalogue`.

    Raises:
        ValueError: not one is there, see `keep_existing`.
    """
    hint = others.get("split_hint", "")
    once, again = first_of_each(items)
    kept, missing = keep_existing(once, title=facts.title, looked_in=looked_in, hint=hint)
    return Catalogue(
        facts=facts,
        items=kept,
        skipped=(*skipped, *again, *missing),
        notes=(*missing_note(missing, kept=len(kept)), *notes),
        **others,
    )


def first_of_each(items: Iterable[Item]) -> tuple[list[Item], list[tuple[str, str]]]:
    """The first item of each name, and (item, reason) of the others."""
    once: dict[str, Item] = {}
    again = []
    for item in items:
        if (first := once.setdefault(item.item_id, item)) is not item:
            where = f" in line {item.line}: line {first.line} counts" if item.line else ""
            again.append((item.item_id, f"listed again{where}"))
    return list(once.values()), again


def walk_audio(root: Path, *, skipped: list[tuple[str, str]] | None = None) -> Iterator[str]:
    """All audio below a folder, see `walk.files`."""
    return walk.files(root, suffixes=AUDIO_SUFFIXES, skipped=skipped)
