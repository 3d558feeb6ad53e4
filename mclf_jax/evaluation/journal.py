"""Scores or embeddings of many songs as one file, and the journal that lets a command go on."""

import contextlib
import dataclasses
import io
import itertools
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mclf_jax.common import checks, files, walk
from mclf_jax.common.text import tables

FORMATS = (".csv", ".jsonl", ".parquet")
_SONGS_AT_ONCE = 4096  # in a group of rows of Parquet


class Journal:
    """A line for each song that is done, appended at once, beside the file they end in.

    It stays when the table is written: the same command then does only what is new or changed.
    """

    def __init__(self, out: Path, *, identity: str, others: str = "refuse"):
        """Opens the journal of the file `out`, which `place` says.

        Args:
            out: the file.
            identity: of the network, the windows and all else that values of a song depend on.
            others: what to do with a journal of another one, "refuse" or begin "anew".

        Raises:
            ValueError: it is of another one.
        """
        self.path = place(out)
        self._places: dict[str, tuple[list[int], int]] = {}
        self._file = self.path.open("a+b")
        self._file.seek(0)
        head, end = self._file.readline(), 0
        if head.endswith(b"\n"):
            same = _parsed(head).get("identity") == identity
            if not same and others == "refuse":
                self._file.close()
                raise ValueError(
                    f"{self.path} is of another network, other weights or other windows than these;"
                    " they are not mixed: give another --out, or delete it to begin anew"
                )
            end = self._file.tell() if same else 0
            for line in iter(self._file.readline, b"") if same else ():
                entry = _parsed(line) if line.endswith(b"\n") else {}
                if not entry:
                    break  # it was cut short when the command was
                self._places[entry["path"]] = (entry["stamp"], end)
                end = self._file.tell()
        self._file.truncate(end)
        if not end:
            self._append({"identity": identity})

    def close(self) -> None:
        self._file.close()

    def is_done(self, path: str) -> bool:
        """Whether the song is in it, and its file has not changed since."""
        return path in self._places and self._places[path][0] == stamp(path)

    def add(self, path: str, *, stamp: list[int], duration_s: float, **values: Any) -> None:
        """Write a song and its values down, arrays or lists of dataclasses; `stamp` is that of its
        file before it was heard."""
        numbers = {name: list(map(_plain, each)) for name, each in values.items()}
        entry = {"path": path, "stamp": stamp, "duration_s": duration_s} | numbers
        self._places[path] = (stamp, self._append(entry))

    def rows(self, paths: Sequence[str]) -> Iterator[dict[str, Any]]:
        """{"path", "stamp", "duration_s", "scores": K numbers}, or whatever was added, of those of
        the songs that are done."""
        for path in paths:
            if path in self._places:
                self._file.seek(self._places[path][1])
                yield _parsed(self._file.readline())

    def _append(self, entry: Mapping[str, Any]) -> int:
        place = self._file.seek(0, os.SEEK_END)
        self._file.write(json.dumps(entry).encode() + b"\n")
        self._file.flush()
        return place


def _plain(value: Any) -> Any:
    """In JSON types, numbers as short as float32 can be written without a change."""
    return dataclasses.asdict(value) if dataclasses.is_dataclass(value) else float(str(value))


def place(out: Path) -> Path:
    """Where the journal of a file is."""
    return out.with_name(f"{out.name}.journal")


def _parsed(line: bytes) -> dict[str, Any]:
    with contextlib.suppress(ValueError):
        entry = json.loads(line)
        if isinstance(entry, dict):
            return entry
    return {}


def stamp(path: str) -> list[int]:
    """Size and time of last change of a file; empty where there is none."""
    with contextlib.suppress(OSError, ValueError):
        status = os.stat(path)
        return [status.st_size, status.st_mtime_ns]
    return []


def write_embeddings(out: Path, rows: Iterator[dict[str, Any]]) -> int:
    """Write rows with an "embedding" as a whole .npz of paths, as they are on disk, and embeddings.

    Returns:
        How many numbers an embedding has; 0, and nothing is written, without any rows.
    """
    paths, embeddings = [], []
    for row in rows:
        paths.append(row["path"])
        embeddings.append(np.array(row["embedding"], np.float32))
    if not paths:
        return 0
    with files.replacing(out) as temporary:
        np.savez(temporary, paths=np.array(paths), embeddings=np.stack(embeddings))
    return len(embeddings[0])


def check_format(out: Path) -> None:
    """Raise an error if no table can be written with this ending."""
    checks.choice("the ending of --out", out.suffix, FORMATS)
    if out.suffix == ".parquet":
        try:
            import pyarrow.parquet  # noqa: F401
        except ImportError as error:
            raise ImportError(
                f"--out is {out}: Parquet needs pyarrow: pip install 'mclf-jax[parquet]'"
            ) from error


def write(
    out: Path,
    rows: Iterator[dict[str, Any]],
    *,
    labels: Sequence[str],
    tags: Callable[[Mapping[str, float]], list[str]] | None = None,
) -> None:
    """Write rows of a `Journal` as a whole table; the format is the ending of `out`.

    Names of files are as `walk.shown` has them. A label that is named as another column gets
    " (label)" after it.

    Args:
        out: the file.
        rows: of `Journal.rows`.
        labels: K names.
        tags: from {label: score} to the labels that a song has; with it "tags" is the last column,
            in .csv and .parquet joined by "|".
    """
    taken = ("path", "duration_s", *(["tags"] if tags is not None else []))
    columns = [f"{name} (label)" if name in taken else name for name in labels]
    shown: Iterator[dict[str, Any]] = (
        {
            "path": walk.shown(row["path"]),
            "duration_s": round(row["duration_s"], 3),
            "scores": row["scores"],
            **(
                {}
                if tags is None
                else {"tags": tags(dict(zip(labels, row["scores"], strict=True)))}
            ),
        }
        for row in rows
    )
    head = [*taken[:2], *columns, *taken[2:]]
    with files.replacing(out) as temporary:
        if out.suffix == ".parquet":
            _write_parquet(temporary, shown, columns, taken[2:])
            return
        with open(temporary, "w", encoding="utf-8", newline="") as file:
            if out.suffix == ".csv":
                cells = (
                    [row["path"], round(row["duration_s"], 3), *row["scores"], *_joined(row)]
                    for row in shown
                )
                tables.write_rows(file, itertools.chain([head], cells))
            else:
                for row in shown:
                    scores = dict(zip(labels, row["scores"], strict=True))
                    file.write(json.dumps(row | {"scores": scores}, ensure_ascii=False) + "\n")


def _joined(row: Mapping[str, Any]) -> list[str]:
    return ["|".join(row["tags"])] if "tags" in row else []


def _write_parquet(
    path: Path, rows: Iterator[dict[str, Any]], columns: Sequence[str], more: Sequence[str]
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    scores = [(name, pa.float32()) for name in columns]
    texts = [(name, pa.string()) for name in more]
    schema = pa.schema([("path", pa.string()), ("duration_s", pa.float64()), *scores, *texts])
    with pq.ParquetWriter(path, schema) as writer:
        while some := list(itertools.islice(rows, _SONGS_AT_ONCE)):
            values = np.array([row["scores"] for row in some], np.float32)
            durations = [row["duration_s"] for row in some]
            arrays = [[row["path"] for row in some], durations, *values.T]
            arrays += [["".join(_joined(row)) for row in some]] * len(texts)
            arrays = [pa.array(a, f.type) for a, f in zip(arrays, schema, strict=True)]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))


def write_skipped(out: Path, skipped: Sequence[tuple[str, str]]) -> Path:
    """Write path and reason of what was left out beside the table; none makes no file."""
    path = out.with_name(f"{out.name}.skipped.csv")
    if not skipped:
        path.unlink(missing_ok=True)
        return path
    text = io.StringIO(newline="")
    tables.write_rows(text, [("path", "reason"), *((walk.shown(p), why) for p, why in skipped)])
    files.write_text(path, text.getvalue())
    return path
