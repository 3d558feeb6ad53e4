"""FMA, the Free Music Archive: tracks with genres in a hierarchy, in four sizes.

The folder, as its archives unpack:

    fma_metadata/tracks.csv     two header lines (table, column), then one with "track_id"
    fma_metadata/genres.csv     genre_id, title, parent
    fma_small/000/000002.mp3    also fma_medium, fma_large: clips of 30 s; fma_full: whole tracks
"""

import collections
import dataclasses
import graphlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from mclf_jax.common import checks
from mclf_jax.common.text import tables
from mclf_jax.data.catalogue import layout
from mclf_jax.data.catalogue.items import UNLABELLED, Catalogue, Facts, Item

FACTS = Facts(
    name="fma",
    title="FMA",
    contents="106,574 tracks of 161 genres, whole or as clips of 30 s; small: 8,000 of 8 genres",
    tasks={
        "labels=genre_top": "single_label",
        "labels=genres": "multi_label",
        "labels=hierarchy": "multi_label",
    },
    splits={
        "subset=small": {"train": 6400, "valid": 800, "test": 800},
        "subset=medium": {"train": 19922, "valid": 2505, "test": 2573},
    },
    group="artist",
    version="2017-05-09 (rc1)",
    licence="Creative Commons, chosen by each artist",
    citation=(
        "M. Defferrard, K. Benzi, P. Vandergheynst, X. Bresson, FMA: A Dataset for Music Analysis,"
        " ISMIR 2017"
    ),
    url="https://github.com/mdeff/fma",
    faults=(
        "Some clips are shorter than 30 s or empty, because the website gave wrong durations; the"
        " 21 of the medium set that the authors list, 6 of them in small, are left out.",
        "Genres were chosen by the artists themselves; about half of the tracks of the large and"
        " full sets have no genre_top, because their genres lie under several roots.",
        "Audio quality varies from track to track.",
    ),
)

# Of each subset, the values of the column set.subset that belong to it, and the folders whose audio
# is the same: smaller sets are parts of the larger; only the full set has whole tracks.
_SUBSETS = {
    "small": (("small",), ("fma_small", "fma_medium", "fma_large")),
    "medium": (("small", "medium"), ("fma_medium", "fma_large")),
    "large": (("small", "medium", "large"), ("fma_large",)),
    "full": (("small", "medium", "large"), ("fma_full",)),
}
_TRACKS = ("fma_metadata/tracks.csv", "tracks.csv")
_SPLITS = {"training": "train", "validation": "valid", "test": "test"}
_ID = ("", "")  # the first column has no name in the first two header lines
_COLUMNS = (
    ("set", "split"),
    ("set", "subset"),
    ("artist", "id"),
    ("artist", "name"),
    ("album", "id"),
    ("track", "title"),
    ("track", "license"),
    ("track", "genre_top"),
    ("track", "genres"),
)
# Columns that are read where the table has them: of each, what it becomes. Those of the artists
# themselves, mostly right to the year.
_DATES = {("album", "date_released"): "date_released", ("track", "date_recorded"): "date_recorded"}
# https://github.com/mdeff/fma/wiki, "Excerpts shorter than 30s"
_SHORT_CLIPS = frozenset(
    [1486, 5574, 65753, 80391, 98558, 98559, 98560, 98565, 98566, 98567, 98568, 98569, 98571]
    + [99134, 105247, 108924, 108925, 126981, 127336, 133297, 143992]
)


def catalogue(
    path: str | os.PathLike, *, subset: str = "small", labels: str = "genre_top"
) -> Catalogue:
    """Reads the metadata of one of the four sets.

    Args:
        path: the folder that holds `fma_metadata` and the audio, see above.
        subset: "small" (8 genres), "medium" (16), "large", or "full" (whole tracks).
        labels: "genre_top", the one root genre of a track; "genres", the genres that the artist
            gave it, as tags; "hierarchy", those and all genres above them, which is the column
            genres_all of the authors. Tracks without any are in the split "unlabelled".

    Raises:
        ValueError: an unknown option, or not the files of FMA.
    """
    checks.choice("subset", subset, tuple(_SUBSETS))
    checks.choice("labels", labels, ("genre_top", "genres", "hierarchy"))
    root = layout.data_root(path, title=FACTS.title, holds=_TRACKS)
    table = layout.find(root, *_TRACKS, title=FACTS.title)
    genres = _read_genres(layout.find(table.parent, "genres.csv", title=FACTS.title))
    values, folders = _SUBSETS[subset]
    audio = layout.find(root, *folders, title=f"{FACTS.title} with the audio of the {subset} set")

    items, short = [], []
    for line, row in _read_tracks(table):
        checks.choice(
            f"{table}, line {line}: set.subset", row["set", "subset"], _SUBSETS["full"][0]
        )
        if row["set", "subset"] not in values:
            continue
        item = _item(row, labels, genres=genres, audio=audio, where=f"{table}, line {line}")
        if subset != "full" and int(item.item_id) in _SHORT_CLIPS:
            short.append((item.item_id, "shorter than 30 s: a known fault of FMA"))
        else:
            items.append(item)
    used = {name for item in items for name in item.labels}
    if labels == "genre_top":
        names, parents = tuple(sorted(used)), {}
    else:
        names = tuple(name for name, _ in genres.values() if name in used)
        parents = {name: parent for name, parent in genres.values() if parent and name in used}
    found = layout.make_catalogue(
        FACTS,
        items,
        looked_in=audio,
        task=FACTS.tasks[f"labels={labels}"],
        labels=names,
        parents=parents if labels == "hierarchy" else {},
        skipped=short,
    )
    if unlabelled := sum(item.split == UNLABELLED for item in found.items):
        note = f"{unlabelled} tracks have no {labels}: they are in the split unlabelled"
        found = dataclasses.replace(found, notes=(*found.notes, note))
    return found


def _read_genres(file: Path) -> dict[int, tuple[str, str | None]]:
    """{genre id: (name, name of its parent)}, in the order of the file."""
    table = tables.read(file, columns=("genre_id", "title", "parent"))
    genres: dict[int, tuple[str, int]] = {}
    for line, row in table.rows:
        try:
            genre, parent = int(row["genre_id"]), int(row["parent"])
        except ValueError as error:
            raise ValueError(f"{file}, line {line}: genre_id or parent: {error}") from error
        if genre in genres or not row["title"]:
            raise ValueError(
                f"{file}, line {line}: genre {genre} is there twice, or has no title; got {row}"
            )
        genres[genre] = row["title"], parent
    try:
        graphlib.TopologicalSorter(
            {genre: [above] for genre, (_, above) in genres.items()}
        ).prepare()
    except graphlib.CycleError as error:
        raise ValueError(f"{file}: genres above each other in a circle: {error.args[1]}") from error
    titles = collections.Counter(title for title, _ in genres.values())
    # A name must say which genre it is: where two have one title, their ids are added.
    names = {
        genre: title if titles[title] == 1 else f"{title} ({genre})"
        for genre, (title, _) in genres.items()
    }
    # Parent 0: a root.
    return {genre: (names[genre], names.get(parent)) for genre, (_, parent) in genres.items()}


def _read_tracks(file: Path) -> Iterator[tuple[int, Mapping[tuple[str, str], str]]]:
    """(line number, {(table, column): cell}) of each track."""
    rows = tables.read_cells(file, dialect=tables.WRITTEN)
    first, second, third = (next(rows, (0, [""]))[1] for _ in range(3))
    header = list(zip(first, second, strict=False))
    missing = [".".join(column) for column in _COLUMNS if column not in header]
    if missing or third[0] != "track_id":
        raise ValueError(
            f"{file} must have two header lines with the columns {', '.join(missing)}, and a third"
            " with track_id, as FMA distributes it"
        )
    for line, cells in rows:
        if len(cells) != len(header):
            raise ValueError(f"{file}, line {line}: {len(cells)} cells, needed {len(header)}")
        yield line, {**dict(zip(header, cells, strict=True)), _ID: cells[0]}


def _item(
    row: Mapping[tuple[str, str], str],
    labels: str,
    *,
    genres: Mapping[int, tuple[str, str | None]],
    audio: Path,
    where: str,
) -> Item:
    try:
        track_id = f"{int(row[_ID]):06d}"
        split = _SPLITS[row["set", "split"]]
        if labels == "genre_top":
            found = (row["track", "genre_top"],) if row["track", "genre_top"] else ()
        else:
            found = tuple(genres[genre][0] for genre in json.loads(row["track", "genres"]))
    except (KeyError, ValueError, TypeError, RecursionError) as error:
        raise ValueError(f"{where}: id, split or genres are not understood: {error!r}") from error
    if labels == "hierarchy":
        found = _with_ancestors(found, dict(genres.values()))
    return Item(
        item_id=track_id,
        file=str(audio / track_id[:3] / f"{track_id}.mp3"),
        labels=found,
        split=split if found else UNLABELLED,
        group=row["artist", "id"],
        licence=row["track", "license"],
        columns={
            "title": row["track", "title"],
            "artist": row["artist", "name"],
            "album_id": row["album", "id"],
            "genre_top": row["track", "genre_top"],
            **_dates(row),
        },
    )


def _dates(row: Mapping[tuple[str, str], str]) -> dict[str, str]:
    """When it was released and recorded, such as 2009-01-05, and the year of the first known."""
    dates = {name: row[column][:10] for column, name in _DATES.items() if column in row}
    years = [date[:4] for date in dates.values() if re.fullmatch("[0-9]{4}", date[:4])]
    return {**dates, "year": next(iter(years), "")} if dates else {}


def _with_ancestors(names: tuple[str, ...], parents: Mapping[str, str | None]) -> tuple[str, ...]:
    closed: dict[str, None] = {}
    for name in names:
        step: str | None = name
        while step is not None and step not in closed:
            closed[step] = None
            step = parents[step]
    return tuple(closed)
