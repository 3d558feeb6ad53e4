"""The floors of the package: folders import from those below them only, and not in circles."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import ROOT

PACKAGE = ROOT / "mclf_jax"
# Each imports only from those before it in its list; a folder without a list here has no order
# of its own, but is free of circles like all others.
FLOORS = {
    "": (
        "weights common audio losses models augment data objectives metrics config figures run "
        "evaluation shallow convert report export api catalogue trial serve train probe sweep cli "
        "__main__ __init__"
    ),
    "data": (
        "base splits catalogue readers sources prepare tfds views check annotators synthesis made"
    ),
}
MOST_FILES = 12
MAY_HAVE_MORE = {"data/readers"}


def imports() -> Iterator[tuple[Path, int, Path]]:
    """(file, line, file that it imports) for every import within the package, wherever it is."""
    for file in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                assert not node.level, f"{file}:{node.lineno}: a relative import"
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            for name in names:
                if name.partition(".")[0] == "mclf_jax":
                    yield file, node.lineno, _file_of(name)


def _file_of(name: str) -> Path:
    path = ROOT.joinpath(*name.split("."))
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.exists():
            return candidate
    return _file_of(name.rpartition(".")[0])


ARROWS = list(imports())


def _room(file: Path, *, below: str) -> str | None:
    """The entry of folder `below` that a file is in; None outside of it."""
    try:
        parts = file.relative_to(PACKAGE / below).parts
    except ValueError:
        return None
    return parts[0].removesuffix(".py")


@pytest.mark.parametrize("folder", FLOORS)
def test_each_room_imports_only_from_those_below_it(folder):
    floor = {name: height for height, name in enumerate(FLOORS[folder].split())}
    up = []
    for file, line, target in ARROWS:
        source, used = _room(file, below=folder), _room(target, below=folder)
        # What stands in a folder beside its rooms, such as its __init__, may use all of them.
        if source in floor and used in floor and floor[source] < floor[used]:
            up.append(f"{file.relative_to(ROOT)}:{line} imports {used}, which is above {source}")
    assert not up, "\n".join(up)
    if folder == "":
        there = {path.stem for path in PACKAGE.iterdir()} - {"__pycache__", "py"}  # py.typed
        assert there == set(floor)


def test_no_files_import_each_other_in_a_circle():
    # An __init__ that hands on names of its folder is no room of its own.
    uses: dict[Path, dict[Path, int]] = {}
    for file, line, target in ARROWS:
        if target.name != "__init__.py" or target.parent not in file.parents:
            uses.setdefault(file, {})[target] = line
    assert not (circle := _circle(uses)), " -> ".join(str(f.relative_to(ROOT)) for f in circle)


def test_no_folders_import_each_other_in_a_circle():
    folders = [PACKAGE, *(path for path in PACKAGE.rglob("*") if (path / "__init__.py").exists())]
    for folder in folders:
        uses: dict[str, dict[str, int]] = {}
        for file, line, target in ARROWS:
            below = str(folder.relative_to(PACKAGE))
            source, used = _room(file, below=below), _room(target, below=below)
            if source and used and source != used and "__init__" not in (source, used):
                uses.setdefault(source, {})[used] = line
        assert not (circle := _circle(uses)), f"in {folder}: {' -> '.join(circle)}"


def _circle(uses: dict) -> list:
    """Some nodes, each of which uses the next one, the last the first; empty if there are none."""
    done: set = set()

    def visit(node, path: list) -> list:
        if node in path:
            return [*path[path.index(node) :], node]
        if node in done:
            return []
        for other in uses.get(node, ()):
            if found := visit(other, [*path, node]):
                return found
        done.add(node)
        return []

    return next((found for node in uses if (found := visit(node, []))), [])


def test_no_folder_is_crowded():
    for folder in (path.parent for path in PACKAGE.rglob("__init__.py")):
        files = [path for path in folder.glob("*.py") if path.name != "__init__.py"]
        name = folder.relative_to(PACKAGE).as_posix()
        assert len(files) <= MOST_FILES or name in MAY_HAVE_MORE, f"{name}: {len(files)} files"


def test_no_name_repeats_its_folder():
    for file in PACKAGE.rglob("*.py"):
        assert file.stem.strip("s") != file.parent.name.strip("s"), file
