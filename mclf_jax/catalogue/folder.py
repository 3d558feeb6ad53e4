"""The folder of a catalogue: whose scores, of which songs, in which shards, and what is done.

catalogue.json           network, labels, how songs are cut; fingerprint and size of the list
songs.jsonl              the paths, sorted; a shard is a run of them
songs/shard-*.parquet    what was heard, see `rows`: there whole or not at all
skipped.csv              what could not be heard, and why
"""

import dataclasses
import hashlib
import itertools
import json
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

from etils import epath

from mclf_jax.common import checks, files, walk
from mclf_jax.common.storage import places
from mclf_jax.common.text import documents

SONGS_PER_SHARD = 1000
_MANIFEST, _LIST = "catalogue.json", "songs.jsonl"
_SHARD = re.compile(r"shard-(\d+)-of-\d+\.parquet")
_LIKE = {
    "format": int,
    "network": {
        "fingerprint": str,
        "run": [str],
        "how": {str: object},
        "task": str,
        "labels": [str],
        "thresholds": {str: float},
    },
    "songs": {"count": int, "fingerprint": str, "starts": [int]},
    "songs_per_shard": int,
}
_FORMAT = 1
_ANEW = "give another folder, or delete this one to begin anew"


@dataclasses.dataclass(frozen=True)
class Network:
    """Whose scores and embeddings these are.

    Attributes:
        fingerprint: of weights, labels, features and windows, see `api.Tagger.identity`.
        run: where it was; several are an ensemble.
        how: how it was loaded, as arguments of `load.load_network`.
        task, labels, thresholds: of its scores.
    """

    fingerprint: str
    run: tuple[str, ...]
    how: Mapping[str, Any]
    task: str
    labels: tuple[str, ...]
    thresholds: Mapping[str, float]


@dataclasses.dataclass(frozen=True)
class Catalogue:
    """A catalogue that was begun.

    Attributes:
        folder: of it, on disk or on object storage.
        network: whose scores these are.
        songs: {"count", "fingerprint" of the list, "starts": where each shard begins in it}.
        songs_per_shard: of all shards but the last.
    """

    folder: epath.Path
    network: Network
    songs: Mapping[str, Any]
    songs_per_shard: int

    def shard(self, number: int) -> epath.Path:
        """Where a shard is once it is done."""
        count = len(self.songs["starts"])
        return self.folder / "songs" / f"shard-{number:05d}-of-{count:05d}.parquet"

    def done(self) -> list[int]:
        """Numbers of the shards that are done, in order."""
        names = (each.name for each in (self.folder / "songs").glob("shard-*.parquet"))
        return sorted(int(match[1]) for name in names if (match := _SHARD.fullmatch(name)))

    def not_done(self) -> list[int]:
        """Numbers of the others, in order."""
        done = set(self.done())
        return [number for number in range(len(self.songs["starts"])) if number not in done]

    def paths(self, number: int) -> list[str]:
        """Paths of a shard, as they are on disk."""
        starts = [*self.songs["starts"], None]
        begin, end = starts[number], starts[number + 1]
        with (self.folder / _LIST).open("rb") as file:
            file.seek(begin)
            text = file.read() if end is None else file.read(end - begin)
        return [json.loads(line) for line in text.splitlines()]


def absolute(path: str | os.PathLike) -> str:
    """A path that every process understands; those of object storage are as they are.

    Raises:
        ValueError: it is on a storage that nobody here can read.
    """
    path = os.fspath(path)
    return places.check("path", path) if files.is_remote(path) else os.path.abspath(path)


def _place(folder: str | os.PathLike) -> epath.Path:
    path = absolute(folder)
    if files.is_remote(path):
        places.filesystem(path.partition("://")[0])  # says which extra is missing
    return epath.Path(path)


def open_catalogue(folder: str | os.PathLike) -> Catalogue:
    """The catalogue in a folder.

    Raises:
        FileNotFoundError: there is none.
        ValueError: what is there is damaged, or of a later version.
        ImportError: a package for the storage that it is on is missing.
    """
    place = _place(folder)
    if not (place / _MANIFEST).exists():
        raise FileNotFoundError(
            f"{folder} is no catalogue: it has no {_MANIFEST}, which `mclf catalogue` writes"
        )
    found = documents.parse(
        (place / _MANIFEST).read_bytes(), _LIKE, name=os.fspath(place / _MANIFEST)
    )
    if found["format"] > _FORMAT:
        raise ValueError(f"{folder} was made by a later version of mclf_jax; install that")
    network = dict(found["network"])
    network |= {name: tuple(network[name]) for name in ("run", "labels")}
    return Catalogue(place, Network(**network), found["songs"], found["songs_per_shard"])


def begin(
    folder: str | os.PathLike,
    paths: Sequence[str],
    *,
    network: Network,
    songs_per_shard: int | None = None,
) -> Catalogue:
    """A new catalogue of these songs by this network, or the one that was begun of them.

    Args:
        folder: of the catalogue.
        paths: of songs; their order and repetitions make no difference.
        network: whose scores they get.
        songs_per_shard: 1,000, or as it was begun, when not given.

    Raises:
        ValueError: what is there is of another network, other songs or other shards.
    """
    place = _place(folder)
    checks.at_least("songs_per_shard", 1 if songs_per_shard is None else songs_per_shard, 1)
    paths = sorted({absolute(path) for path in paths})
    size, per_shard = 0, songs_per_shard or SONGS_PER_SHARD
    known = open_catalogue(place) if (place / _MANIFEST).exists() else None
    if known is not None:
        (place / "songs").mkdir(exist_ok=True)
        _refuse_other(known, network=network, songs_per_shard=songs_per_shard)
        per_shard = known.songs_per_shard
    lines, starts = [], []
    for number, path in enumerate(paths):
        if number % per_shard == 0:
            starts.append(size)
        lines.append(json.dumps(path).encode() + b"\n")
        size += len(lines[-1])
    text = b"".join(lines)
    fingerprint = hashlib.sha256(text).hexdigest()
    songs = {"count": len(paths), "fingerprint": fingerprint, "starts": starts}
    if known is not None:
        if known.songs["fingerprint"] != fingerprint:
            raise ValueError(_other_songs(known, paths))
        if known.network != network:  # moved, or with thresholds that were chosen since
            _write(dataclasses.replace(known, network=network))
        return dataclasses.replace(known, network=network)
    begun = Catalogue(place, network, songs, per_shard)
    if begun.done():
        raise ValueError(
            f"{folder} has shards, but their {_MANIFEST} is gone: bring it back; or {_ANEW}"
        )
    (place / "songs").mkdir(parents=True, exist_ok=True)
    with files.replacing(place / _LIST) as temporary:
        temporary.write_bytes(text)
    _write(begun)
    return begun


def _write(begun: Catalogue) -> None:
    network = dataclasses.asdict(begun.network)
    content = {"format": _FORMAT, "network": network, "songs": begun.songs}
    text = json.dumps(content | {"songs_per_shard": begun.songs_per_shard}, indent=1)
    with files.replacing(begun.folder / _MANIFEST) as temporary:
        temporary.write_bytes(text.encode())


def _refuse_other(known: Catalogue, *, network: Network, songs_per_shard: int | None) -> None:
    if known.network.fingerprint != network.fingerprint:
        raise ValueError(
            f"{known.folder} is a catalogue by another network, other weights or other windows "
            f"(of {', '.join(known.network.run)}, fingerprint {known.network.fingerprint[:12]}; "
            f"these have {network.fingerprint[:12]}), and they are not mixed: {_ANEW}"
        )
    if songs_per_shard not in (None, known.songs_per_shard):
        raise ValueError(
            f"songs_per_shard is {songs_per_shard}, and {known.folder} was begun with "
            f"{known.songs_per_shard}: leave it out, or {_ANEW}"
        )


def _other_songs(known: Catalogue, paths: Sequence[str]) -> str:
    shards = range(len(known.songs["starts"]))
    before = set(itertools.chain.from_iterable(map(known.paths, shards)))
    new, gone = sorted(set(paths) - before), sorted(before - set(paths))
    parts = [
        f"{len(names)} {what} ({checks.few([walk.shown(name) for name in names], shown=2)})"
        for names, what in ((new, "are new"), (gone, "are missing"))
        if names
    ]
    return (
        f"{known.folder} is a catalogue of another list of songs: of {len(paths)} songs "
        f"{' and '.join(parts)}; its list does not change: {_ANEW}"
    )
