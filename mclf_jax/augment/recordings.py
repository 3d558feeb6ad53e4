"""Recordings that an augmentation needs, from the path that a config names."""

from pathlib import Path

import numpy as np

from mclf_jax.audio.decode import AUDIO_SUFFIXES, read_audio
from mclf_jax.common import walk


def read_recordings(path: str | Path, *, sample_rate_hz: int) -> list[np.ndarray]:
    """A file, or every audio file below a folder in the order of their names, each float32 [T].

    Raises:
        ValueError: there is none; as an `AudioError`, one of them cannot be read.
    """
    path = Path(path)
    files = [path]
    if path.is_dir():
        files = sorted(walk.files(path, suffixes=AUDIO_SUFFIXES))
        if not files:
            raise ValueError(f"{path}: no audio files in this folder")
    return [read_audio(file, sample_rate_hz=sample_rate_hz) for file in files]
