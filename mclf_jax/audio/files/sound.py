"""An audio file opened for what is in it: one definition of its length for all that listens.

libsndfile decodes; what it does not know, FFmpeg (`ffmpeg`), if the extra is installed. Where a
header is wrong, or the sound goes on behind what a decoder takes for its end, libsndfile is handed
what was found (`mpeg`, `ogg`) as files of their own, one after the other; a sound file is handed
over as it is.
"""

import contextlib
import dataclasses
import functools
import os
from collections.abc import Iterator

import numpy as np
import soundfile

from mclf_jax.audio.files import ffmpeg, flac, mpeg, ogg, riff
from mclf_jax.audio.files.errors import AudioError, identity, why_not_audio
from mclf_jax.audio.files.libsndfile import Decoder, first_exact_frame
from mclf_jax.audio.files.ranges import Bytes, Range, Ranges

BLOCK_FRAMES = 1 << 16
LOWEST_RATE_HZ, HIGHEST_RATE_HZ = 1_000, 768_000
LONGEST_H = 24

_BEHIND_BYTES = 1 << 10  # of a WAV; less is a slip of the writer, or a tag
_BLOCK_VALUES = 1 << 20  # of all channels
_REMEMBERED = 1 << 12  # files
_MPEG_SUFFIXES = (".mp1", ".mp2", ".mp3", ".mpga")


@dataclasses.dataclass(frozen=True)
class Piece:
    """What is decoded as one file.

    Attributes:
        num_frames: of it.
        ranges: where it is in the file; None is all of it.
        head: bytes that the decoder is given before them.
        demuxer: FFmpeg's name of the container; "" where libsndfile decodes.
    """

    num_frames: int
    ranges: tuple[Range, ...] | None = None
    head: bytes = b""
    demuxer: str = ""


@dataclasses.dataclass(frozen=True)
class Sound:
    """What is in a file, all pieces at one rate.

    Attributes:
        path: of the file.
        sample_rate_hz: of all of it.
        num_channels: of its first piece.
        format, subtype: the decoder's names.
        pieces: one after the other.
        part: why this is not all that the file should hold, in words; "" where it is.
    """

    path: str | os.PathLike
    sample_rate_hz: int
    num_channels: int
    format: str
    subtype: str
    pieces: tuple[Piece, ...]
    part: str = ""

    @property
    def num_frames(self) -> int:
        """Frames that there are to decode."""
        return sum(piece.num_frames for piece in self.pieces)

    def first_exact_frame(self, frame: int) -> int:
        """Where decoding must begin so that `frame` comes out as it does in the whole file."""
        begin = 0
        for piece in self.pieces:
            if frame < begin + piece.num_frames:
                with _open(self.path, piece) as file:
                    return begin + first_exact_frame(file, frame - begin)
            begin += piece.num_frames
        return frame

    def blocks(
        self,
        *,
        start_frame: int = 0,
        stop_frame: int | None = None,
        block_frames: int = BLOCK_FRAMES,
    ) -> Iterator[tuple[int, np.ndarray]]:
        """(first frame, float32 [<= block_frames, C]) of the frames from start to stop.

        Raises:
            AudioError: decoding breaks off, or some of a FLAC or an Ogg is lost.
        """
        begin = 0
        for piece in self.pieces:
            end = begin + piece.num_frames
            stop = end if stop_frame is None else min(stop_frame, end)
            if start_frame < stop and end > start_frame:
                start = max(0, start_frame - begin)
                for at, block in self._blocks_of(piece, start, stop - begin, block_frames):
                    yield begin + at, block
            begin = end

    def _blocks_of(
        self, piece: Piece, start: int, stop: int, block_frames: int
    ) -> Iterator[tuple[int, np.ndarray]]:
        with contextlib.ExitStack() as stack:
            file = stack.enter_context(_open(self.path, piece))
            block_frames = max(1, min(block_frames, _BLOCK_VALUES // file.channels))
            position = first_exact_frame(file, start)
            if position and not _seek(file, position):
                file, position = stack.enter_context(_open(self.path, piece)), 0
            try:
                while position < stop:
                    # blocks end at `start`, so that run-up and window never share one
                    end = start if position < start else stop
                    count = min(block_frames, end - position)
                    block = file.read(count, dtype="float32", always_2d=True)
                    if not len(block):  # the header promised more than there is
                        self._check_lost(position, piece)
                        return
                    if position >= start:
                        yield position, block
                    position += len(block)
            except soundfile.SoundFileError as error:
                raise AudioError(
                    self.path,
                    f"decoding breaks off after {position / file.samplerate:.1f} s of"
                    f" {piece.num_frames / file.samplerate:.1f} s: damaged or cut off"
                    f" (libsndfile: {getattr(error, 'error_string', error)})",
                ) from error

    def _check_lost(self, position: int, piece: Piece) -> None:
        # Behind what is lost everything comes out earlier, but not where one seeks.
        if self.format in ("OGG", "FLAC"):
            raise AudioError(
                self.path,
                f"damaged: of {piece.num_frames / self.sample_rate_hz:.2f} s only"
                f" {position / self.sample_rate_hz:.2f} s can be decoded",
            )


def is_plain(sound: Sound) -> bool:
    """Whether all of it is decoded as one file, as the decoder finds it."""
    return [piece.ranges for piece in sound.pieces] == [None]


def open_sound(path: str | os.PathLike, *, layout: str = "unknown") -> Sound:
    """Finds out what is in a file; little is decoded, and what was found is remembered.

    Args:
        path: of the file.
        layout: "unknown", or "plain" where it is known that the decoder finds all by itself.

    Raises:
        AudioError: the file is missing, empty, no audio or a special file; or its rate or length
            are beyond sense.
    """
    found = _find(os.fspath(path), identity(path), layout)
    return dataclasses.replace(found, path=path) if found.path != path else found


@functools.lru_cache(maxsize=_REMEMBERED)
def _find(path: str, identity: tuple[int, int, int], layout: str) -> Sound:
    try:
        with open(path, "rb", buffering=0) as file:
            data = Bytes(file)
            demuxer = ffmpeg.demuxer(data.at(mpeg.skip_tags(data, 0), ffmpeg.HEAD_BYTES))
            if demuxer and ffmpeg.is_installed():
                sound = _by_ffmpeg(path, demuxer, layout)
            else:
                sound = _plain(path) if layout == "plain" else _sound_of(path, data)
    except AudioError as error:
        if demuxer and not ffmpeg.is_installed():
            raise AudioError(path, error.reason + ffmpeg.ADVICE) from error
        raise
    except OSError as error:
        raise AudioError(path, why_not_audio(path, error)) from error
    if layout != "plain":
        _check_sense(sound)
    return sound


def _sound_of(path: str, data: Bytes) -> Sound:
    start = mpeg.skip_tags(data, 0)
    if 0 < start == data.size:
        raise AudioError(path, "no audio is in it, only tags, such as titles and pictures")
    if mpeg.skip_tags(data, start) > start:  # mpg123 would warn on stderr of each
        raise AudioError(path, "not audio: it begins with over a thousand tags")
    head = data.at(start, 4)
    if head == b"RIFF" and (waves := riff.waves(data)):
        part = _lacking_of_wave(waves[-1])
        if len(waves) == 1 and not waves[0].is_wrong:
            return _plain(path, part)
        files = [
            (((each.data[0], each.range[1]),), each.head) if each.is_wrong else ((each.range,), b"")
            for each in waves
            if each.data
        ]
        return _joined(path, files, part)
    if head == b"FORM":
        sound, promised = _plain(path), riff.aiff_frames(data)
        if sound.num_frames < promised and not sound.subtype.startswith(("IMA", "GSM")):
            part = f"cut off: {sound.num_frames} of the {promised} frames that its header promises"
            sound = dataclasses.replace(sound, part=part)
        return sound
    if head == b"OggS":
        links = ogg.links(data)
        part = "cut off: it ends within a page" if links.is_cut else ""
        if len(links.ranges) < 2:
            return _plain(path, part)
        return _joined(path, [((each,), b"") for each in links.ranges], part)
    if head == b"fLaC":
        streams = flac.streams(data, start)
        sure = [each for each in streams if each.counted is not None]
        if not sure or (len(streams) == 1 and sure[0].counted == sure[0].promised):
            return _plain(path)
        files = [(((each.range[0] + len(each.head), each.range[1]),), each.head) for each in sure]
        return _joined(path, files, _lacking(sure))
    if mpeg.is_header(head) or path.lower().endswith(_MPEG_SUFFIXES):
        layout = mpeg.layout(data)
        part = _lost(layout)
        if layout.streams:
            stream = layout.streams[0]
            behind = data.size - stream.ranges[-1][1]
            # More than a hundredth, and mpg123 complains on stderr that the size is off.
            is_last = not stream.info or 100 * behind < data.size
            if layout.plain and is_last and stream.promised in (None, stream.num_frames):
                sound = _plain(path, part)
                lacks = stream.num_frames * stream.kind.frame_samples - sound.num_frames
                if not lacks or (stream.promised and 0 < lacks <= mpeg.MOST_TRIMMED):
                    return sound
            files = [(tuple(each.ranges), mpeg.counted(each)) for each in layout.streams]
            return _joined(path, files, part)
    return _plain(path)


def _by_ffmpeg(path: str, demuxer: str, layout: str) -> Sound:
    with _open(path, Piece(0, demuxer=demuxer)) as file:
        if layout != "plain":
            file.count(longest_s=3600 * LONGEST_H)
        return _described(path, file, (Piece(file.frames, demuxer=demuxer),), file.part)


def _lost(layout: mpeg.Layout) -> str:
    """What of an MPEG file is missing, in words."""
    stream, lost = layout.streams[0] if layout.streams else None, []
    if stream and stream.promised is not None and stream.num_frames < stream.promised:
        frame_s = stream.kind.frame_samples / stream.kind.sample_rate_hz
        lost.append(
            f"cut off: {stream.num_frames * frame_s:.1f} s of the"
            f" {stream.promised * frame_s:.1f} s that its header promises"
        )
    if gaps := [gap for gap in layout.gaps if gap.at_s]:
        more = f", and at {len(gaps) - 1} more places" if len(gaps) > 1 else ""
        lost.append(
            f"damaged at {gaps[0].at_s:.1f} s: {gaps[0].num_bytes} bytes are no audio{more};"
            " all others are used"
        )
    return "; ".join(lost)


def _lacking_of_wave(wave: riff.Wave) -> str:
    """What of a WAV is missing, in words."""
    rate = wave.bytes_a_second
    if wave.lacks and wave.data and rate:
        start, stop = wave.data
        return (
            f"cut off: {(wave.range[1] - start) / rate:.1f} s of the {(stop - start) / rate:.1f} s"
            " that its header promises"
        )
    if wave.num_behind >= _BEHIND_BYTES:
        return (
            f"{wave.num_behind} bytes behind its sound are no chunk of a WAV, and no sound by its"
            " header"
        )
    return ""


def _lacking(streams: list[flac.Stream]) -> str:
    """What of a FLAC file is missing, in words."""
    lacks = [each for each in streams if each.counted < each.promised]
    return "".join(
        f"cut off: {each.counted} of the {each.promised} samples that its header promises"
        for each in lacks[:1]
    )


def _plain(path: str, part: str = "") -> Sound:
    with _open(path, Piece(0)) as file:
        return _described(path, file, (Piece(file.frames),), part)


def _joined(path: str, files: list[tuple[tuple[Range, ...], bytes]], part: str) -> Sound:
    """Several files in one: as far as they have the rate of the first one."""
    if not files:
        return _plain(path, part)
    pieces, begin_s, sound = [], 0.0, None
    for ranges, head in files:
        with _open(path, Piece(0, ranges, head)) as file:
            sound = sound or _described(path, file, (), part)
            if file.samplerate != sound.sample_rate_hz:
                change = (
                    f"from {begin_s:.1f} s on its sample rate is {file.samplerate} Hz and not"
                    f" {sound.sample_rate_hz} Hz: only what is before is used"
                )
                part = "; ".join(filter(None, (part, change)))
                break
            pieces.append(Piece(file.frames, ranges, head))
            begin_s += file.frames / file.samplerate
    return dataclasses.replace(sound, pieces=tuple(pieces), part=part)


def _described(
    path: str, file: Decoder | ffmpeg.Decoder, pieces: tuple[Piece, ...], part: str
) -> Sound:
    return Sound(path, file.samplerate, file.channels, file.format, file.subtype, pieces, part)


def _check_sense(sound: Sound) -> None:
    rate_hz, num_frames = sound.sample_rate_hz, sound.num_frames
    if num_frames <= 0:
        raise AudioError(sound.path, "its header says that it holds no audio (0 samples)")
    if num_frames > 1 << 60:
        raise AudioError(
            sound.path,
            f"its header does not say how long it is, as of a {sound.format} written to a pipe:"
            " convert it to a file again",
        )
    if not LOWEST_RATE_HZ <= rate_hz <= HIGHEST_RATE_HZ:
        raise AudioError(
            sound.path,
            f"its header says that its sample rate is {rate_hz} Hz; music has {LOWEST_RATE_HZ} to"
            f" {HIGHEST_RATE_HZ} Hz",
        )
    if (hours := num_frames / rate_hz / 3600) > LONGEST_H:
        raise AudioError(
            sound.path, f"too long: {hours:.0f} hours; a file may have {LONGEST_H} at most"
        )


def _open(path: str | os.PathLike, piece: Piece) -> Decoder | ffmpeg.Decoder:
    try:
        if piece.demuxer:
            return ffmpeg.Decoder(path, piece.demuxer)
        if piece.ranges is None:
            return Decoder(os.fsencode(path))  # names are bytes, not all of them text
        return Decoder(Ranges(path, piece.ranges, head=piece.head))
    except (soundfile.SoundFileError, OSError, TypeError) as error:
        # TypeError: soundfile takes the name's ending ".raw" for audio without a header
        raise AudioError(path, why_not_audio(path, error)) from error


def _seek(file: Decoder, position: int) -> bool:
    """Whether it can be sought: a damaged FLAC may be read from its start and not be sought in."""
    try:
        file.seek(position)
    except soundfile.SoundFileError:
        return False
    return True
