"""Embeddings of songs, computed once: later calls read them from the run directory."""

import dataclasses
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from mclf_jax.data.base.source import Source
from mclf_jax.probe.encoders import Encoder


@dataclasses.dataclass(frozen=True)
class Embeddings:
    """Vectors of windows.

    Attributes:
        songs: int64 [W], the song in the source that each window is of, ascending.
        vectors: float32 [W, D].
    """

    songs: np.ndarray
    vectors: np.ndarray


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
        _write(path, identity, found)
    return found


def _compute(encoder: Encoder, songs: np.ndarray, *, progress: str) -> Embeddings:
    rows: list[np.ndarray] = []
    vectors: list[np.ndarray] = []
    with tqdm(
        encoder.encode(songs),
        desc=f"embeddings ({encoder.name})",
        unit="batch",
        total=encoder.num_batches(songs),
        disable=hide_bar(progress),
        leave=False,
    ) as batches:
        for of_songs, of_vectors in batches:
            rows.append(of_songs)
            vectors.append(of_vectors)
    songs_of_windows, stacked = np.concatenate(rows), np.concatenate(vectors)
    if not len(stacked):
        raise ValueError("not one of the songs could be read")
    if bad := int((~np.isfinite(stacked).all(axis=1)).sum()):
        raise ValueError(
            f"{bad} of {len(stacked)} embeddings of the {encoder.name} encoder are not finite: its "
            "training has broken down, or the audio does not suit its features"
        )
    order = np.argsort(songs_of_windows, kind="stable")
    return Embeddings(songs_of_windows[order], stacked[order])


def hide_bar(progress: str) -> bool | None:
    """tqdm's `disable`; None asks whether there is a terminal."""
    return {"auto": None, "on": False, "off": True}[progress]


def _read(path: Path, identity: dict[str, Any]) -> Embeddings | None:
    try:
        # numpy leaves a file open that turns out to be damaged.
        with path.open("rb") as handle, np.load(handle, allow_pickle=False) as file:
            if str(file["identity"]) != _text(identity):
                return None
            found = Embeddings(file["songs"], file["vectors"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    fits = found.vectors.ndim == 2 and found.songs.shape == found.vectors.shape[:1]
    return found if fits else None


def _write(path: Path, identity: dict[str, Any], found: Embeddings) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    with temporary.open("wb") as file:
        np.savez(file, identity=_text(identity), songs=found.songs, vectors=found.vectors)
    temporary.replace(path)


def _text(identity: dict[str, Any]) -> str:
    return json.dumps(identity, sort_keys=True)
