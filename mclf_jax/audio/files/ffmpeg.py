"""What libsndfile does not read, such as AAC, ALAC, WMA and WebM: decoded by FFmpeg, through PyAV.

PyAV is the extra "av", and is imported when the first such file is met.

The sound is what FFmpeg gives from the first packet on. An encoder's delay is cut off where the
container tells it (the edit list or iTunSMPB of MPEG-4, the pre-skip of Opus), as FFmpeg does.
So is what fills up the last packet of MPEG-4, whose length its tables tell, and which FFmpeg
keeps: a short song that is repeated to fill a window would be another one. Raw AAC (ADTS) tells
neither, and keeps its 20 to 50 ms. Decoders of
AAC and WMA draw noise that goes on from packet to packet, so that no place inside comes out the
same by seeking: a window is decoded from the start of its file (some 400 times as fast as it
plays).
"""

import functools
import importlib
import importlib.metadata
import os
import re
import types
from collections.abc import Iterator

import numpy as np

from mclf_jax.audio.files.errors import AudioError, identity, why_not_audio
from mclf_jax.audio.files.ranges import Bytes

# First bytes, where they stand, FFmpeg's demuxer. It is named and not guessed: among those that it
# would guess are playlists, which open other files and addresses.
_SIGNATURES = (
    (b"ftyp", 4, "mov"),
    (b"moov", 4, "mov"),
    (b"mdat", 4, "mov"),
    (b"free", 4, "mov"),
    (b"wide", 4, "mov"),
    (b"\xff\xf0", 0, "aac"),
    (b"\xff\xf1", 0, "aac"),
    (b"\xff\xf8", 0, "aac"),
    (b"\xff\xf9", 0, "aac"),
    (b"0&\xb2u", 0, "asf"),
    (b"\x1aE\xdf\xa3", 0, "matroska"),
    (b"wvpk", 0, "wv"),
    (b"MAC ", 0, "ape"),
    (b"MPCK", 0, "mpc8"),
    (b"MP+", 0, "mpc"),
    (b"TTA1", 0, "tta"),
    (b"#!AMR", 0, "amr"),
    (b"\x0bw", 0, "ac3"),
)
HEAD_BYTES = 8
SUFFIXES = frozenset(
    f".{name}"
    for name in (
        *("m4a", "m4b", "mp4", "mov", "3gp", "aac", "wma", "asf", "webm", "weba", "mka", "mkv"),
        *("ape", "wv", "mpc", "tta", "amr", "ac3"),
    )
)
"""Of files that are listened to with the extra, and listed as skipped without."""

ADVICE = "; to have it read: pip install 'mclf-jax[av]'"

# A table of sample descriptions whose first is of a stream that is encrypted.
_ENCRYPTED = re.compile(rb"stsd\0{4}.{8}(?:enca|drms)", re.DOTALL)
_DRM = "encrypted (DRM): only the player that it was sold for can play it"
# Samples of each layout of numbers, at full scale.
_SCALE = {"u8": 1 << 7, "s16": 1 << 15, "s32": 1 << 31, "flt": 1, "dbl": 1}
_UNKNOWN_FRAMES = 1 << 60
_MOST_LOST = 10_000  # packets; more are no sound, or made to waste time
_MOST_PACKETS = 1 << 24  # as of a file that says it holds each of its bytes many times
_PROMISED = ("mov", "asf", "matroska", "wv", "ape", "tta", "mpc8")  # that say how long they are
_SLIP_S = 0.25  # by which what they say is off in sound files


def demuxer(head: bytes) -> str:
    """FFmpeg's name of the container that begins with these bytes; "" if it is not for FFmpeg."""
    for signature, at, name in _SIGNATURES:
        if head[at:].startswith(signature):
            return name
    return ""


def is_installed() -> bool:
    """Whether the extra is there and works."""
    return _library() is not None


def version() -> str:
    """Of PyAV, which brings FFmpeg along; "" without it."""
    try:
        return importlib.metadata.version("av")
    except importlib.metadata.PackageNotFoundError:
        return ""


@functools.cache
def _library() -> types.ModuleType | None:
    try:
        return importlib.import_module("av")
    except ImportError:
        return None


class Decoder:
    """The first stream of audio in a file, decoded from its start; as `sound.Decoder`.

    Attributes:
        samplerate, channels: of the first of it.
        format, subtype: names of container and codec.
        frames: of it, once they have been counted; more than there can be before.
        part: why they are not all that the file should hold, in words; known with `frames`.
    """

    def __init__(self, path: str | os.PathLike, name: str):
        self.path, self.frames, self.part = path, _UNKNOWN_FRAMES, ""
        self._num_lost, self._first_lost_s, self._changed = 0, None, ""
        # Of the last block its first sample, and where its packet ends, in units of the stream.
        self._begin, self._end = None, None
        self._container, self._held, self._at = None, np.zeros((0, 1), np.float32), 0
        self._file = open(path, "rb")  # noqa: SIM115 (closed with this one)
        try:
            self._open(name)
        except BaseException:
            self.close()
            raise

    def _open(self, name: str) -> None:
        av = _library()
        if name == "mov" and (why := _why_not_mpeg4(os.fspath(self.path), identity(self.path))):
            raise self._refused(why)
        options = {"protocol_whitelist": "none", "probesize": "5000000"}
        try:
            self._container = av.open(self._file, format=name, options=options, buffer_size=1 << 16)
        except (av.FFmpegError, ValueError, OSError, MemoryError) as error:
            raise self._refused(f"damaged or cut off (FFmpeg: {_words(error)})") from error
        if not self._container.streams.audio:
            kinds = sorted({stream.type for stream in self._container.streams})
            raise self._refused(f"without audio, only with {' and '.join(kinds) or 'nothing'}")
        self._stream = self._container.streams.audio[0]
        codec = self._stream.codec_context
        if codec is None:
            raise self._refused("of a codec that FFmpeg does not know")
        if any(key.startswith("ASF_Protection") for key in self._container.metadata):
            raise self._refused(_DRM)
        codec.thread_count, codec.thread_type = 1, "NONE"  # the same result at each time
        self.format, self.subtype = self._container.format.name.split(",")[0], codec.name
        self._promised_s = 0.0
        if name in _PROMISED:
            if self._container.duration:
                self._promised_s = self._container.duration / av.time_base
            elif self._stream.duration:
                self._promised_s = float(self._stream.duration * self._stream.time_base)
        self.samplerate, self.channels = 0, 0
        self._blocks = self._decode(av) if name != "mov" else self._to_its_end(self._decode(av))
        first = next(self._blocks, None)
        if first is None:
            raise self._refused(f"of which nothing can be decoded ({codec.name})")
        self._held = first

    def _refused(self, why: str) -> AudioError:
        return AudioError(self.path, f"{why_not_audio(self.path, ValueError(why))}, {why}")

    def _decode(self, av: types.ModuleType) -> Iterator[np.ndarray]:
        num_frames = 0
        for packet in self._packets(av):
            if packet is not None and packet.pts is not None and packet.duration:
                self._end = packet.pts + packet.duration
            try:
                frames = self._stream.codec_context.decode(packet)
            except (av.FFmpegError, ValueError, MemoryError):
                if packet is not None and not packet.is_corrupt:  # as the last of a file cut off
                    self._lose(num_frames)
                continue
            for frame in filter(lambda frame: frame.samples, frames):
                self.samplerate = self.samplerate or frame.sample_rate
                self.channels = self.channels or frame.layout.nb_channels
                if frame.sample_rate != self.samplerate:
                    self._changed = (
                        f"from {num_frames / self.samplerate:.1f} s on its sample rate is"
                        f" {frame.sample_rate} Hz and not {self.samplerate} Hz: only what is"
                        " before is used"
                    )
                    return
                num_frames += frame.samples
                self._begin = frame.pts
                yield _samples(frame)

    def _to_its_end(self, blocks: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
        """The last one without what lies behind the end of its packet."""
        last = None
        for block in blocks:
            if last is not None:
                yield last
            last = block
        if last is not None:
            left = len(last)
            if self._begin is not None and self._end is not None:
                left = round((self._end - self._begin) * self._stream.time_base * self.samplerate)
            yield last[:left] if 0 < left < len(last) else last

    def _packets(self, av: types.ModuleType) -> Iterator:
        packets = self._container.demux(self._stream)
        for _ in range(_MOST_PACKETS):
            try:
                packet = next(packets, None)
            except (av.FFmpegError, ValueError, OSError, MemoryError):
                break  # the file is cut off
            if packet is None or not packet.size:
                break
            yield packet
        yield None  # and what the decoder holds back

    def _lose(self, num_frames: int) -> None:
        if self._first_lost_s is None:
            self._first_lost_s = num_frames / self.samplerate if self.samplerate else 0.0
        self._num_lost += 1
        if self._num_lost > _MOST_LOST:
            raise self._refused(f"{self._num_lost} of its packets are damaged")

    def count(self, *, longest_s: float) -> None:
        """Decodes all of it to find out `frames` and `part`, or just so much that it is too long.

        A decoder that has counted has nothing more to read.
        """
        if self._promised_s > longest_s:
            self.frames = round(self._promised_s * self.samplerate)
            return
        self.frames = len(self._held)
        for block in self._blocks:
            self.frames += len(block)
            if self.frames > longest_s * self.samplerate:
                return
        self.part = self._lacks()

    def _lacks(self) -> str:
        said, found_s = [], self.frames / self.samplerate
        if found_s < self._promised_s - max(_SLIP_S, self._promised_s / 1000) and not self._changed:
            said.append(
                f"cut off: {found_s:.1f} s of the {self._promised_s:.1f} s that its header promises"
            )
        if self._first_lost_s is not None:
            said.append(
                f"damaged at {self._first_lost_s:.1f} s: {self._num_lost} of its packets cannot be"
                " decoded; all others are used"
            )
        return "; ".join(filter(None, (*said, self._changed)))

    def read(self, count: int, **_) -> np.ndarray:
        """Float32 [<= count, C], the next ones; none at the end."""
        blocks, num = [], 0
        while num < count:
            if self._at == len(self._held):
                self._held, self._at = next(self._blocks, self._held[:0]), 0
            block = self._held[self._at : self._at + count - num]
            if not len(block) or (blocks and block.shape[1] != blocks[0].shape[1]):
                break
            blocks.append(block)
            self._at += len(block)
            num += len(block)
        return np.concatenate(blocks) if blocks else self._held[:0]

    def can_seek(self) -> bool:
        return False

    def close(self) -> None:
        if self._container is not None:
            self._container.close()
        self._file.close()

    def __enter__(self) -> "Decoder":
        return self

    def __exit__(self, *_) -> None:
        self.close()


def _samples(frame) -> np.ndarray:
    """Float32 [T, C] of what FFmpeg decoded, full scale at 1."""
    values, kind = frame.to_ndarray(), frame.format.name
    channels = frame.layout.nb_channels
    values = values.T if frame.format.is_planar else values.reshape(-1, channels)
    kind = kind.removesuffix("p")
    if kind == "flt":
        return values
    values = values.astype(np.float64 if kind in ("s32", "dbl") else np.float32)
    return ((values - (128 if kind == "u8" else 0)) / _SCALE[kind]).astype(np.float32)


@functools.lru_cache(maxsize=1 << 12)
def _why_not_mpeg4(path: str, _identity: tuple[int, int, int]) -> str:
    """What speaks against an MPEG-4 file before FFmpeg sees it; "" if nothing does."""
    with open(path, "rb", buffering=0) as file:
        data = Bytes(file)
        if data.search(_ENCRYPTED, 0, size=20) >= 0:
            return _DRM
        # A few bytes can say that there are samples of one size by the milliard, each of which
        # FFmpeg writes down.
        for box, at_count in ((b"stsz\0\0\0\0", 12), (b"trun", 8)):
            at = -1
            while (at := data.find(box, at + 1)) >= 0:
                count = int.from_bytes(data.at(at + at_count, 4), "big")
                if count > max(data.size, _MOST_PACKETS >> 2):
                    return f"which says that {data.size} bytes hold {count} packets"
    return ""


def _words(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)
