"""A song to listen to: a file, the bytes of one, or an array, as windows at a network's rate."""

import functools
import os
import tempfile
import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, BinaryIO

import numpy as np
import soxr

from mclf_jax.audio.decode import (
    AudioError,
    check_samples,
    hear,
    read_windows,
    resampled_length,
    too_loud,
)
from mclf_jax.audio.files.sound import HIGHEST_RATE_HZ, LOWEST_RATE_HZ
from mclf_jax.common import checks
from mclf_jax.data.base.windows import fit_length

# Bytes and open files hold what a file on disk would; arrays are [T], [T, C] or [C, T].
Audio = str | os.PathLike | bytes | BinaryIO | np.ndarray
# More than these are no channels.
_MOST_CHANNELS = 16


class Song:
    """A file or an array as windows at the model's rate; a file is never read whole."""

    def __init__(self, audio: Audio, *, rate: int, sample_rate_hz: int | None):
        self._rate, self._path, self._array = rate, None, None
        if not isinstance(audio, str | os.PathLike) and not hasattr(audio, "shape"):
            self.name, self._kept = "the file", _as_file(audio)
            self._path = self._kept.name
        elif isinstance(audio, str) and "://" in audio:
            self.name, self._kept = audio, _fetched(audio)
            self._path = self._kept.name
        elif isinstance(audio, str | os.PathLike):
            self.name = self._path = os.fspath(audio)
        if self._path is not None:
            try:
                heard = hear(self._path)
            except AudioError as error:
                raise AudioError(self.name, error.reason) from None
            self.length = resampled_length(
                heard.info.num_frames, source_rate_hz=heard.info.sample_rate_hz, sample_rate_hz=rate
            )
            part, peak, narrow = heard.info.part, heard.peak, ""
        else:
            self.name = "the array"
            self._array = _as_samples(audio, sample_rate_hz, rate)
            self.length = len(self._array)
            part, peak, narrow = "", float(np.abs(self._array).max(initial=0)), _too_narrow(audio)
        for said in filter(None, (part and f"used in part: {part}", too_loud(peak), narrow)):
            warnings.warn(f"{self.name}: {said}", stacklevel=4)
        if self.length < 1:
            raise AudioError(self.name, "it has no samples")

    def windows(
        self, starts: np.ndarray, window: int, short: str
    ) -> Iterator[tuple[int, np.ndarray]]:
        """(number of the start, float32 [window]) for each start that there is audio at."""
        if self._array is None:
            clips = read_windows(self._path, starts, sample_rate_hz=self._rate, num_samples=window)
        else:
            clips = (self._array[start : start + window] for start in starts)
        for number, audio in enumerate(clips):
            if len(audio):
                yield number, fit_length(audio, window, short=short)


def _as_samples(audio: Any, sample_rate_hz: int | None, rate: int) -> np.ndarray:
    array = np.asarray(audio)
    if sample_rate_hz is None:
        raise ValueError("sample_rate_hz is needed for arrays: it cannot be read off them")
    checks.within("sample_rate_hz", sample_rate_hz, LOWEST_RATE_HZ, HIGHEST_RATE_HZ)
    array = _mono(array)
    if array.dtype.itemsize < 4:
        array = array.astype(np.float32)  # in which 1e10 has a place
    check_samples(array, path="the array", at_s=lambda sample: sample / sample_rate_hz)
    array = array.astype(np.float32, copy=False)
    return array if sample_rate_hz == rate else soxr.resample(array, sample_rate_hz, rate, "HQ")


def _too_narrow(audio: Any) -> str:
    """What is to be said of integers that use next to nothing of their type; "" if they do."""
    array = np.asarray(audio)
    if array.dtype.kind != "i":
        return ""
    peak = max(int(array.max(initial=0)), -int(array.min(initial=0)))
    full_scale = -int(np.iinfo(array.dtype).min)
    if not 0 < peak <= full_scale >> 16:
        return ""
    return (
        f"its samples reach {peak}, where full scale of {array.dtype} is {full_scale}: perhaps"
        " integers of fewer bits, such as int16, which should keep their type"
    )


def _mono(array: np.ndarray) -> np.ndarray:
    """Floating point [T] in -1..1 of samples of any type, the channels averaged."""
    channels = array.ndim == 2 and min(array.shape) <= _MOST_CHANNELS
    if not (array.ndim == 1 or channels) or array.dtype.kind not in "fiu":
        raise ValueError(
            f"got {array.dtype} {list(array.shape)}; an array of audio is [T], [T, C] or [C, T] "
            f"with at most {_MOST_CHANNELS} channels, of floating point numbers in -1..1 or of "
            "integers with the full scale of their type"
        )
    if array.dtype.kind in "iu":
        # Unsigned samples lie around the middle of their range.
        half = 2.0 ** (8 * array.dtype.itemsize - 1)
        array = array / half - (array.dtype.kind == "u")
    if array.ndim == 2:
        # Time is the longer axis; of as many samples as channels, the first.
        array = array.mean(axis=1 if array.shape[0] >= array.shape[1] else 0)
    return array


def _fetched(url: str) -> Any:
    """A file on disk of what is on object storage (`gs://`, `s3://`)."""
    from mclf_jax.common.storage import places, tries

    try:
        storage = places.filesystem(places.check("it", url).partition("://")[0])
        content = tries.attempt("fetching it", functools.partial(storage.cat_file, url))
    except FileNotFoundError:
        raise AudioError(url, "no such file") from None
    except (ValueError, tries.StorageError) as error:
        raise AudioError(url, str(error)) from error
    return _as_file(content)


def _as_file(audio: bytes | BinaryIO) -> Any:
    """A file on disk of bytes, or of what is left of an open file; it goes with the object."""
    if not isinstance(audio, bytes) and hasattr(audio, "read"):
        audio = audio.read()
    if not isinstance(audio, bytes | bytearray | memoryview):
        raise ValueError(
            f"audio is a {type(audio).__name__}; it must be a path, bytes, a file that is open in "
            "binary mode, an array, or a list of these"
        )
    # It is decoded by the same code as every file, so that the same windows are heard.
    file = tempfile.NamedTemporaryFile(prefix="mclf-")  # noqa: SIM115 - it goes with its song
    file.write(audio)
    file.flush()
    return file


def as_list(audio: Audio | Sequence[Audio]) -> tuple[list[Audio], bool]:
    one = isinstance(audio, str | os.PathLike | bytes | bytearray | memoryview)
    # An array of numpy or jax has a shape.
    many = isinstance(audio, Iterable) and not one and not hasattr(audio, "shape")
    single = not many or hasattr(audio, "read")
    return ([audio], True) if single else (list(audio), False)
