"""Million Song Dataset: songs that users have, with published lists of tags and splits.

Lists are needed, in any of these forms:

    train_ids.npy train_binaries.npy      ids [N] and 0 or 1 [N, 50], and so for valid and test: how
                                          the CALS split is published
    student_ids.npy or msd_splits.tsv     CALS: more songs, without tags (optional)
    train_x_msd_id.txt train_y.npy        Last.fm tags: how Choi et al. (2016) publish them
    tracks.csv or tracks.tsv              your own: columns track_id, split, tags (separated by |)

in `path`, or in `splits/`, `data/splits/`, `cals_annotation/` or `lastfm_annotation/`. The Last.fm
lists of Lee et al. (2017), `filtered_list_train.cP` and its companions, are pickles. A pickle can
run any code when it is opened, so they are not read here: convert them once to the first form, with
the first 201,680 ids of the list as train and the other 11,774 as valid.

Audio is what a user has under the ids of the data set: `audio/TRAAAAW128F429D538.mp3`, or three
folders down by the third to fifth letter as the data set itself is, `audio/A/A/A/TRAAAAW....mp3`
(`.clip.mp3`, WAV and FLAC too). Or a table with the columns track_id and path says where each is.
`unique_tracks.txt`, published with the data set, names the artists, which are the groups;
`tracks_per_year.txt`, published with it too, has the years of about half of the songs: they become
the column year (`data.target` "column" learns it). Both may lie in `AdditionalFiles/`.
"""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from mclf_jax.common import checks
from mclf_jax.common.text import tables
from mclf_jax.data.catalogue import layout
from mclf_jax.data.catalogue.items import UNLABELLED, Catalogue, Facts, Item
from mclf_jax.data.catalogue.label_lists import label_list

_LABELS = {"cals": label_list("msd_cals").labels, "lastfm": label_list("msd_lastfm").labels}
_FOLDERS = {
    "cals": ("", "splits", "data/splits", "cals_annotation"),
    "lastfm": ("", "splits", "lastfm_annotation"),
}
_ARRAYS = (("{}_ids.npy", "{}_binaries.npy"), ("{}_x_msd_id.txt", "{}_y.npy"))
_TABLES = {"tracks.csv": tables.CSV, "tracks.tsv": tables.TSV}
# A song that is listed twice counts where it would do most harm elsewhere.
_SPLITS = ("test", "valid", "train")
_SPLIT_OF = {
    "train": "train",
    "valid": "valid",
    "validation": "valid",
    "test": "test",
    "student": UNLABELLED,
    "unlabelled": UNLABELLED,
    "none": "",
    "": "",
}
_TRACK_ID = re.compile(r"TR[A-Z]{5}[0-9A-F]{11}")

FACTS = Facts(
    name="msd",
    title="Million Song Dataset",
    contents="a million songs up to 2011 as ids; 50 tags of Last.fm; audio is up to you",
    tasks={"labels=cals": "multi_label", "labels=lastfm": "multi_label"},
    splits={
        "labels=cals": {"train": 163504, "valid": 34730, "test": 34913, UNLABELLED: 516415},
        "labels=lastfm": {"train": 201680, "valid": 11774, "test": 28435},
    },
    group="artist",
    licence="audio is not distributed; the songs belong to their owners",
    citation=(
        "T. Bertin-Mahieux, D. P. W. Ellis, B. Whitman and P. Lamere, The Million Song Dataset,"
        " ISMIR 2011; split cals: M. Won, K. Choi and X. Serra, Semi-supervised music tagging"
        " transformer, ISMIR 2021"
    ),
    url="http://millionsongdataset.com",
    faults=(
        "The split of the Last.fm tags was drawn at random, so artists are in train and test both"
        " (Won et al. 2021): labels='cals' has none of them in two splits.",
        "The two lists of 50 tags differ: a model of one cannot be scored with the other.",
        "Audio was never distributed. Everybody has a slightly different set of 30 s previews, so"
        " scores of two papers may be of different songs.",
        "Tags are those of Last.fm's listeners: a tag that is missing was often just not given,"
        " some are of the artist and not of the song, and several mean the same (female"
        " vocalists, female vocalist; chill, chillout).",
        "There is no music after 2011.",
    ),
)


def catalogue(
    path: str | os.PathLike, *, labels: str = "cals", audio: str = "audio", audio_paths: str = ""
) -> Catalogue:
    """Reads the lists of ids and tags, and finds the songs.

    Args:
        path: the folder of the lists.
        labels: "cals" (Won et al. 2021: artists are in one split only; the songs of STUDENT are
            unlabelled, those of NONE left out) or "lastfm" (the 50 tags used since 2016).
        audio: the folder of the songs, relative to `path`.
        audio_paths: CSV, relative to `path`, with the columns track_id and path (relative to
            `audio`); without one, songs are found by the ids in their names.

    Raises:
        ValueError: lists or songs are not there, are pickles or are those of the other `labels`,
            a row is not understood, or an unknown option.
    """
    checks.choice("labels", labels, tuple(_LABELS))
    forms = [ids.format("train") for ids, _ in _ARRAYS] + list(_TABLES)
    lists = [os.path.join(folder, form) for folder in _FOLDERS[labels] for form in forms]
    root = layout.data_root(path, title=FACTS.title, holds=lists)
    audio_folder = layout.option_folder(root, "audio", audio)
    folder, form = _find_lists(root, labels)
    rows = _read_table(folder / form, labels) if form in _TABLES else _read_arrays(folder, labels)
    if audio_paths:
        file_of = _read_paths(layout.find(root, audio_paths, title=FACTS.title), audio_folder)
    else:
        file_of = _index(audio_folder)

    seen: dict[str, str] = {}
    listed, skipped, left_out = [], [], 0
    for track_id, split, tags in rows:
        if not split:
            left_out += 1
        elif track_id in seen:
            skipped.append((track_id, f"listed in {seen[track_id]} too, where it counts"))
        else:
            seen[track_id] = split
            listed.append((track_id, split, tags))
    artists = _read_artists(_published(root, "unique_tracks.txt"), seen)
    years = _read_years(_published(root, "tracks_per_year.txt"), seen)
    items = [
        Item(
            item_id=track_id,
            file=file_of.get(track_id) or str(audio_folder / _usual_place(track_id)),
            labels=tags,
            observed=None if tags or split == UNLABELLED else _LABELS[labels],
            split=split,
            group=artists.get(track_id, {}).get("artist", ""),
            columns=artists.get(track_id, {}) | years.get(track_id, {}),
        )
        for track_id, split, tags in listed
    ]
    return layout.make_catalogue(
        FACTS,
        items,
        looked_in=audio_folder,
        task="multi_label",
        labels=_LABELS[labels],
        skipped=skipped,
        notes=(
            *([f"{left_out} songs of the split NONE are left out"] if left_out else []),
            *([] if artists else ["artists are not known: put unique_tracks.txt into path"]),
        ),
    )


def _find_lists(root: Path, labels: str) -> tuple[Path, str]:
    """The folder of the lists and the name of the first of them."""
    forms = [ids.format("train") for ids, _ in _ARRAYS] + list(_TABLES)
    folders = [root / name for name in _FOLDERS[labels]]
    for folder in folders:
        for form in forms:
            if (folder / form).is_file():
                return folder, form
    pickles = [
        entry
        for folder in folders
        if folder.is_dir()
        for entry in sorted(os.listdir(folder))
        if entry.endswith((".cP", ".pkl", ".pickle"))
    ]
    if pickles:
        raise ValueError(
            f"{root} has {', '.join(pickles)}: pickles can run code when they are opened and are"
            " not read here. Where you trust them, write them once as train_ids.npy"
            " (np.array(ids, dtype=str)) and train_binaries.npy (0 or 1, [N, 50]), and so for valid"
            " and test"
        )
    wanted = [os.path.join(name, form) for name in _FOLDERS[labels] for form in forms]
    return layout.find(root, *wanted, title=FACTS.title), ""


def _read_table(file: Path, labels: str) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """(track id, split, tags) of each row of a table of one's own."""
    columns = ("track_id", "split", "tags")
    for line, row in tables.read(file, columns=columns, dialect=_TABLES[file.name]).rows:
        where = f"{file}, line {line}"
        tags = {tag.strip() for tag in row["tags"].split("|")} - {""}
        if unknown := sorted(tags - set(_LABELS[labels])):
            raise ValueError(f"{where}: {', '.join(unknown)} not in the tags of labels={labels!r}")
        split = _split(row["split"], where=where)
        if split in _SPLITS and not tags:
            raise ValueError(f"{where}: in the split {split} but without a tag")
        yield _track_id(row["track_id"], where=where), split, tuple(sorted(tags))


def _read_arrays(folder: Path, labels: str) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """(track id, split, tags) of the published arrays; the split is "" for songs to leave out."""
    ids_name, tags_name = next(
        form for form in _ARRAYS if (folder / form[0].format("train")).is_file()
    )
    names = _LABELS[labels]
    ids = {
        split: _read_ids(layout.find(folder, ids_name.format(split), title=FACTS.title))
        for split in _SPLITS
    }
    _check_published_sizes(folder, {split: len(found) for split, found in ids.items()}, labels)
    for split in _SPLITS:
        file = layout.find(folder, tags_name.format(split), title=FACTS.title)
        tags = _load(file)
        if tags.size != len(ids[split]) * len(names) or not np.isin(tags, (0, 1)).all():
            raise ValueError(
                f"{file} must hold 0 or 1 in [{len(ids[split])}, {len(names)}], as many rows as"
                f" there are ids; it has the shape {list(tags.shape)}"
            )
        for track_id, row in zip(ids[split], tags.reshape(-1, len(names)), strict=True):
            yield track_id, split, tuple(names[k] for k in np.flatnonzero(row))
    if labels == "cals" and (folder / "student_ids.npy").is_file():
        for track_id in _read_ids(folder / "student_ids.npy"):
            yield track_id, UNLABELLED, ()
    elif labels == "cals" and (folder / "msd_splits.tsv").is_file():
        file = folder / "msd_splits.tsv"
        columns = ("clip_ids", "splits")
        for line, row in tables.read(file, columns=columns, dialect=tables.TSV).rows:
            split = _split(row["splits"], where=f"{file}, line {line}")
            if split not in _SPLITS:
                yield _track_id(row["clip_ids"], where=f"{file}, line {line}"), split, ()


def _check_published_sizes(folder: Path, sizes: Mapping[str, int], labels: str) -> None:
    """Both sets of tags have 50 columns: taking one for the other would go unnoticed."""
    for other in _LABELS:
        published = FACTS.splits[f"labels={other}"]
        if other != labels and all(sizes[split] == published[split] for split in sizes):
            raise ValueError(
                f"the lists in {folder} have the sizes of labels={other!r}, got labels={labels!r}"
            )


def _read_ids(file: Path) -> list[str]:
    if file.suffix == ".txt":
        ids = [name for _, line in tables.read_lines(file) for name in line.split()]
    else:
        ids = _load(file).astype(str).reshape(-1).tolist()
    return [_track_id(track_id, where=f"{file}, entry {i}") for i, track_id in enumerate(ids)]


def _load(file: Path) -> np.ndarray:
    try:
        return np.load(file, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ValueError(
            f"{file} is not a plain array ({error}): write ids as np.array(ids, dtype=str) and tags"
            " as a numeric array; pickles are not read"
        ) from error


def _track_id(text: str, *, where: str) -> str:
    if not _TRACK_ID.fullmatch(text or ""):
        raise ValueError(f"{where}: {text!r} is not a track id such as TRAAAAW128F429D538")
    return text


def _split(text: str, *, where: str) -> str:
    name = (text or "").strip().lower()
    if name not in _SPLIT_OF:
        raise ValueError(
            f"{where}: split is {text!r}; allowed are TRAIN, VALID, TEST, STUDENT and NONE"
        )
    return _SPLIT_OF[name]


def _read_paths(file: Path, audio: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for line, row in tables.read(file, columns=("track_id", "path")).rows:
        path = str(audio / row["path"])
        if row["path"] and found.setdefault(row["track_id"], path) != path:
            raise ValueError(
                f"{file}, line {line}: {row['track_id']} is {path}, and"
                f" {found[row['track_id']]} above"
            )
    return found


def _index(audio: Path) -> dict[str, str]:
    """{track id: file} of everything below a folder: one walk, not a look-up for each song."""
    file_of: dict[str, str] = {}
    for file in layout.walk_audio(audio):
        track_id = os.path.basename(file).partition(".")[0]
        if _TRACK_ID.fullmatch(track_id):
            file_of.setdefault(track_id, file)
    return file_of


def _usual_place(track_id: str) -> str:
    return f"{track_id[2]}/{track_id[3]}/{track_id[4]}/{track_id}.mp3"


def _published(root: Path, name: str) -> Path:
    beside = root / "AdditionalFiles" / name
    return beside if beside.is_file() else root / name


def _read_years(file: Path, wanted: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """{track id: year} from lines of year<SEP>track<SEP>artist<SEP>title."""
    known = {}
    for number, line in tables.read_lines(file) if file.is_file() else ():
        year, _, rest = line.partition("<SEP>")
        if not (re.fullmatch("[0-9]{4}", year) and "<SEP>" in rest):
            raise ValueError(
                f"{file}, line {number}: expected year, track, artist and title separated by"
                f" <SEP>, got {line!r}"
            )
        if (track_id := rest.partition("<SEP>")[0]) in wanted:
            known[track_id] = {"year": year}
    return known


def _read_artists(file: Path, wanted: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """{track id: song id, artist and title} from lines of track<SEP>song<SEP>artist<SEP>title."""
    if not file.is_file():
        return {}
    known = {}
    for number, line in tables.read_lines(file):
        parts = line.split("<SEP>")
        if len(parts) != 4:
            raise ValueError(
                f"{file}, line {number}: expected track, song, artist and title separated by"
                f" <SEP>, got {line!r}"
            )
        if parts[0] in wanted:
            known[parts[0]] = dict(zip(("song_id", "artist", "title"), parts[1:], strict=True))
    return known
