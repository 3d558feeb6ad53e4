"""JSON files, ours and others', read so that what is wrong with them names file and field."""

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_LONGEST_SHOWN = 60  # characters of a value
_WORDS = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    dict: "an object",
    list: "a list",
    None: "null",
    object: "anything",
}


def read(path: str | os.PathLike, like: Any = object, *, origin: str = "ours") -> Any:
    """The content of a JSON file.

    Args:
        path: of the file.
        like: what it must look like, see `check`.
        origin: "ours", of which there may be a copy, or "theirs".

    Raises:
        ValueError: it is no JSON, holds a key twice or no finite number, or is not like that.
        OSError: it cannot be read.
    """
    path = Path(path)
    return parse(path.read_bytes(), like, name=str(path), origin=origin)


def parse(text: str | bytes, like: Any = object, *, name: str, origin: str = "ours") -> Any:
    """The same of text; `name` is what to call it."""
    hint = f"; restore {Path(name).name} from a copy" if origin == "ours" else ""
    try:
        # Bytes would be taken for UTF-16 or 32 where they look like it.
        text = text.decode("utf-8-sig") if isinstance(text, bytes) else text
        content = json.loads(text, object_pairs_hook=_once, parse_constant=_refuse)
    except json.JSONDecodeError as error:
        what = "is empty" if not text.strip() else f"is no JSON or was cut short: {error}"
        raise ValueError(f"{name} {what}{hint}") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{name} is no text in UTF-8{hint}") from error
    except RecursionError as error:
        raise ValueError(f"{name} is nested deeper than any file of its kind{hint}") from error
    except ValueError as error:
        raise ValueError(f"{name}: {error}{hint}") from error
    check(content, like, name=name)
    return content


def check(content: Any, like: Any, *, name: str, field: str = "") -> None:
    """Raise a ValueError that names file and field unless content of JSON is like something.

    Args:
        content: what was read.
        like: a type (`float` takes whole numbers too, `object` everything), or None for null; a
            tuple of these, one of which it must be; [like] for a list, [like, like] for one of two;
            {name: like} for an object with at least these fields; {str: like} for one with any.
        name: of the file.
        field: that the content is of.
    """
    if isinstance(like, Mapping):
        _must(isinstance(content, dict), dict, content, name, field)
        for key in content if str in like else like:
            inner = f"{field}.{key}" if field else str(key)
            if key not in content:
                raise ValueError(f"{name} lacks {inner}, which must be {_words(like[key])}")
            check(content[key], like.get(key, like.get(str)), name=name, field=inner)
    elif isinstance(like, list):
        _must(isinstance(content, list), list, content, name, field)
        if len(like) > 1 and len(content) != len(like):
            raise ValueError(
                f"{name}: {field} has {len(content)} entries; it must have {len(like)}"
            )
        for number, each in enumerate(content):
            inner = like[number] if len(like) > 1 else like[0]
            check(each, inner, name=name, field=f"{field}[{number}]")
    else:
        kinds = like if isinstance(like, tuple) else (like,)
        _must(any(_is(content, kind) for kind in kinds), like, content, name, field)


def _is(content: Any, kind: Any) -> bool:
    if kind is object:
        return True
    if kind is None or isinstance(content, bool):
        return content is None if kind is None else kind is bool
    if kind is float:
        return isinstance(content, int | float) and math.isfinite(content)
    return isinstance(content, kind)


def _must(fits: bool, like: Any, content: Any, name: str, field: str) -> None:
    if not fits:
        shown = json.dumps(content, ensure_ascii=False)
        shown = shown if len(shown) <= _LONGEST_SHOWN else f"{shown[:_LONGEST_SHOWN]}..."
        where = f"{name}: {field} is" if field else f"{name} holds"
        raise ValueError(f"{where} {shown}; it must be {_words(like)}")


def _words(like: Any) -> str:
    if isinstance(like, Mapping | list):
        return _words(dict if isinstance(like, Mapping) else list)
    return " or ".join(_WORDS[kind] for kind in (like if isinstance(like, tuple) else (like,)))


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [key for key, _ in pairs]
        raise ValueError(f"{next(key for key in names if names.count(key) > 1)} is there twice")
    return found


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number of JSON")
