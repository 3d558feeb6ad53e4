"""JSON as damage, other versions and strangers leave it, of content that was right."""

import copy
import json
from collections.abc import Iterator
from typing import Any

_OTHERS = ([], {}, None, "x", -1, 0.5, True, [[]], {"x": {}})


def whole_files(text: str) -> Iterator[tuple[str, bytes]]:
    """(what was done, content) where the whole file is another one."""
    content = json.loads(text)
    yield "empty", b""
    yield "zeros", bytes(len(text))
    yield "cut", text[: len(text) // 2].encode()
    yield "binary", b"\xff\xfe\x00" + bytes(range(256))
    yield "latin-1", json.dumps({**content, "é": "é"}, ensure_ascii=False).encode("latin-1")
    yield "deep", b"[" * 100_000
    yield "deep, closed", b"[" * 100_000 + b"]" * 100_000
    yield "NaN", json.dumps({**content, "more": float("nan")}).encode()
    yield "a key twice", text.rstrip().removesuffix("}").encode() + b', "x": 1, "x": 2}'
    yield "long number", json.dumps(content).replace(": ", ": " + "1" * 5000, 1).encode()
    for other in ([], {}, None, 3, "x", [content]):
        yield f"{json.dumps(other)[:9]} in its place", json.dumps(other).encode()


def changed_fields(text: str) -> Iterator[tuple[str, bytes]]:
    """(field and what is there, content), each field at any depth in turn."""
    content = json.loads(text)
    for path in _paths(content):
        for other in _OTHERS:
            changed = copy.deepcopy(content)
            parent = _at(changed, path[:-1])
            if type(parent[path[-1]]) is not type(other):
                parent[path[-1]] = other
                yield f"{path} is {other!r}", json.dumps(changed).encode()
        changed = copy.deepcopy(content)
        del _at(changed, path[:-1])[path[-1]]
        yield f"without {path}", json.dumps(changed).encode()


def _paths(content: Any) -> Iterator[tuple]:
    if isinstance(content, dict | list):
        for key in content if isinstance(content, dict) else range(min(1, len(content))):
            yield (key,)
            for rest in _paths(content[key]):
                yield (key, *rest)


def _at(content: Any, path: tuple) -> Any:
    for key in path:
        content = content[key]
    return content
