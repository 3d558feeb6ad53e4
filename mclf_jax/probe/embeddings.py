"""Embeddings of songs, computed once: later calls read them from the run directory."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from mclf_jax.common import files
from mclf_jax.data.base.source import Source


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
class Encoder:
    """Something that makes vectors of songs, and what tells it from every other such thing.

    Attributes:
        name: "trained", "untrained" or "mfcc".
        identity: of JSON types; embeddings of equal identity and equal data are equal.
        encode: (songs, indices [N]; progress) -> their embeddings, in any order. Songs that cannot
            be read are skipped.
    """

    name: str
    identity: dict[str, Any]
    encode: Callable[[np.ndarray, str], Embeddings]


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
    path = directory / f"{encoder.name}{weights}-{info.name}-{info.fingerprint[:8]}.npz"
    found = _read(path, identity)
    if found is None:
        found = _compute(encoder, songs, progress=progress)
        files.write_arrays(path, identity, songs=found.songs, vectors=found.vectors)
    return found


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
