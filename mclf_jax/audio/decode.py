"""Audio files to float32 mono at the rate asked for, decoding only the window asked for.

soundfile (libsndfile) decodes and soxr resamples. Positions and lengths are counted at the
target rate, and a window is the same samples as that slice of the whole file.
"""

import contextlib
import dataclasses
import os
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path

import numpy as np
import soundfile
import soxr

from mclf_jax.audio.resample import QUALITY, resampled_window

_BLOCK_FRAMES = 1 << 16

# RAW has no header. What libsndfile cannot read is looked at too, so that it is listed as left out
# and does not vanish.
_UNREADABLE = {"m4a", "mp4", "aac", "wma", "ape", "wv", "mpc"}
_MORE_NAMES = {"mp3", "aif", "aifc", "oga", "opus", "snd", "wave"}
AUDIO_SUFFIXES = frozenset(
    f".{name}"
    for name in {name.lower() for name in soundfile.available_formats()} - {"raw"}
    | _MORE_NAMES
    | _UNREADABLE
)

# A page of Ogg holds at most 255 packets of Vorbis, and a packet at most 1024 frames as encoders
# write it: the last page begins no earlier than this before the end.
_OGG_LAST_PAGE_FRAMES = 1 << 18
_OGG_PREROLL_FRAMES = 1 << 13
_MP3_PREROLL_FRAMES = 20 * 1152  # the bit reservoir reaches back 511 bytes: 10 frames at 32 kbit/s
_MPEG1_LOWEST_RATE_HZ = 32_000

# What a file that does not open seems to be: its first bytes, where they stand, the kind.
_SIGNATURES = (
    (b"ftyp", 4, "an MPEG-4 file (m4a, mp4, AAC)"),
    (b"\xff\xf1", 0, "AAC audio"),
    (b"\xff\xf9", 0, "AAC audio"),
    (b"0&\xb2u", 0, "a Windows Media file (WMA)"),
    (b"\x1aE\xdf\xa3", 0, "a Matroska or WebM file"),
    (b"wvpk", 0, "a WavPack file"),
    (b"MAC ", 0, "a Monkey's Audio file"),
    (b"MThd", 0, "a MIDI file: notes, not sound"),
    (b"\x89PNG", 0, "a PNG picture"),
    (b"\xff\xd8\xff", 0, "a JPEG picture"),
    (b"%PDF", 0, "a PDF document"),
    (b"PK\x03\x04", 0, "a ZIP archive"),
)
_DAMAGED = {
    b"RIFF": "WAV",
    b"fLaC": "FLAC",
    b"OggS": "Ogg, or Ogg with another codec",
    b"FORM": "AIFF",
    b"ID3": "MP3",
    b"\xff\xfb": "MP3",
}


class AudioError(ValueError):
    """A file that cannot be used as audio.

    Attributes:
        path: of the file.
        reason: why, in words.
    """

    def __init__(self, path: str | os.PathLike, reason: str):
        super().__init__(os.fspath(path), reason)  # both in args, so that it survives pickling
        self.path, self.reason = self.args

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


@dataclasses.dataclass(frozen=True)
class AudioInfo:
    """What the header says; a file that was cut off can hold less."""

    sample_rate_hz: int
    num_frames: int
    num_channels: int
    duration_s: float


def audio_info(path: str | os.PathLike) -> AudioInfo:
    """Reads the header only.

    Raises:
        AudioError: the file is missing, empty or not audio.
    """
    with _open(path) as file:
        return AudioInfo(
            sample_rate_hz=file.samplerate,
            num_frames=file.frames,
            num_channels=file.channels,
            duration_s=file.frames / file.samplerate,
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
) -> np.ndarray:
    """Decodes a window of a file, resamples it and averages its channels.

    Args:
        path: anything libsndfile reads: WAV, FLAC, Ogg Vorbis and Opus, MP3, AIFF and more.
        sample_rate_hz: of the result.
        start_sample: first sample, counted at `sample_rate_hz`.
        num_samples: at most so many, counted at `sample_rate_hz`; None is up to the end.

    Returns:
        Float32 [<= num_samples]: shorter where the file ends, empty beyond its end.

    Raises:
        AudioError: the file is missing, is not audio, breaks off with a decoding error within the
            window, or holds NaN or infinity there.
        ValueError: a negative position or length.
    """
    if start_sample < 0 or (num_samples is not None and num_samples < 0):
        raise ValueError(
            "start_sample and num_samples count from the start of the file and cannot be negative,"
            f" got start_sample={start_sample}, num_samples={num_samples}"
        )
    with _open(path) as file:

        def read_frames(start_frame: int, stop_frame: int | None) -> np.ndarray:
            blocks = list(_mono_blocks(file, start_frame=start_frame, stop_frame=stop_frame))
            if blocks:
                return blocks[0] if len(blocks) == 1 else np.concatenate(blocks)
            if start_frame == 0 and num_samples != 0:
                raise AudioError(path, "nothing in it can be decoded")
            return np.zeros(0, np.float32)

        return resampled_window(
            read_frames,
            source_rate_hz=file.samplerate,
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
    with _open(path) as file:
        resampler = None
        if file.samplerate != sample_rate_hz:
            resampler = soxr.ResampleStream(
                file.samplerate, sample_rate_hz, 1, dtype="float32", quality=QUALITY
            )
        block_frames = max(_BLOCK_FRAMES, block_samples * file.samplerate // sample_rate_hz)
        pending = np.zeros(0, np.float32)
        decoded = False
        for block in _mono_blocks(file, block_frames=block_frames):
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
    with _open(path) as file:
        frames_a_sample = file.samplerate / sample_rate_hz
        sought = 0.0
        for start in starts:
            first = _first_exact_frame(file, int(start * frames_a_sample))
            sought += (start + num_samples) * frames_a_sample - first
        in_one_pass = bool(starts) and sought > (starts[-1] + num_samples) * frames_a_sample
    if in_one_pass:
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


class _Decoder(soundfile.SoundFile):
    """A file that reads on from where it is.

    `SoundFile.read` seeks to its own position after each read of a seekable file. For MP3 and Opus
    that resets the decoder, so that a file read in blocks differs from the file read at once by
    as much as the signal. It leaves that out where the file says that it is not seekable; `seek`
    works all the same.
    """

    def seekable(self) -> bool:
        return False

    def can_seek(self) -> bool:
        return super().seekable()


def _open(path: str | os.PathLike) -> _Decoder:
    try:
        file = _Decoder(path)
    except (soundfile.SoundFileError, OSError, TypeError) as error:
        # TypeError: soundfile takes the name's ending ".raw" for audio without a header
        raise AudioError(path, _why_not_audio(path, error)) from error
    if file.frames <= 0 or file.samplerate <= 0:
        file.close()
        raise AudioError(path, "its header says that it holds no audio (0 samples)")
    if file.frames > 1 << 60:
        file.close()
        raise AudioError(
            path,
            f"its header does not say how long it is, as of a {file.format} written to a pipe:"
            " convert it to a file again",
        )
    return file


def _why_not_audio(path: str | os.PathLike, error: Exception) -> str:
    path = Path(path)
    if path.is_dir():
        return "it is a directory"
    try:
        with path.open("rb") as file:
            head = file.read(512)
    except FileNotFoundError:
        return "no such file"
    except OSError as unreadable:
        return f"it cannot be opened ({unreadable.strerror})"
    if not head:
        return "the file is empty (0 bytes)"
    if not head.strip(b"\0"):
        return f"not audio: it begins with {len(head)} zero bytes"
    for signature, offset, kind in _SIGNATURES:
        if head[offset:].startswith(signature):
            return f"cannot be decoded: it seems to be {kind}"
    for family, name in _DAMAGED.items():
        if head.startswith(family):
            said = getattr(error, "error_string", error)
            return f"cannot be decoded: {name}, damaged or cut off (libsndfile: {said})"
    if head.lstrip()[:14].lower().startswith((b"<!doctype html", b"<html")):
        return "not audio: it seems to be a web page"
    if all(byte >= 32 or byte in b"\t\n\r\f" for byte in head):
        return "not audio: it seems to be text"
    return "not audio of a kind that libsndfile reads"


def _first_exact_frame(file: _Decoder, frame: int) -> int:
    """Where to begin decoding so that `frame` comes out as it does in the whole file.

    libsndfile's seek is not exact in every format (measured with 1.2.2; its issue 885):

    - In the last page of an Ogg stream it is off by up to a block, as that page's end is trimmed.
      That page can be the last seconds, so decoding begins before it.
    - In MP3 the frames after a seek lack the bit reservoir. Some frames of run-up cure that, but
      in the half-rate MPEG-2 kinds mpg123 writes an error to stderr for each, so those are decoded
      from their start, at over a thousand times real time.
    """
    if not file.can_seek():
        return 0
    if file.format == "OGG":
        return max(0, min(frame - _OGG_PREROLL_FRAMES, file.frames - _OGG_LAST_PAGE_FRAMES))
    if file.format == "MP3" or file.subtype.startswith("MPEG"):
        if file.samplerate < _MPEG1_LOWEST_RATE_HZ:
            return 0
        return max(0, frame - _MP3_PREROLL_FRAMES)
    return frame


def _mono_blocks(
    file: _Decoder,
    *,
    start_frame: int = 0,
    stop_frame: int | None = None,
    block_frames: int = _BLOCK_FRAMES,
) -> Iterator[np.ndarray]:
    """Float32 [<= block_frames] of the frames from start to stop, at the file's own rate."""
    stop_frame = file.frames if stop_frame is None else min(stop_frame, file.frames)
    if start_frame >= stop_frame:
        return
    position = _first_exact_frame(file, start_frame)
    try:
        if position:
            file.seek(position)
        while position < stop_frame:
            # blocks end at `start_frame`, so that run-up and window never share one
            end = start_frame if position < start_frame else stop_frame
            block = file.read(min(block_frames, end - position), dtype="float32", always_2d=True)
            if not len(block):
                return  # the header promised more than there is
            if position >= start_frame:
                if not np.isfinite(block).all():
                    bad = position + int(np.argmin(np.isfinite(block).all(axis=1)))
                    at_s = bad / file.samplerate
                    raise AudioError(file.name, f"contains NaN or infinity at {at_s:.3f} s")
                yield block[:, 0] if file.channels == 1 else block.mean(axis=1)
            position += len(block)
    except soundfile.SoundFileError as error:
        raise AudioError(
            file.name,
            f"decoding breaks off after {position / file.samplerate:.1f} s of"
            f" {file.frames / file.samplerate:.1f} s: damaged or cut off"
            f" (libsndfile: {getattr(error, 'error_string', error)})",
        ) from error
