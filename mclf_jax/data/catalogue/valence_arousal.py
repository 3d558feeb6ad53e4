"""Valence and arousal over time: tables with a column for each half second, as excerpts of songs.

An excerpt ends at the annotated time. People rated while they listened, so what comes after that
time cannot have moved their hand, and what they heard in the seconds before did.
"""

import dataclasses
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from mclf_jax.common import checks
from mclf_jax.common.text import tables
from mclf_jax.data.catalogue.items import Catalogue, Facts, Item
from mclf_jax.data.catalogue.layout import find, make_catalogue

LABELS = ("valence", "arousal")

_TIME = re.compile(r"sample_(\d+)ms")


def read_table(
    file: Path, *, columns: Sequence[str], dialect: tables.Dialect = tables.CSV
) -> Iterator[tuple[int, int, Mapping[str, str]]]:
    """(line number, song id, {column: cell}) of each row, blanks and tabs around cells removed.

    Args:
        file: comma-separated, with a header line.
        columns: needed; the first holds the id of a song.
        dialect: how it is written.

    Raises:
        ValueError: a column is missing, an id is not a number, or a song is there twice with
            different cells.
    """
    seen: dict[int, Mapping[str, str]] = {}
    for line, row in tables.read(file, columns=columns, dialect=dialect).rows:
        cells = {name: cell.strip() for name, cell in row.items()}
        try:
            song = int(cells[columns[0]])
        except ValueError as error:
            raise ValueError(f"{file}, line {line}: {columns[0]}: {error}") from error
        if seen.setdefault(song, cells) != cells:
            raise ValueError(f"{file}, line {line}: song {song} is there twice; got {cells}")
        yield line, song, cells


def number(cell: str, *, where: str) -> float:
    """The number in a cell, NaN where it is empty.

    Raises:
        ValueError: it is something else.
    """
    try:
        found = float(cell) if cell else math.nan
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error
    if math.isinf(found):
        raise ValueError(f"{where}: {cell!r} is not a finite number")
    return found


def read_series(file: Path) -> dict[int, dict[int, float]]:
    """{song: {time in ms: value}} of a table with columns such as sample_15000ms; no empty cells.

    Raises:
        ValueError: there are no such columns, or a cell is not a number.
    """
    series: dict[int, dict[int, float]] = {}
    # Songs are not all as long as the longest one, for which there are columns.
    dialect = tables.Dialect(rows="short")
    for line, song, cells in read_table(file, columns=("song_id",), dialect=dialect):
        times = {name: int(found[1]) for name in cells if (found := _TIME.fullmatch(name))}
        if not times:
            raise ValueError(f"{file} has no columns such as sample_15000ms; it has a song_id only")
        series[song] = {
            time_ms: number(cells[name], where=f"{file}, line {line}, {name}")
            for name, time_ms in times.items()
            if cells[name]
        }
    return series


def rated_catalogue(
    facts: Facts,
    songs: Sequence[Item],
    *,
    looked_in: Path,
    annotation: str,
    context_s: float,
    over_time: tuple[Path, str],
    notes: Sequence[str] = (),
) -> Catalogue:
    """A catalogue of songs with static ratings, or of excerpts with those over time.

    Args:
        facts: of the data set.
        songs: named by their number, with their static ratings.
        looked_in: the folder of audio.
        annotation: "static" or "dynamic".
        context_s: length of an excerpt, which ends at its time; less where the song began later.
        over_time: folder and name, with {} for one of `LABELS`, of the tables of ratings over time,
            see `read_series`; where one lacks a time its value is NaN.
        notes: of the catalogue.

    Raises:
        ValueError: see `read_series` and `make_catalogue`.
    """
    about = {"looked_in": looked_in, "task": "regression", "labels": LABELS, "notes": notes}
    found = make_catalogue(facts, songs, **about)
    if annotation == "static":
        return found
    folder, table = over_time
    files = [find(folder, table.format(name), title=facts.title) for name in LABELS]
    series = [read_series(file) for file in files]
    items, skipped = [], list(found.skipped)
    for song in found.items:
        ratings = [table.get(int(song.item_id), {}) for table in series]
        items += _excerpts(song, ratings, context_s=context_s)
        if not any(ratings):
            skipped.append((song.item_id, "no ratings over time"))
    return dataclasses.replace(found, items=tuple(items), skipped=tuple(skipped))


def _excerpts(
    song: Item, ratings: Sequence[Mapping[int, float]], *, context_s: float
) -> Iterator[Item]:
    """An item for each annotated time."""
    for time_ms in sorted(set().union(*ratings)):
        end_s = time_ms / 1000
        start_s = max(0.0, end_s - context_s)
        yield dataclasses.replace(
            song,
            item_id=f"{song.item_id}@{end_s:g}s",
            values=tuple(rating.get(time_ms, math.nan) for rating in ratings),
            start_s=start_s,
            duration_s=end_s - start_s,
            columns={**song.columns, "song_id": song.item_id, "time_s": f"{end_s:g}"},
        )


def check_options(annotation: str, context_s: float) -> None:
    """Raise a ValueError where the options of a reader are not what they can be."""
    checks.choice("annotation", annotation, ("static", "dynamic"))
    checks.positive("context_s", context_s, unit="seconds")


def artist_group(artist: str, *, song: int) -> str:
    """The group of a song: its artist, however it was typed, or the song where none is known."""
    name = " ".join(artist.replace('"', " ").split()).casefold()
    return name if name and name != "n/a" else f"song {song}"
