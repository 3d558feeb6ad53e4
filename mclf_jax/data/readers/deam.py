"""DEAM (MediaEval 2013 to 2015): valence and arousal of 1,802 excerpts and songs.

The folder, as its archives unpack; `annotations` may lie in `DEAM_Annotations`, and `MEMD_audio` in
`DEAM_audio` or `audio`:

    annotations/annotations averaged per song/
        song_level/static_annotations_averaged_songs_1_2000.csv    song_id, valence_mean, ...
        song_level/static_annotations_averaged_songs_2000_2058.csv
        dynamic (per second annotations)/arousal.csv               song_id, sample_15000ms, ...
        dynamic (per second annotations)/valence.csv
    metadata/metadata_2013.csv, metadata_2014.csv, metadata_2015.csv    artists (optional)
    MEMD_audio/2.mp3
"""

import dataclasses
import os
from pathlib import Path

from mclf_jax.common.text import tables
from mclf_jax.data.catalogue import layout, valence_arousal
from mclf_jax.data.catalogue.items import Catalogue, Facts, Item

FACTS = Facts(
    name="deam",
    title="DEAM",
    contents="1,744 excerpts of 45 s and 58 songs: valence and arousal, of the whole (1 to 9) or"
    " every 0.5 s (-1 to 1)",
    tasks={"annotation=static": "regression", "annotation=dynamic": "regression"},
    splits={"annotation=static": {"train": 1744, "test": 58}},
    group="artist",
    licence="Creative Commons, of each song",
    citation=(
        "A. Aljanaki, Y.-H. Yang, M. Soleymani, Developing a Benchmark for Emotional Analysis of"
        " Music, PLOS ONE 12(3), 2017"
    ),
    url="https://cvml.unige.ch/databases/DEAM/",
    faults=(
        "There is no agreed split. Here the songs of MediaEval 2015 (2001 to 2058) are the test"
        " set, as they were in that year; they are whole songs, those of train are excerpts.",
        "The 744 songs of emoMusic are among these: do not train on one and test on the other.",
        "The first 15 s have no ratings over time.",
    ),
)

_AVERAGED = tuple(
    f"{folder}/annotations averaged per song"
    for folder in ("annotations", "DEAM_Annotations/annotations", "DEAM_Annotations", ".")
)
_STATIC = (
    ("static_annotations_averaged_songs_1_2000.csv", "train"),
    ("static_annotations_averaged_songs_2000_2058.csv", "test"),
)
# The columns of artists; rows are ragged, so that only positions from the left can be trusted.
_METADATA = tables.Dialect(quotes="loose", breaks="trusted", undecodable="replaced")
_ARTIST_COLUMN = {"metadata_2013.csv": 2, "metadata_2014.csv": 1, "metadata_2015.csv": 3}


def catalogue(
    path: str | os.PathLike, *, annotation: str = "static", context_s: float = 3.0
) -> Catalogue:
    """Reads songs and ratings; valid is made from train by artist, or by song without metadata.

    Args:
        path: the folder that holds `annotations` and `MEMD_audio`.
        annotation: "static", one rating of valence and arousal for each song, from 1 to 9; or
            "dynamic", one every half second, from -1 to 1, each with the excerpt that ends there.
        context_s: length of such an excerpt, for "dynamic".

    Raises:
        ValueError: an unknown option, or not the files of DEAM.
    """
    valence_arousal.check_options(annotation, context_s)
    root = layout.data_root(path, title=FACTS.title, holds=_AVERAGED)
    averaged = layout.find(root, *_AVERAGED, title=FACTS.title)
    audio = layout.find(
        root, "MEMD_audio", "DEAM_audio/MEMD_audio", "audio/MEMD_audio", title=FACTS.title
    )
    artists = _read_artists(root)
    songs = _read_songs(averaged, audio=audio, artists=artists)
    songs_only = "no metadata_2013.csv to metadata_2015.csv: groups are songs, not artists"
    return valence_arousal.rated_catalogue(
        FACTS if artists else dataclasses.replace(FACTS, group="song"),
        songs,
        looked_in=audio,
        annotation=annotation,
        context_s=context_s,
        over_time=(averaged, "dynamic (per second annotations)/{}.csv"),
        notes=() if artists else (songs_only,),
    )


def _read_songs(averaged: Path, *, audio: Path, artists: dict[int, str]) -> list[Item]:
    """A song each, with its static ratings, by song id."""
    columns = ("song_id", "valence_mean", "arousal_mean")
    items = {}
    for name, split in _STATIC:
        table = layout.find(averaged, f"song_level/{name}", title=FACTS.title)
        for line, song, cells in valence_arousal.read_table(table, columns=columns):
            where = f"{table}, line {line}"
            items[song] = Item(
                item_id=str(song),
                file=str(audio / f"{song}.mp3"),
                values=tuple(
                    valence_arousal.number(cells[column], where=where) for column in columns[1:]
                ),
                split=split,
                group=valence_arousal.artist_group(artists.get(song, ""), song=song),
                columns={"artist": artists.get(song, "")},
                line=line,
            )
    return [items[song] for song in sorted(items)]


def _read_artists(root: Path) -> dict[int, str]:
    """{song: artist} from the metadata that is there."""
    artists = {}
    for name, column in _ARTIST_COLUMN.items():
        for file in (root / "metadata" / name, root / "metadata/metadata" / name, root / name):
            if not file.is_file():
                continue
            for _, cells in tables.read_cells(file, dialect=_METADATA):
                if len(cells) > column and cells[0].strip().isdigit():
                    artists[int(cells[0])] = " ".join(cells[column].split())
            break
    return artists
