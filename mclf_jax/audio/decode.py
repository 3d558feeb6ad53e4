"""Audio files to float32 mono at the rate asked for, decoding only the window asked for.

soundfile (libsndfile) decodes and soxr resamples. Positions and lengths are counted at the
target rate, and a window is the same samples as that slice of the whole file.
"""

import contextlib
import dataclasses
import functools
import os
from collections.abc import Callable, Generator, Iterator, Sequence

import numpy as np
import soundfile
import soxr

from mclf_jax.audio.files import ffmpeg
from mclf_jax.audio.files.errors import AudioError, identity
from mclf_jax.audio.files.sound import BLOCK_FRAMES, Sound, is_plain, open_sound
from mclf_jax.audio.resample import QUALITY, resampled_window
from mclf_jax.common import checks

# RAW has no header. What takes an extra is looked at without it too, so that it is listed as left
# out and does not vanish.
_MORE_NAMES = {"mp3", "aif", "aifc", "oga", "opus", "snd", "wave"}
AUDIO_SUFFIXES = (
    frozenset(
        f".{name}"
        for name in {name.lower() for name in soundfile.available_formats()} - {"raw"} | _MORE_NAMES
    )
    | ffmpeg.SUFFIXES
)

# Full scale is 1. MP3 and loud mixes go beyond; what peaks above this is no audio in -1..1.
_LOUD = 10.0
_INTEGERS = {128: "8", 1 << 15: "16", 1 << 23: "24", 1 << 31: "32"}  # bits of whole numbers

# Peak to peak. A third of the last bit of 16: silence that went through a lossy codec, dither of
# 24 bits and a constant offset lie below, any sound in a 16-bit file lies above.
SILENCE_SPAN = 1e-5

# Whole numbers of 32 bits that were taken for floats lie below; nothing that was sound is above,
# and a spectrum of it has no place in float32.
_LARGEST = 1e10


@dataclasses.dataclass(frozen=True)
class AudioInfo:
    """What an audio file holds.

    Attributes:
        sample_rate_hz, num_channels: of its header.
        num_frames: that can be decoded, at its own rate. What a header says is not believed where
            the file shows something else; in Ogg and FLAC only decoding all of it does (`hear`).
        duration_s: of them.
        part: why that is not all that the file should hold, in words; "" where it is.
    """

    sample_rate_hz: int
    num_frames: int
    num_channels: int
    duration_s: float
    part: str = ""


@dataclasses.dataclass(frozen=True)
class Heard:
    """What came out of a file that was decoded from beginning to end.

    Attributes:
        info: how much.
        lowest, highest: of the samples, mean of the channels.
        is_plain: whether the decoder finds all of it by itself, so that nobody has to look again.
        cancels: whether its channels are the opposite of each other, so that their mean is silent.
    """

    info: AudioInfo
    lowest: float
    highest: float
    is_plain: bool
    cancels: bool = False

    @property
    def is_silent(self) -> bool:
        """Whether there is nothing to hear, or only a constant."""
        return self.highest - self.lowest < SILENCE_SPAN

    @property
    def peak(self) -> float:
        """The largest magnitude."""
        return max(-self.lowest, self.highest)


def too_loud(peak: float) -> str:
    """What is to be said of samples so far outside -1..1, and why they may be; "" if they are not.

    >>> too_loud(1.3)
    ''
    >>> too_loud(16000)
    'its samples reach 16000, where full scale is 1: perhaps 16-bit integers that were not divided \
by 32768'
    """
    if peak <= _LOUD:
        return ""
    said = f"its samples reach {peak:.5g}, where full scale is 1"
    for scale, bits in _INTEGERS.items():
        if scale / 256 < peak <= scale:
            return f"{said}: perhaps {bits}-bit integers that were not divided by {scale}"
    return said


def check_samples(samples: np.ndarray, *, path: str | os.PathLike, at_s: Callable[[int], float]):
    """Raises an AudioError, saying where, if samples [T, ...] are not finite or beyond all sense.

    Args:
        samples: as decoded.
        path: of what they are of.
        at_s: from the place in `samples` to that in seconds.
    """
    good = np.abs(samples) <= _LARGEST
    if good.all():
        return
    bad = int(np.argmin(good.reshape(len(good), -1).all(axis=1)))
    what = "NaN or infinity"
    if np.isfinite(samples[bad]).all():
        what = f"a sample of {np.abs(samples[bad]).max():.0e}, where full scale is 1,"
    raise AudioError(path, f"contains {what} at {at_s(bad):.3f} s")


def audio_info(path: str | os.PathLike) -> AudioInfo:
    """Finds out what is in a file, decoding next to nothing.

    Raises:
        AudioError: the file is missing, empty or not audio.
    """
    return _info(open_sound(path))


def hear(path: str | os.PathLike) -> Heard:
    """Decodes all of a file, in bounded memory: its length is what this finds, for every command.

    What was found of the last files is remembered, for those that hold several songs.

    Raises:
        AudioError: as `read_audio` of the whole file.
    """
    return _hear(path, identity(path))


@functools.lru_cache(maxsize=64)
def _hear(path: str | os.PathLike, _identity: tuple[int, int, int]) -> Heard:
    sound = open_sound(path)
    num_frames, lowest, highest = 0, float("inf"), float("-inf")
    for block in _mono_blocks(sound):
        num_frames += len(block)
        lowest = min(lowest, float(block.min()))
        highest = max(highest, float(block.max()))
    if not num_frames:
        raise AudioError(path, "nothing in it can be decoded")
    info = _info(sound)
    if num_frames < info.num_frames:
        promised_s, rate_hz = info.duration_s, info.sample_rate_hz
        lack = f"cut off: {num_frames / rate_hz:.1f} s of {promised_s:.1f} s can be decoded"
        info = dataclasses.replace(
            info,
            num_frames=num_frames,
            duration_s=num_frames / rate_hz,
            part="; ".join(filter(None, (info.part, lack))),
        )
    heard = Heard(info, lowest, highest, is_plain(sound))
    if heard.is_silent and sound.num_channels > 1:
        cancels = any(np.ptp(block, axis=0).max() > SILENCE_SPAN for _, block in sound.blocks())
        heard = dataclasses.replace(heard, cancels=cancels)
    return heard


def _info(sound: Sound) -> AudioInfo:
    return AudioInfo(
        sample_rate_hz=sound.sample_rate_hz,
        num_frames=sound.num_frames,
        num_channels=sound.num_channels,
        duration_s=sound.num_frames / sound.sample_rate_hz,
        part=sound.part,
    )


def resampled_length(num_frames: int, *, source_rate_hz: int, sample_rate_hz: int) -> int:
    """Samples at `sample_rate_hz` of `num_frames` at `source_rate_hz`, rounded half up."""
    return (2 * num_frames * sample_rate_hz + source_rate_hz) // (2 * source_rate_hz)


def read_audio(
    path: str | os.PathLike,
    *,
    sample_rate_hz: int,
    start_sample: int = 0,
    num_samples: int | None = None,
    layout: str = "unknown",
) -> np.ndarray:
    """Decodes a window of a file, resamples it and averages its channels.

    Args:
        path: anything libsndfile reads: WAV, FLAC, Ogg Vorbis and Opus, MP3, AIFF and more; with
            the extra "av" also AAC, ALAC, WMA and what else FFmpeg does (`files.ffmpeg`).
        sample_rate_hz: of the result.
        start_sample: first sample, counted at `sample_rate_hz`.
        num_samples: at most so many, counted at `sample_rate_hz`; None is up to the end.
        layout: "plain" if `hear` has found it so before: then the file is not looked through first.

    Returns:
        Float32 [<= num_samples]: shorter where the file ends, empty beyond its end.

    Raises:
        AudioError: the file is missing, is not audio, breaks off with a decoding error within the
            window, or holds NaN or infinity there.
        ValueError: a negative position or length, or a rate that is not positive.
    """
    checks.positive("sample_rate_hz", sample_rate_hz, unit="Hz")
    if start_sample < 0 or (num_samples is not None and num_samples < 0):
        raise ValueError(
            "start_sample and num_samples count from the start of the file and cannot be negative,"
            f" got start_sample={start_sample}, num_samples={num_samples}"
        )
    sound = open_sound(path, layout=layout)

    def read_frames(start_frame: int, stop_frame: int | None) -> np.ndarray:
        blocks = list(_mono_blocks(sound, start_frame=start_frame, stop_frame=stop_frame))
        if blocks:
            return blocks[0] if len(blocks) == 1 else np.concatenate(blocks)
        if start_frame == 0 and num_samples != 0:
            raise AudioError(path, "nothing in it can be decoded")
        return np.zeros(0, np.float32)

    return resampled_window(
        read_frames,
        source_rate_hz=sound.sample_rate_hz,
        sample_rate_hz=sample_rate_hz,
        start_sample=start_sample,
        num_samples=num_samples,
    )


def stream_audio(
    path: str | os.PathLike, *, sample_rate_hz: int, block_samples: int
) -> Generator[np.ndarray, None, None]:
    """Decodes a file of any length in bounded memory.

    Yields:
        Float32 [block_samples], the last one shorter; joined they are `read_audio` of the file.

    Raises:
        AudioError: as `read_audio`, at the block where it is met.
        ValueError: `block_samples` is not positive.
    """
    if block_samples < 1:
        raise ValueError(f"block_samples must be at least 1, got {block_samples}")
    sound, resampler = open_sound(path), None
    if sound.sample_rate_hz != sample_rate_hz:
        resampler = soxr.ResampleStream(
            sound.sample_rate_hz, sample_rate_hz, 1, dtype="float32", quality=QUALITY
        )
    block_frames = max(BLOCK_FRAMES, block_samples * sound.sample_rate_hz // sample_rate_hz)
    pending = np.zeros(0, np.float32)
    decoded = False
    for block in _mono_blocks(sound, block_frames=block_frames):
        decoded = True
        resampled = block if resampler is None else resampler.resample_chunk(block)
        pending = np.concatenate([pending, resampled])
        while len(pending) > block_samples:
            yield pending[:block_samples]
            pending = pending[block_samples:]
    if not decoded:
        raise AudioError(path, "nothing in it can be decoded")
    if resampler is not None:
        tail = resampler.resample_chunk(np.zeros(0, np.float32), last=True)
        pending = np.concatenate([pending, tail])
    for start in range(0, len(pending), block_samples):
        yield pending[start : start + block_samples]


def read_windows(
    path: str | os.PathLike,
    starts: Sequence[int],
    *,
    sample_rate_hz: int,
    num_samples: int,
) -> Iterator[np.ndarray]:
    """Windows of a file, each the same samples as `read_audio` of it gives.

    The file is sought from window to window, or decoded once from its start where that is less
    to decode: windows that overlap, and formats that cannot be sought in. 1,200 windows of 3 s
    of a 30-minute MP3 take 2.2 s so, and 26 s by seeking (0.7 and 249 s at 22.05 kHz).

    Args:
        path: as in `read_audio`.
        starts: first samples of the windows, rising.
        sample_rate_hz: of the result; `starts` and `num_samples` are counted at it.
        num_samples: length of each window.

    Yields:
        Float32 [<= num_samples] for each start: shorter where the file ends, empty beyond it.

    Raises:
        AudioError: as `read_audio`, also for what lies between the windows if that is decoded.
        ValueError: a negative start, or one before the last.
    """
    starts = [int(start) for start in starts]
    if starts != sorted(starts) or min(starts, default=0) < 0:
        raise ValueError(f"starts must rise from 0 or later, got {starts}")
    sound = open_sound(path)
    frames_a_sample = sound.sample_rate_hz / sample_rate_hz
    sought = 0.0
    for start in starts:
        first = sound.first_exact_frame(int(start * frames_a_sample))
        sought += (start + num_samples) * frames_a_sample - first
    if starts and sought > (starts[-1] + num_samples) * frames_a_sample:
        yield from _windows_of_one_pass(path, starts, sample_rate_hz, num_samples)
        return
    for start in starts:
        yield read_audio(
            path, sample_rate_hz=sample_rate_hz, start_sample=start, num_samples=num_samples
        )


def _windows_of_one_pass(
    path: str | os.PathLike, starts: Sequence[int], sample_rate_hz: int, num_samples: int
) -> Iterator[np.ndarray]:
    held, first = np.zeros(0, np.float32), 0  # samples from `first` on, never more than needed
    stream = stream_audio(path, sample_rate_hz=sample_rate_hz, block_samples=num_samples)
    with contextlib.closing(stream) as blocks:
        for start in starts:
            while first + len(held) < start + num_samples:
                if (block := next(blocks, None)) is None:
                    break  # the file ends
                kept = held[start - first :]
                first += len(held) - len(kept)
                held = np.concatenate([kept, block])
            yield held[start - first :][:num_samples]


def _mono_blocks(
    sound: Sound,
    *,
    start_frame: int = 0,
    stop_frame: int | None = None,
    block_frames: int = BLOCK_FRAMES,
) -> Iterator[np.ndarray]:
    """Float32 [<= block_frames] of the frames from start to stop, at the file's own rate."""
    blocks = sound.blocks(start_frame=start_frame, stop_frame=stop_frame, block_frames=block_frames)
    for position, block in blocks:
        check_samples(
            block, path=sound.path, at_s=lambda n, at=position: (at + n) / sound.sample_rate_hz
        )
        yield block[:, 0] if block.shape[1] == 1 else block.mean(axis=1)
