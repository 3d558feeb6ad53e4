"""MTG-Jamendo: whole songs under Creative Commons licences, tagged by their uploaders.

The lists of the metadata repository, in any of these places:

    data/splits/split-0/autotagging_top50tags-train.tsv       a clone of it
    splits/split-0/...   split-0/...                          parts of it
    autotagging_top50tags-train.tsv                           the lists of one split alone

and the audio as the download script unpacks it, `48/948.mp3` or, of the smaller archives,
`48/948.low.mp3`: in `audio/`, `audios/` (mirdata), `raw_30s/audio/`, `raw_30s/audio-low/` ..., in
`path` itself, or wherever the option `audio` says. `audio_licenses.txt`, where it is there, gives
each song its licence.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from mclf_jax.common import checks
from mclf_jax.common.text import tables
from mclf_jax.data.catalogue import layout
from mclf_jax.data.catalogue.items import Catalogue, Facts, Item
from mclf_jax.data.catalogue.label_lists import label_list

_CATEGORIES = ("genre", "instrument", "moodtheme")
_TAGS = {
    "top50": "autotagging_top50tags",
    "genre": "autotagging_genre",
    "instrument": "autotagging_instrument",
    "moodtheme": "autotagging_moodtheme",
    "all": "autotagging",
}
_LISTS_PARENTS = ("data/splits/", "splits/", "")
_SPLITS = {"train": "train", "validation": "valid", "test": "test"}
_AUDIO_FOLDERS = (
    "audio",
    "audio-low",
    "audios",  # where mirdata wants them
    "raw_30s/audio",
    "raw_30s/audio-low",
    "autotagging_moodtheme/audio",
    "autotagging_moodtheme/audio-low",
)

FACTS = Facts(
    name="mtg_jamendo",
    title="MTG-Jamendo",
    contents="55,525 whole songs, 87 genres, 40 instruments, 56 moods and themes",
    tasks={f"tags={name}": "multi_label" for name in _TAGS},
    splits={  # of split 0
        "tags=top50": {"train": 32136, "valid": 10888, "test": 11356},
        "tags=genre": {"train": 32572, "valid": 11043, "test": 11479},
        "tags=instrument": {"train": 14395, "valid": 5466, "test": 5115},
        "tags=moodtheme": {"train": 9949, "valid": 3802, "test": 4231},
        "tags=all": {"train": 32859, "valid": 11101, "test": 11565},
    },
    group="artist",
    licence="Creative Commons, another for each song: audio_licenses.txt",
    citation=(
        "D. Bogdanov, M. Won, P. Tovstogan, A. Porter and X. Serra, The MTG-Jamendo dataset for"
        " automatic music tagging, Machine Learning for Music Discovery Workshop, ICML 2019"
    ),
    url="https://mtg.github.io/mtg-jamendo-dataset",
    faults=(
        "The music is not that of the charts: electronic is by far the most frequent genre, and"
        " soundtrack comes before pop and rock.",
        "Tags are not equally frequent in the three splits, because whole artists were dealt out:"
        " in split 0 instrument---computer is 2.6 times as frequent in test as in train, and"
        " genre---downtempo half as frequent. Thresholds set on valid do not carry over as they"
        " are.",
        "Tags are the uploaders' own: a tag that is missing was often just not given.",
        "A few songs were uploaded twice and are the same bytes under two numbers.",
        "Each list has only the songs with one of its tags, so a model for moods never hears a"
        " song without any.",
    ),
)


def catalogue(
    path: str | os.PathLike, *, tags: str = "top50", split: int = 0, audio: str = ""
) -> Catalogue:
    """Reads the three lists of one split.

    Groups are artists, of whom none is in two splits; album and duration are among the columns.

    Args:
        path: the folder of the lists.
        tags: "top50", "genre", "instrument", "moodtheme" or "all" (the three together).
        split: 0 to 4.
        audio: the folder with the subfolders 00 to 99, relative to `path`; found by itself where
            it lies as in the module's docstring.

    Raises:
        ValueError: lists or audio are not there, a row is not understood, or an unknown option.
    """
    checks.choice("tags", tags, tuple(_TAGS))
    checks.choice("split", split, range(5))
    first = f"{_TAGS[tags]}-train.tsv"
    places = (*_LISTS_PARENTS, *(f"{parent}split-{split}/" for parent in _LISTS_PARENTS))
    holds = [place + first for place in places]
    root = layout.data_root(path, title=FACTS.title, holds=holds)
    labels = _labels(tags)
    folder = _lists_folder(root, first, split=split)
    lists = {
        name: layout.find(folder, f"{_TAGS[tags]}-{published}.tsv", title=FACTS.title)
        for published, name in _SPLITS.items()
    }
    audio_folder = _audio_folder(root, audio)
    licences = _read_licences(root / "audio_licenses.txt")
    items = [
        item
        for name, file in lists.items()
        for item in _read_list(
            file, split=name, labels=frozenset(labels), audio=audio_folder, licences=licences
        )
    ]
    return layout.make_catalogue(
        FACTS,
        items,
        looked_in=audio_folder,
        task="multi_label",
        labels=labels,
        split_hint="The audio that is there has little of this list: try another of tags",
    )


def _labels(tags: str) -> tuple[str, ...]:
    names = _CATEGORIES if tags == "all" else (tags,)
    return tuple(label for name in names for label in label_list(f"jamendo_{name}").labels)


def _lists_folder(root: Path, name: str, *, split: int) -> Path:
    folders = [f"{parent}split-{split}" for parent in _LISTS_PARENTS]
    for folder in folders:
        if (root / folder / name).is_file():
            return root / folder
    if (root / name).is_file():
        if split != 0:
            raise ValueError(
                f"split={split} needs a folder split-{split}: the lists directly in {root} do not"
                " say which split they are; leave split out to take them"
            )
        return root
    return layout.find(root, *(f"{folder}/{name}" for folder in folders), name, title=FACTS.title)


def _audio_folder(root: Path, audio: str) -> Path:
    if audio:
        return layout.option_folder(root, "audio", audio)
    return next((root / name for name in _AUDIO_FOLDERS if (root / name).is_dir()), root)


def _read_list(
    file: Path,
    *,
    split: str,
    labels: frozenset[str],
    audio: Path,
    licences: Mapping[str, str],
) -> Iterator[Item]:
    columns = ("TRACK_ID", "ARTIST_ID", "ALBUM_ID", "PATH", "DURATION", "TAGS")
    # Every tag has a cell of its own, but only the first a name in the header.
    dialect = tables.Dialect(separator="\t", rows="long")
    for line, row in tables.read(file, columns=columns, dialect=dialect).rows:
        found = tuple(filter(None, row["TAGS"].split("\t")))
        unknown = sorted(set(found) - labels)
        if unknown or not found:
            raise ValueError(
                f"{file}, line {line}: {row['TRACK_ID']} has"
                f" {'the unknown tags ' + ', '.join(unknown) if unknown else 'no tags'}, which the"
                " published list has nowhere"
            )
        yield Item(
            item_id=row["TRACK_ID"],
            file=_song(audio, row["PATH"]),
            labels=found,
            split=split,
            group=row["ARTIST_ID"],
            licence=licences.get(row["PATH"], ""),
            columns={"album": row["ALBUM_ID"], "duration_s": row["DURATION"], "path": row["PATH"]},
            line=line,
        )


def _song(audio: Path, listed: str) -> str:
    whole = os.path.join(audio, listed)
    low = os.path.join(audio, os.path.splitext(listed)[0] + ".low.mp3")
    return low if not os.path.isfile(whole) and os.path.isfile(low) else whole


def _read_licences(file: Path) -> Mapping[str, str]:
    """{path of the song: address of its licence}; nothing where the file is not there.

    Each song has three lines: its path, its title and address, and the licence.
    """
    licences, song = {}, ""
    if not file.is_file():
        return licences
    for _, line in tables.read_lines(file, undecodable="replaced"):
        if line.endswith(".mp3") and " " not in line:
            song = line
        elif song and " license: " in line:
            licences[song] = line.rpartition(" license: ")[2].strip()
    return licences
