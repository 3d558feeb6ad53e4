"""Valence and arousal over time: tables with a column for each half second, as excerpts of songs.

An excerpt ends at the annotated time. People rated while they listened, so what comes after that
time cannot have moved their hand, and what they heard in the seconds before did.
"""

import dataclasses
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from mclf_jax.data.catalogue.items import Item
from mclf_jax.data.catalogue.layout import check_option, read_rows

LABELS = ("valence", "arousal")

_TIME = re.compile(r"sample_(\d+)ms")


def read_table(
    file: Path, *, columns: Sequence[str]
) -> Iterator[tuple[int, int, Mapping[str, str]]]:
    """(line number, song id, {column: cell}) of each row, blanks and tabs around cells removed.

    Args:
        file: comma-separated, with a header line.
        columns: needed; the first holds the id of a song.

    Raises:
        ValueError: a column is missing, or an id is not a number.
    """
    for line, row in read_rows(file, columns=()):
        cells = {name.strip(): (cell or "").strip() for name, cell in row.items() if name}
        missing = [name for name in columns if name not in cells]
        if missing:
            raise ValueError(
                f"{file} has no column {', '.join(missing)}; it has {', '.join(cells)}"
            )
        try:
            song = int(cells[columns[0]])
        except ValueError as error:
            raise ValueError(f"{file}, line {line}: {columns[0]}: {error}") from error
        yield line, song, cells


def number(cell: str, *, where: str) -> float:
    """The number in a cell, NaN where it is empty.

    Raises:
        ValueError: it is something else.
    """
    try:
        return float(cell) if cell else math.nan
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error


def read_series(file: Path) -> dict[int, dict[int, float]]:
    """{song: {time in ms: value}} of a table with columns such as sample_15000ms; no empty cells.

    Raises:
        ValueError: there are no such columns, or a cell is not a number.
    """
    series: dict[int, dict[int, float]] = {}
    for line, song, cells in read_table(file, columns=("song_id",)):
        times = {name: int(found[1]) for name in cells if (found := _TIME.fullmatch(name))}
        if not times:
            raise ValueError(f"{file} has no columns such as sample_15000ms; it has a song_id only")
        series[song] = {
            time_ms: number(cells[name], where=f"{file}, line {line}, {name}")
            for name, time_ms in times.items()
            if cells[name]
        }
    return series


def rated_excerpts(
    songs: Sequence[Item], *, valence: Path, arousal: Path, context_s: float
) -> tuple[tuple[Item, ...], tuple[tuple[str, str], ...]]:
    """An item for each annotated time of each song, and (song, reason) of songs without any.

    Args:
        songs: named by their number; each gives everything but the excerpt and its values.
        valence, arousal: tables, see `read_series`; where one lacks a time its value is NaN.
        context_s: length of an excerpt, which ends at its time; less where the song began later.

    Raises:
        ValueError: see `read_series`.
    """
    series = read_series(valence), read_series(arousal)
    items: list[Item] = []
    skipped = []
    for song in songs:
        ratings = [table.get(int(song.item_id), {}) for table in series]
        for time_ms in sorted(set().union(*ratings)):
            end_s = time_ms / 1000
            start_s = max(0.0, end_s - context_s)
            items.append(
                dataclasses.replace(
                    song,
                    item_id=f"{song.item_id}@{end_s:g}s",
                    values=tuple(rating.get(time_ms, math.nan) for rating in ratings),
                    start_s=start_s,
                    duration_s=end_s - start_s,
                    columns={**song.columns, "song_id": song.item_id, "time_s": f"{end_s:g}"},
                )
            )
        if not any(ratings):
            skipped.append((song.item_id, "no ratings over time"))
    return tuple(items), tuple(skipped)


def check_options(annotation: str, context_s: float) -> None:
    """Raises ValueError where the options of a reader are not what they can be."""
    check_option("annotation", annotation, ("static", "dynamic"))
    if not 0 < context_s < math.inf:
        raise ValueError(f"context_s must be more than 0 seconds, got {context_s}")


def artist_group(artist: str, *, song: int) -> str:
    """The group of a song: its artist, however it was typed, or the song where none is known."""
    name = " ".join(artist.replace('"', " ").split()).casefold()
    return name if name and name != "n/a" else f"song {song}"
