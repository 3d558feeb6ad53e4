"""GiantSteps key: electronic dance music in 24 keys, learnt on MTG keys and tested on GiantSteps.

The folder, as the two repositories and their audio_dl.sh leave it:

    giantsteps-mtg-key-dataset/annotations/annotations.txt          ID, MANUAL KEY, C (confidence)
    giantsteps-mtg-key-dataset/annotations/beatport_metadata.txt    ID, ARTIST and more
    giantsteps-mtg-key-dataset/audio/5061.LOFI.mp3
    giantsteps-key-dataset/annotations/key/10089.LOFI.key           D minor
    giantsteps-key-dataset/audio/10089.LOFI.mp3       or all songs in one audio/ beside the folders
"""

import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from mclf_jax.common.text import tables
from mclf_jax.data.catalogue import layout
from mclf_jax.data.catalogue.items import Catalogue, Facts, Item
from mclf_jax.data.catalogue.label_lists import label_list

FACTS = Facts(
    name="giantsteps_key",
    title="GiantSteps key and MTG key",
    contents="1,763 excerpts of two minutes of electronic dance music, 24 keys",
    tasks={"default": "single_label"},
    splits={"default": {"train": 923, "valid": 236, "test": 604}},
    group="artist",
    version="2016 (MTG key) and 2015 (GiantSteps key)",
    licence="previews of a shop (Beatport), for research; annotations without a licence",
    citation=(
        "Á. Faraldo, E. Gómez, S. Jordà, P. Herrera, Key Estimation in Electronic Dance Music, ECIR"
        " 2016; P. Knees et al., Two Data Sets for Tempo Estimation and Key Detection in Electronic"
        " Dance Music Annotated from User Corrections, ISMIR 2015; split: R. Castellon, C. Donahue,"
        " P. Liang, Codified Audio Language Modeling Learns Useful Representations for Music"
        " Information Retrieval, ISMIR 2021"
    ),
    url="https://github.com/GiantSteps/giantsteps-key-dataset",
    faults=(
        "Keys of GiantSteps are corrections by users of a shop, and one key is said of a whole"
        " track.",
        "Minor keys are more than five times as frequent as major ones: who always says F minor is"
        " right of 12 % of the test songs.",
        "Nobody tells the artists of the test songs: some may be in train.",
    ),
)

_LABELS = label_list("keys").labels
_FLATS = {"C#": "Db", "D#": "Eb", "F#": "Gb", "G#": "Ab", "A#": "Bb"}
_SURE = "2"
_TRAIN, _TEST = "giantsteps-mtg-key-dataset", "giantsteps-key-dataset"
# As they are cloned, downloaded, and unpacked from the revisions that MARBLE takes.
_ENDS = ("", "-master", "-main")
_REVISIONS = (
    "-fd7b8c584f7bd6d720d170c325a6d42c9bf75a6b",
    "-c8cb8aad2cb53f165be51ea099d0dc75c64a844f",
)
_TRAIN_FOLDERS = tuple(_TRAIN + end for end in (*_ENDS, _REVISIONS[0]))
_TEST_FOLDERS = tuple(_TEST + end for end in (*_ENDS, _REVISIONS[1]))


def catalogue(path: str | os.PathLike) -> Catalogue:
    """Reads keys and artists, and makes the split of Castellon et al. 2021, which MARBLE takes.

    Test is GiantSteps key. Train and valid are the tracks of MTG key of which annotators were sure
    of a single key, by a hash of the artist; who has worked with an artist of valid, or with
    somebody who has, is in valid too.

    Args:
        path: the folder that holds the two, or one of them.

    Raises:
        ValueError: neither is there, or their annotations are not understood.
    """
    root = layout.data_root(path, title=FACTS.title, holds=(*_TRAIN_FOLDERS, *_TEST_FOLDERS))
    first = layout.find(root, *_TRAIN_FOLDERS, *_TEST_FOLDERS, title=FACTS.title)
    items: list[Item] = []
    notes: list[str] = []
    for names, read in ((_TRAIN_FOLDERS, _train_items), (_TEST_FOLDERS, _test_items)):
        folder = next((root / name for name in names if (root / name).is_dir()), None)
        if folder is None:
            notes.append(f"{names[0]} is not there")
            continue
        items += read(folder, notes)
    return layout.make_catalogue(
        FACTS,
        items,
        looked_in=first / "audio",
        task="single_label",
        labels=_LABELS,
        notes=notes,
        split_hint=f"Put {_TRAIN} and {_TEST} beside each other",
    )


def _train_items(folder: Path, notes: list[str]) -> Iterator[Item]:
    annotations = folder / "annotations"
    metadata = tables.read(
        annotations / "beatport_metadata.txt", columns=("ID", "ARTIST"), dialect=tables.TSV
    )
    rows = {row["ID"].strip(): row for _, row in metadata.rows}
    artists = {track: _artists(row["ARTIST"]) for track, row in rows.items()}
    split_of = _splits(artists)
    listed = tables.read(
        annotations / "annotations.txt", columns=("ID", "MANUAL KEY", "C"), dialect=tables.TSV
    )
    unsure = 0
    for line, row in listed.rows:
        track, key = row["ID"].strip(), row["MANUAL KEY"].strip()
        where = f"{listed.path}, line {line}"
        if row["C"].strip() != _SURE or "/" in key:
            unsure += 1
            continue
        if track not in artists:
            raise ValueError(f"{where}: track {track} is not in {metadata.path.name}")
        yield Item(
            item_id=f"{track}.LOFI",
            file=_audio(folder, track),
            labels=(_label(key, where),),
            split=split_of[artists[track][0]],
            group=rows[track]["ARTIST"].strip(),
            columns={"genre": rows[track].get("BP GENRE", "").strip()},
            line=line,
        )
    notes.append(f"{unsure} tracks of {_TRAIN} without one sure key are left out, as published")


def _test_items(folder: Path, notes: list[str]) -> Iterator[Item]:
    for file in sorted((folder / "annotations" / "key").glob("*.LOFI.key")):
        track = file.name.removesuffix(".LOFI.key")
        yield Item(
            item_id=f"{track}.LOFI",
            file=_audio(folder, track),
            labels=(_label(file.read_text(encoding="utf-8-sig", errors="replace"), str(file)),),
            split="test",
        )


def _audio(folder: Path, track: str) -> str:
    own = folder / "audio" / f"{track}.LOFI.mp3"
    together = folder.parent / "audio" / own.name
    return str(together if together.is_file() and not own.is_file() else own)


def _label(text: str, where: str) -> str:
    found = re.fullmatch(r"([A-Ga-g][#b]?)\s+(major|minor)", text.strip())
    tonic = found[1][0].upper() + found[1][1:] if found else ""
    label = f"{_FLATS.get(tonic, tonic)} {found[2]}" if found else ""
    if label not in _LABELS:
        raise ValueError(f"{where}: the key is {text.strip()!r}; it must be one such as 'Eb minor'")
    return label


def _artists(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.strip().split(","))


def _splits(artists: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """{artist: split}: sixteen in 116 are in valid, and those who worked with them."""

    def drawn(artist: str) -> str:
        digest = hashlib.sha1(artist.lower().encode(), usedforsecurity=False).hexdigest()
        return "train" if int(digest, 16) % 116 < 100 else "valid"

    found = {artist: drawn(artist) for of_track in artists.values() for artist in of_track}
    for _ in range(2):
        for of_track in artists.values():
            if "valid" in {found[artist] for artist in of_track}:
                found |= dict.fromkeys(of_track, "valid")
    return found
