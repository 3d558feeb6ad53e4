"""Vectors of songs, computed once: later calls read them from the run directory."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mclf_jax.common import files
from mclf_jax.data.base import targets as target_lib
from mclf_jax.data.base.source import Source
from mclf_jax.evaluation.windows import average


@dataclasses.dataclass(frozen=True)
class Embeddings:
    """Vectors of windows.

    Attributes:
        songs: int64 [W], the song in the source that each window is of, ascending.
        vectors: float32 [W, D].
    """

    songs: np.ndarray
    vectors: np.ndarray


@dataclasses.dataclass(frozen=True)
class Rows:
    """Windows of the songs of a split.

    Attributes:
        songs: int64 [N], indices in the source.
        position: int64 [W], to which of them each window belongs.
        vectors: float32 [W, D].
        targets: int [N] or float [N, K], NaN where not observed.
    """

    songs: np.ndarray
    position: np.ndarray
    vectors: np.ndarray
    targets: np.ndarray

    def song_means(self, predicted: np.ndarray) -> np.ndarray:
        """Of windows [W, K] to [N, K]."""
        rows = {"index": self.position, "scores": predicted}
        return average([rows], "scores", num_songs=len(self.songs))["means"]

    def thin(self, max_windows: int) -> "Rows":
        """At most so many windows, evenly from each song, but one of each song at least."""
        if len(self.position) <= max_windows:
            return self
        each = max(1, max_windows // len(self.songs))
        ends = np.cumsum(np.bincount(self.position, minlength=len(self.songs)))
        starts = np.concatenate([[0], ends[:-1]])
        kept = [
            np.unique(np.linspace(first, last - 1, min(each, last - first)).round().astype(int))
            for first, last in zip(starts, ends, strict=True)
        ]
        kept = np.concatenate(kept)
        return dataclasses.replace(self, position=self.position[kept], vectors=self.vectors[kept])

    def draw_songs(self, count: int, *, seed: int) -> "Rows":
        """At most so many songs, drawn at random."""
        if len(self.songs) <= count:
            return self
        drawn = np.random.default_rng(seed).choice(len(self.songs), count, replace=False)
        kept = np.sort(drawn)
        of_kept = np.isin(self.position, kept)
        return Rows(
            songs=self.songs[kept],
            position=np.searchsorted(kept, self.position[of_kept]),
            vectors=self.vectors[of_kept],
            targets=self.targets[kept],
        )


@dataclasses.dataclass(frozen=True)
class Encoder:
    """Something that makes vectors of songs, and what tells it from every other such thing.

    Attributes:
        name: "trained", "untrained" or "mfcc".
        identity: of JSON types; embeddings of equal identity and equal data are equal. Where its
            vectors are those of several layers, one after the other, "layers" has {name: width}.
        encode: (songs, indices [N]; progress) -> their embeddings, in any order. Songs that cannot
            be read are skipped.
    """

    name: str
    identity: dict[str, Any]
    encode: Callable[[np.ndarray, str], Embeddings]


def keep_labelled(source: Source, songs: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Those of some songs of which a label is known, int [N], and targets, [N] or [N, K]."""
    indices = labelled_songs(source, songs)
    if not len(indices):
        return indices, np.zeros((0, len(source.info.labels)), np.float32)
    return indices, source.targets[indices]


def labelled_songs(source: Source, songs: Sequence[int]) -> np.ndarray:
    """Those of some songs of which a label is known, int [N]."""
    indices = np.asarray(songs, np.int64)
    return indices[target_lib.any_known(target_lib.take(source.targets, indices))]


def rows_of(embeddings: Embeddings, songs: np.ndarray, targets: np.ndarray) -> Rows:
    """The windows of songs that there are embeddings of; other songs are left out.

    Args:
        embeddings: of all songs.
        songs: int [N].
        targets: of them, [N] or [N, K].
    """
    readable = np.isin(songs, embeddings.songs)
    songs, targets = np.asarray(songs, np.int64)[readable], targets[readable]
    order = np.argsort(songs)
    songs, targets = songs[order], targets[order]
    wanted = np.isin(embeddings.songs, songs)
    position = np.searchsorted(songs, embeddings.songs[wanted])
    return Rows(songs, position, embeddings.vectors[wanted], targets)


def extract(
    encoder: Encoder, source: Source, songs: np.ndarray, *, directory: Path, progress: str = "auto"
) -> Embeddings:
    """The embeddings of songs, from the file that an earlier call left where that is still right.

    The file is named after encoder and data. Weights, step, windows and songs stand in it; where
    they are others by now, or it is damaged, it is written anew.

    Args:
        encoder: see there.
        source: of the songs.
        songs: indices [N].
        directory: of the files.
        progress: "auto", a bar on terminals; "on" or "off".

    Raises:
        ValueError: an embedding is not finite, or not one song could be read.
    """
    info = source.info
    identity = {
        "encoder": encoder.identity,
        "data": info.fingerprint,
        "sample_rate_hz": info.sample_rate_hz,
        "songs": [int(i) for i in songs],
    }
    # The weights at hand name the file of an untrained network, because there can be several.
    weights = f"-{encoder.identity['weights'][:8]}" if encoder.name == "untrained" else ""
    layers = "-layers" if "layers" in encoder.identity else ""
    path = directory / f"{encoder.name}{weights}{layers}-{info.name}-{info.fingerprint[:8]}.npz"
    found = _read(path, identity)
    if found is None:
        found = _compute(encoder, songs, progress=progress)
        files.write_arrays(path, identity, songs=found.songs, vectors=found.vectors)
    return found


def of_layers(
    embeddings: Embeddings, widths: Mapping[str, int], names: Sequence[str]
) -> Embeddings:
    """Those of some layers, of vectors that are those of all.

    Args:
        embeddings: [W, D].
        widths: {name: width} of all layers in D, in their order.
        names: of the layers that are wanted.
    """
    ends = dict(zip(widths, np.cumsum(list(widths.values())), strict=True))
    parts = [embeddings.vectors[:, ends[name] - widths[name] : ends[name]] for name in names]
    return Embeddings(embeddings.songs, np.concatenate(parts, axis=1))


def _compute(encoder: Encoder, songs: np.ndarray, *, progress: str) -> Embeddings:
    found = encoder.encode(songs, progress)
    if not len(found.vectors):
        raise ValueError("not one of the songs could be read")
    if bad := int((~np.isfinite(found.vectors).all(axis=1)).sum()):
        raise ValueError(
            f"{bad} of {len(found.vectors)} embeddings of the {encoder.name} encoder are not "
            "finite: its training has broken down, or the audio does not suit its features"
        )
    order = np.argsort(found.songs, kind="stable")
    return Embeddings(found.songs[order], found.vectors[order])


def _read(path: Path, identity: dict[str, Any]) -> Embeddings | None:
    kept = files.read_arrays(path, identity)
    if kept is None or set(kept) != {"songs", "vectors"}:
        return None
    if kept["vectors"].ndim != 2 or kept["vectors"].shape[:1] != kept["songs"].shape:
        return None
    return Embeddings(**kept)
