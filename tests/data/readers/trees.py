"""Miniature data sets in the layout of the real ones, with short generated audio."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests import SHARED

RATE_HZ = 8000
METADATA = SHARED / "metadata"

_SUBTYPES = {".wav": "PCM_16", ".au": "PCM_16", ".mp3": "MPEG_LAYER_III", ".flac": "PCM_16"}


def write_tone(file: Path, *, duration_s: float = 0.5, tone_hz: float = 220.0) -> Path:
    """A sine at half of full scale, mono at `RATE_HZ`; its folders are made."""
    file.parent.mkdir(parents=True, exist_ok=True)
    times_s = np.arange(int(duration_s * RATE_HZ)) / RATE_HZ
    tone = (0.5 * np.sin(2 * np.pi * tone_hz * times_s)).astype(np.float32)
    soundfile.write(file, tone, RATE_HZ, subtype=_SUBTYPES[file.suffix])
    return file


def write_lines(file: Path, *lines: str) -> Path:
    """A text file; its folders are made."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return file


def real_metadata(folder: str) -> Path:
    """The published metadata of a data set; the test is skipped where it is not there."""
    if not (METADATA / folder).is_dir():
        pytest.skip(f"no published metadata of {folder} beside the repository (shared/metadata)")
    return METADATA / folder


def by_split(catalogue) -> dict[str, int]:
    """Number of items in each split of a catalogue."""
    splits = [item.split for item in catalogue.items]
    return {split: splits.count(split) for split in dict.fromkeys(splits)}
