"""The config files that ship: `configs/` of a checkout, `mclf_jax/configs/` of an installed wheel.

"folder" and "ablations/frontend" name them wherever one is; so does a path to any file.
"""

import ast
import dataclasses
import difflib
import importlib.util
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from mclf_jax.common import plugins

_PACKAGE = Path(__file__).resolve().parents[1]


class Asked(Exception):
    """Raised by `parse_arg` of "?": what the argument of a config may hold, {key: default}."""

    def __init__(self, defaults: Mapping[str, Any]):
        super().__init__("config argument ?")
        self.defaults = dict(defaults)


@dataclasses.dataclass(frozen=True)
class About:
    """What a config file says of itself.

    Attributes:
        text: its docstring.
        arguments: what may follow the colon, {key: default}; of words, the first is it.
    """

    text: str
    arguments: Mapping[str, Any]


def folder() -> Path:
    """Where the config files are."""
    inside = _PACKAGE / "configs"
    return inside if inside.is_dir() else _PACKAGE.parent / "configs"


def names() -> list[str]:
    """Of all config files that ship, recipes before ablations."""
    files = [path.relative_to(folder()) for path in folder().rglob("*.py")]
    return [p.with_suffix("").as_posix() for p in sorted(files, key=lambda p: (len(p.parts), p))]


def find(name: str) -> Path:
    """The file of a name or path.

    Raises:
        ValueError: there is none.
    """
    if Path(name).is_file():
        return Path(name)
    short = name.removeprefix("configs/").removesuffix(".py")
    if (known := names()) and short in known:
        return folder() / f"{short}.py"
    close = difflib.get_close_matches(short, known)
    hint = f"did you mean {' or '.join(close)}? " if close else ""
    raise ValueError(f"--config {name}: no such file; {hint}`mclf configs` lists those that ship")


def title(name: str) -> str:
    """The first line of a config file's docstring, which is not run for that."""
    text = ast.get_docstring(ast.parse(find(name).read_text(encoding="utf-8"))) or ""
    return text.partition("\n")[0]


def load_module(name: str) -> ModuleType:
    """The Python module of a config file.

    Raises:
        ValueError: there is no such file.
    """
    file = find(name)
    if not file.resolve().is_relative_to(folder().resolve()):
        plugins.note_file(str(file))  # somebody else's
    spec = importlib.util.spec_from_file_location("mclf_config", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def about(name: str) -> About:
    """What a config file says of itself, read by running it.

    Raises:
        ValueError: there is no such file.
    """
    module, arguments = load_module(name), {}
    try:
        getattr(module, "get_config", lambda arg: None)("?")
    except Asked as asked:
        arguments = asked.defaults
    return About(text=(module.__doc__ or "").strip(), arguments=arguments)


def describe(name: str) -> str:
    """The same as text for a terminal."""
    found = about(name)
    lines = [found.text, ""]
    if found.arguments:
        lines.append(f"Arguments, as --config {name}:{_example(found.arguments)}")
    for key, default in found.arguments.items():
        if isinstance(default, tuple):
            listed = ", ".join(str(one) or "''" for one in default)
            lines.append(f"  {key:<18} {listed}  (default: the first)")
        else:
            lines.append(f"  {key:<18} default: {default!r}")
    return "\n".join(lines)


def _example(arguments: Mapping[str, Any]) -> str:
    first = next(iter(arguments))
    return "path=DIR" if "path" in arguments else f"{first}=..."
