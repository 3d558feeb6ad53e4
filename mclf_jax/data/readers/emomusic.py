"""Emotion in Music (emoMusic, "1000 songs", MediaEval 2013): valence and arousal of 744 excerpts.

The folder, as its archives unpack:

    annotations/songs_info.csv             song_id, Artist, Genre, Mediaeval 2013 set and more
    annotations/static_annotations.csv     song_id, mean_arousal, mean_valence: one rating a song
    annotations/arousal_cont_average.csv   song_id, sample_15000ms, sample_15500ms, ...
    annotations/valence_cont_average.csv
    clips_45seconds/2.mp3
"""

import os
from pathlib import Path

from mclf_jax.common.text import tables
from mclf_jax.data.catalogue import layout, valence_arousal
from mclf_jax.data.catalogue.items import Catalogue, Facts, Item

FACTS = Facts(
    name="emomusic",
    title="Emotion in Music (emoMusic)",
    contents="744 excerpts of 45 s: valence and arousal, of the whole (1 to 9) or every 0.5 s"
    " (-1 to 1)",
    tasks={"annotation=static": "regression", "annotation=dynamic": "regression"},
    splits={"annotation=static": {"train": 619, "test": 125}},
    group="artist",
    version="MediaEval 2013, without the songs that were found twice",
    licence="Creative Commons, of each song at the Free Music Archive",
    citation=(
        "M. Soleymani, M. N. Caro, E. M. Schmidt, C.-Y. Sha, Y.-H. Yang, 1000 Songs for Emotional"
        " Analysis of Music, CrowdMM 2013"
    ),
    url="https://cvml.unige.ch/databases/emoMusic/",
    faults=(
        "Of the 1,000 songs 744 are left, the others were redundant; older results are on more.",
        "The authors' split is by song: they do not promise that no artist is in both parts.",
        "The first 15 s have no ratings over time, since people need a while to find their way.",
    ),
)

_SPLITS = {"development": "train", "evaluation": "test"}
_LOOSE = tables.Dialect(quotes="loose")  # titles were not written by a library

_INFO = ("annotations/songs_info.csv", "songs_info.csv")


def catalogue(
    path: str | os.PathLike, *, annotation: str = "static", context_s: float = 3.0
) -> Catalogue:
    """Reads songs and ratings; valid is made from the development set by artist.

    Args:
        path: the folder that holds `annotations` and `clips_45seconds`.
        annotation: "static", one rating of valence and arousal for each song, from 1 to 9; or
            "dynamic", one every half second, from -1 to 1, each with the excerpt that ends there.
        context_s: length of such an excerpt, for "dynamic".

    Raises:
        ValueError: an unknown option, or not the files of emoMusic.
    """
    valence_arousal.check_options(annotation, context_s)
    root = layout.data_root(path, title=FACTS.title, holds=_INFO)
    info = layout.find(root, *_INFO, title=FACTS.title)
    audio = layout.find(root, "clips_45seconds", "clips_45sec/clips_45seconds", title=FACTS.title)
    songs = _read_songs(info, audio)
    return valence_arousal.rated_catalogue(
        FACTS,
        songs,
        looked_in=audio,
        annotation=annotation,
        context_s=context_s,
        over_time=(info.parent, "{}_cont_average.csv"),
    )


def _read_songs(info: Path, audio: Path) -> list[Item]:
    """A song each, with its static ratings, by song id."""
    table = layout.find(info.parent, "static_annotations.csv", title=FACTS.title)
    static = {}
    columns = ("song_id", "mean_valence", "mean_arousal")
    for line, song, cells in valence_arousal.read_table(table, columns=columns):
        where = f"{table}, line {line}"
        static[song] = tuple(
            valence_arousal.number(cells[name], where=where) for name in columns[1:]
        )
    items = {}
    columns = ("song_id", "Artist", "Song title", "Genre", "Mediaeval 2013 set")
    for line, song, cells in valence_arousal.read_table(info, columns=columns, dialect=_LOOSE):
        given = cells["Mediaeval 2013 set"]
        if given not in _SPLITS or song not in static:
            raise ValueError(
                f"{info}, line {line}: song {song} is in the set {given!r}, which must be one of"
                f" {list(_SPLITS)}, and must be in {table.name}"
            )
        items[song] = Item(
            item_id=str(song),
            file=str(audio / f"{song}.mp3"),
            values=static[song],
            split=_SPLITS[given],
            group=valence_arousal.artist_group(cells["Artist"], song=song),
            columns={
                "artist": cells["Artist"],
                "title": cells["Song title"],
                "genre": cells["Genre"],
            },
            line=line,
        )
    return [items[song] for song in sorted(items)]
