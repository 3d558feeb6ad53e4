"""Recordings that an augmentation needs, from the path that a config names."""

from pathlib import Path

import numpy as np

from mclf_jax.audio.decode import AUDIO_SUFFIXES, audio_info, read_audio
from mclf_jax.common import walk

_MOST_SAMPLES = 1 << 29  # 2 GB, 9 hours at 16 kHz


def read_recordings(path: str | Path, *, sample_rate_hz: int) -> list[np.ndarray]:
    """A file, or every audio file below a folder in the order of their names, each float32 [T].

    Raises:
        ValueError: there is none, or more than 2 GB of samples; as an `AudioError`, one of them
            cannot be read.
    """
    path = Path(path)
    files = [path]
    if path.is_dir():
        files = sorted(walk.files(path, suffixes=AUDIO_SUFFIXES))
        if not files:
            raise ValueError(f"{path}: no audio files in this folder")
    duration_s = sum(audio_info(file).duration_s for file in files)
    if duration_s * sample_rate_hz > _MOST_SAMPLES:
        raise ValueError(
            f"{path}: {duration_s / 3600:.1f} hours of recordings, which are kept in memory; at"
            f" {sample_rate_hz} Hz there may be {_MOST_SAMPLES / sample_rate_hz / 3600:.1f}"
        )
    return [read_audio(file, sample_rate_hz=sample_rate_hz) for file in files]
