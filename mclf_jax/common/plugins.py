"""Parts from outside the package, under a name of a config that none of ours has.

Such a name is one of

- "package.module:Name": of a package that is installed, or lies in the current folder;
- "path/nets.py:Name": of a file, which may import its neighbours as a script does;
- a word that an installed package declares as an entry point of the group `mclf_jax.KIND`.

docs/extending.md has the contract of each kind.
"""

import difflib
import importlib
import importlib.metadata
import importlib.util
import sys
import types
from collections.abc import Collection
from pathlib import Path
from typing import Any

# Folders and packages of what was found, by which `outside_frame` knows other people's code.
_FOLDERS: set[str] = set()
_PACKAGES: set[str] = set()
_PACKAGE = str(Path(__file__).resolve().parents[1])


def find(kind: str, name: str, *, field: str, known: Collection[str]) -> Any:
    """What a name stands for.

    Args:
        kind: "models", "fronts", "backs", "objectives", "data", "features", "augmentations",
            "optimizers", "schedules", "metrics" or "writers".
        name: which is none of `known`.
        field: of the config that holds it, for messages.
        known: our own names of this kind.

    Raises:
        ValueError: there is nothing of that name. What goes wrong inside of it is raised as it is.
    """
    if ":" in name:
        where, _, attribute = name.rpartition(":")
        says = f"{field} is {name!r}"
        is_file = where.endswith(".py")
        module = _module_of_file(where, says) if is_file else _module_of_name(where, says)
        found = module
        for part in attribute.split("."):
            if not hasattr(found, part):
                raise ValueError(
                    f"{says}, but {where} has no {attribute}{_hint(module, attribute)}"
                )
            found = getattr(found, part)
        return found
    declared = {entry.name: entry for entry in _entry_points(kind)}
    if name in declared:
        _PACKAGES.add(declared[name].module.partition(".")[0])
        return declared[name].load()
    listed = ", ".join([*(one or "''" for one in known), *sorted(declared)])
    raise ValueError(f"{field} is {name!r}; allowed: {listed}, package.module:Name, file.py:Name")


def declared(kind: str) -> list[str]:
    """Names that installed packages declare for a kind."""
    return sorted(entry.name for entry in _entry_points(kind))


def with_whole_path(name: str) -> str:
    """A name of a config, of whose file "nets.py:Net" the path no longer depends on the folder."""
    file, colon, attribute = name.rpartition(":")
    if colon and file.endswith(".py") and attribute.isidentifier():
        return f"{Path(file).expanduser().absolute()}:{attribute}"
    return name


def note_file(file: str) -> None:
    """Let `outside_frame` know a file that is run, such as a config."""
    _FOLDERS.add(str(Path(file).resolve().parent))


def outside_frame(error: BaseException) -> types.TracebackType | None:
    """Where other people's code was entered last, if that is what raised an error; else None.

    An error that our own code raises about what it was called with is none of theirs.
    """
    entered = None
    frame = error.__traceback__
    while frame is not None:
        file = frame.tb_frame.f_code.co_filename
        package = frame.tb_frame.f_globals.get("__name__", "").partition(".")[0]
        if file.startswith(_PACKAGE):
            entered = None
        elif package in _PACKAGES or str(Path(file).parent) in _FOLDERS:
            entered = entered or frame
        frame = frame.tb_next
    return entered


def _entry_points(kind: str) -> Collection[importlib.metadata.EntryPoint]:
    return importlib.metadata.entry_points(group=f"mclf_jax.{kind}")


def _module_of_file(where: str, says: str) -> types.ModuleType:
    file = Path(where).expanduser().resolve()
    if not file.is_file():
        raise ValueError(f"{says}, but there is no file {file}")
    # By its own name, from its folder, so that processes that are started find it too.
    if str(file.parent) not in sys.path:
        sys.path.append(str(file.parent))
    loaded = sys.modules.get(file.stem)
    spec = loaded.__spec__ if loaded else importlib.util.find_spec(file.stem)
    if spec is None or not spec.origin or Path(spec.origin).resolve() != file:
        raise ValueError(f"{says}, but there is another module {file.stem!r}; rename the file")
    _FOLDERS.add(str(file.parent))
    return importlib.import_module(file.stem)


def _module_of_name(where: str, says: str) -> types.ModuleType:
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)
    _PACKAGES.add(where.partition(".")[0])
    try:
        return importlib.import_module(where)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{where}.".startswith(f"{error.name}."):
            raise
        raise ValueError(
            f"{says}, but there is no module {error.name!r}; install it, or add the folder that "
            "it is in to PYTHONPATH"
        ) from error


def _hint(module: types.ModuleType, attribute: str) -> str:
    own = [
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == module.__name__
    ]
    close = difflib.get_close_matches(attribute, dir(module))
    if close:
        return f"; did you mean {' or '.join(close)}?"
    return f"; it has {', '.join(own)}" if own else ""
