"""Landmarks of a recording: pairs of spectral peaks, which survive codecs, gain, noise and cuts.

Wang, 2003, "An Industrial-Strength Audio Search Algorithm". Two recordings of the same sound have
many pairs in common, all shifted by the same time; `candidates` looks for that.

Measured on 25 pieces of game music: of a copy's landmarks 25 % or more are those of the original
after MP3 or Ogg at the lowest quality, 17 % after a cut, 8 % after a cut of 10 s encoded so, 11 %
in noise at 10 dB; of 21,000 pairs of different pieces none shares more than 1 %.
"""

from typing import NamedTuple

import numpy as np
from scipy import fft, ndimage, signal

RATE_HZ = 8000
"""Landmarks are taken from audio at this rate: what codecs at low rates leave."""

HOP_S = 0.032
PER_S = 47
"""About so many landmarks are in a second of music."""

HOP_LENGTH = round(RATE_HZ * HOP_S)
N_FFT = 4 * HOP_LENGTH

_BINS = slice(8, 448)  # 62 to 3,500 Hz: no rumble, and below the band edge of 8 kHz recordings
_PEAK_FRAMES, _PEAK_BINS = 10, 16  # a peak is the largest within so many to each side
_RANGE_DB = 50.0  # below the largest value within a second; what lies deeper is lost to codecs
_RANGE_FRAMES = 31
_FLOOR_DB = -60.0  # of a spectrum of samples up to 1; 16-bit noise lies at about -70
_ZONE_FRAMES, _ZONE_BINS = 63, 63  # a partner lies at most so far ahead, and up or down
_FAN_OUT = 3


class Landmarks(NamedTuple):
    """Pairs of peaks."""

    # uint32 [L], of the first frequency, the step to the second and the time between.
    hashes: np.ndarray
    frames: np.ndarray  # int32 [L], when the first peak is, in hops of `HOP_S`; rising

    def __len__(self) -> int:
        return len(self.hashes)


def join(parts: list[Landmarks]) -> Landmarks:
    """Landmarks of consecutive parts of a recording; none of no part."""
    if not parts:
        return Landmarks(np.zeros(0, np.uint32), np.zeros(0, np.int32))
    return Landmarks(*(np.concatenate(arrays) for arrays in zip(*map(tuple, parts), strict=True)))


def landmarks(audio: np.ndarray, *, first_frame: int = 0, keep_one_in: int = 1) -> Landmarks:
    """Landmarks of float32 [T] at `RATE_HZ`; none in silence.

    Args:
        audio: a recording, or a part of it.
        first_frame: of the part, for the times.
        keep_one_in: thins them out, the same hashes in every recording, so that what two of them
            share is thinned in proportion.
    """
    frames, bins = _peaks(spectrogram_db(audio))
    found = _pairs(frames, bins)
    # Knuth's multiplicative hash: neighbouring values must not be kept or dropped together.
    chosen = (found.hashes * np.uint32(2654435761)) >> np.uint32(12)
    keep = chosen % np.uint32(keep_one_in) == 0
    return Landmarks(found.hashes[keep], found.frames[keep] + np.int32(first_frame))


def spectrogram_db(audio: np.ndarray) -> np.ndarray:
    """Float32 [F, M], 62 to 3,500 Hz, of float32 [T] at `RATE_HZ`; frames are not centred."""
    if len(audio) < N_FFT:
        audio = np.pad(audio, (0, N_FFT - len(audio)))
    frames = np.lib.stride_tricks.sliding_window_view(audio, N_FFT)[::HOP_LENGTH]
    window = np.asarray(signal.get_window("hann", N_FFT), np.float32)
    spectrum = fft.rfft(frames * window, axis=1)[:, _BINS]  # pyright: ignore
    return 10 * np.log10(spectrum.real**2 + spectrum.imag**2 + 1e-10)


def _peaks(levels_db: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    size = (2 * _PEAK_FRAMES + 1, 2 * _PEAK_BINS + 1)
    highest = ndimage.maximum_filter(levels_db, size=size, mode="nearest")
    loudest = ndimage.maximum_filter1d(levels_db.max(axis=1), 2 * _RANGE_FRAMES + 1, mode="nearest")
    floor_db = np.maximum(loudest - _RANGE_DB, _FLOOR_DB)
    return np.nonzero((levels_db == highest) & (levels_db > floor_db[:, None]))


def _pairs(frames: np.ndarray, bins: np.ndarray) -> Landmarks:
    """Each peak with the next ones in its zone, `_FAN_OUT` at most; `frames` rise."""
    hashes, times = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    taken = np.zeros(len(frames), np.int32)
    for step in range(1, len(frames)):  # the pairs of a peak and the step-th after it
        ahead = frames[step:] - frames[:-step]
        if ahead.min() > _ZONE_FRAMES:
            break
        up = bins[step:] - bins[:-step]
        near = (ahead > 0) & (ahead <= _ZONE_FRAMES) & (np.abs(up) <= _ZONE_BINS)
        (first,) = np.nonzero(near & (taken[:-step] < _FAN_OUT))
        taken[first] += 1
        hashes.append((bins[first] << 13) | ((up[first] + _ZONE_BINS) << 6) | ahead[first])
        times.append(frames[first])
    times = np.concatenate(times)
    order = np.argsort(times, kind="stable")
    return Landmarks(
        hashes=np.concatenate(hashes)[order].astype(np.uint32),
        frames=times[order].astype(np.int32),
    )
