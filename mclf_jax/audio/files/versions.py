"""What decodes and resamples here, and whether it did so when a network was trained."""

import os
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import soundfile
import soxr

from mclf_jax.audio.files import ffmpeg

# Of each part: its name for people, what it is of consequence for.
_PARTS = {
    "decoder": ("libsndfile", "MP3, Ogg and other compressed files"),
    "soxr": ("soxr", "files of another sample rate than the network's"),
    "av": ("PyAV", "m4a, AAC, WMA and what else FFmpeg decodes"),
}


def versions(files: Iterable[str | os.PathLike] = ()) -> dict[str, str]:
    """What a run remembers of them; of FFmpeg only where it decodes one of the files."""
    known = {
        "decoder": soundfile.__libsndfile_version__,
        "resampler": "soxr HQ",
        "soxr": soxr.__libsoxr_version__,
    }
    if ffmpeg.version() and any(Path(file).suffix.lower() in ffmpeg.SUFFIXES for file in files):
        known["av"] = ffmpeg.version()
    return known


def of_prepared(request: Mapping[str, str]) -> dict[str, str]:
    """The same of the songs of a prepared data set, which were decoded when it was made.

    Args:
        request: its "decoder", such as "libsndfile 1.2.2, av 18.1.0", and "resampler".
    """
    parts = f"{request.get('decoder', '')}, {request.get('resampler', '')}".split(", ")
    named = dict(part.split(" ", 1) for part in parts if " " in part)
    known = {"decoder": named.get("libsndfile"), "soxr": named.get("soxr"), "av": named.get("av")}
    return {name: version for name, version in known.items() if version not in (None, "missing")}


def warn_of_others(trained: Any, *, stacklevel: int = 2) -> bool:
    """Warn in a line if versions are others here than in training; whether they are.

    Args:
        trained: what `versions` was in training. Nothing is said of runs that do not know soxr's,
            as of earlier versions of this package, or that hold something else; nor of PyAV where
            it is not installed, since its files are skipped then, with a reason.
        stacklevel: of the warning, for the caller.
    """
    if not isinstance(trained, Mapping) or "soxr" not in trained:
        return False
    here = {**versions(), "av": ffmpeg.version()}
    told = [
        f"{name} {trained[part]} in training and {here[part]} here ({use})"
        for part, (name, use) in _PARTS.items()
        if trained.get(part) and here[part] and trained[part] != here[part]
    ]
    if not told:
        return False
    warnings.warn(
        f"audio is read by another version than in training: {'; '.join(told)}. Scores may differ,"
        " usually by less than from WAV to MP3 (figures in docs/exporting.md); for the same ones"
        " install the versions of training",
        stacklevel=stacklevel + 1,
    )
    return True
