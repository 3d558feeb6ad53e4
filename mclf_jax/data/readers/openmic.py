"""OpenMIC-2018: clips of 10 s, and for some of twenty instruments whether they are heard.

The folder, as its archive unpacks:

    openmic-2018-aggregated-labels.csv    sample_key, instrument, relevance, num_responses
    openmic-2018-metadata.csv             sample_key, artist_id, license_title and more (optional)
    class-map.json                        {"accordion": 0, ...}
    partitions/split01_train.csv          one sample_key a line; also split01_test.csv
    audio/000/000046_3840.ogg

Labels come from the table and not from openmic-2018.npz, which holds the same numbers but needs its
sample keys unpickled.
"""

import dataclasses
import os
from pathlib import Path

from mclf_jax.common import checks
from mclf_jax.common.text import documents, tables
from mclf_jax.data.catalogue import layout
from mclf_jax.data.catalogue.items import Catalogue, Facts, Item

FACTS = Facts(
    name="openmic",
    title="OpenMIC-2018",
    contents="20,000 clips of 10 s from FMA, 20 instruments, most of them not asked for a clip",
    tasks={"default": "multi_label"},
    splits={"default": {"train": 14915, "test": 5085}},
    group="artist",
    version="1.0.0",
    licence="CC BY 4.0 for the data set; each recording under the Creative Commons licence of FMA",
    citation=(
        "E. J. Humphrey, S. Durand, B. McFee, OpenMIC-2018: An Open Dataset for Multiple Instrument"
        " Recognition, ISMIR 2018"
    ),
    url="https://zenodo.org/record/1432913",
    faults=(
        "Labels are partial: a clip was only asked about a few instruments, the others are unknown"
        " and are neither trained nor scored.",
        "The authors' partition keeps every track in one part, but was not made by artist.",
        "Relevance is the confidence of a few listeners; values near 0.5 are guesses.",
    ),
)


def catalogue(path: str | os.PathLike, *, threshold: float = 0.5) -> Catalogue:
    """Reads labels and the first (and only) partition; valid is made from train by group.

    Args:
        path: the folder `openmic-2018`.
        threshold: an instrument is there from this relevance on, in (0, 1]; the authors take 0.5.
            Instruments without a relevance are not observed.

    Raises:
        ValueError: a threshold out of range, or not the files of OpenMIC-2018.
    """
    checks.within("threshold", threshold, 0, 1, ends="(]")
    root = layout.data_root(path, title=FACTS.title, holds=("class-map.json",))
    names = _read_names(layout.find(root, "class-map.json", title=FACTS.title))
    table = layout.find(root, "openmic-2018-aggregated-labels.csv", title=FACTS.title)
    relevance = _read_relevance(table, names)
    metadata = _read_metadata(root / "openmic-2018-metadata.csv")
    split_of: dict[str, str] = {}
    for split in ("train", "test"):
        listing = layout.find(root, f"partitions/split01_{split}.csv", title=FACTS.title)
        for line, key in tables.read_lines(listing):
            if split_of.setdefault(key.strip(), split) != split:
                raise ValueError(f"{listing}, line {line}: {key} is in the other part too")
    items = []
    for key in sorted(split_of):
        known = relevance.get(key, {})
        info = metadata.get(key, {})
        items.append(
            Item(
                item_id=key,
                file=str(root / "audio" / key[:3] / f"{key}.ogg"),
                labels=tuple(name for name in names if known.get(name, 0) >= threshold),
                observed=tuple(name for name in names if name in known) or None,
                split=split_of[key],
                # A clip is named by its track and where it starts.
                group=info.get("artist_id") or f"track {key.partition('_')[0]}",
                licence=info.get("license_title") or "",
                columns={"track_id": key.partition("_")[0]},
            )
        )
    tracks = "openmic-2018-metadata.csv is not there: groups are tracks, not artists"
    return layout.make_catalogue(
        FACTS if metadata else dataclasses.replace(FACTS, group="track"),
        items,
        looked_in=root / "audio",
        task="multi_label",
        labels=names,
        skipped=[(key, "in no partition") for key in sorted(relevance.keys() - split_of)],
        notes=() if metadata else (tracks,),
    )


def _read_names(file: Path) -> tuple[str, ...]:
    try:
        index_of = documents.read(file, origin="theirs")
        names = tuple(sorted(index_of, key=index_of.__getitem__))
        if sorted(index_of.values()) != list(range(len(names))):
            raise ValueError("its numbers are not 0, 1, 2, ...")
    except (ValueError, AttributeError, TypeError) as error:
        raise ValueError(f"{file} is not a map of names to numbers: {error}") from error
    return names


def _read_relevance(file: Path, names: tuple[str, ...]) -> dict[str, dict[str, float]]:
    """{sample key: {instrument: relevance}} of what somebody was asked about."""
    found: dict[str, dict[str, float]] = {}
    for line, row in tables.read(file, columns=("sample_key", "instrument", "relevance")).rows:
        try:
            value = float(row["relevance"])
        except ValueError:
            value = -1.0
        if row["instrument"] not in names or not 0 <= value <= 1:
            raise ValueError(
                f"{file}, line {line}: instrument {row['instrument']!r} with relevance"
                f" {row['relevance']!r}; needed are a number in [0, 1] and one of"
                f" {', '.join(names)}"
            )
        known = found.setdefault(row["sample_key"], {})
        if known.setdefault(row["instrument"], value) != value:
            raise ValueError(
                f"{file}, line {line}: {row['instrument']} of {row['sample_key']} is {value}, and"
                f" {known[row['instrument']]} above"
            )
    return found


def _read_metadata(file: Path) -> dict[str, dict[str, str]]:
    if not file.is_file():
        return {}
    columns = ("sample_key", "artist_id", "license_title")
    table = tables.read(file, columns=columns, dialect=tables.WRITTEN)
    return {row["sample_key"]: row for _, row in table.rows}
