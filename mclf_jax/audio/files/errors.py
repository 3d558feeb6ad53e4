"""What is wrong with a file that is no audio, in words."""

import os
from pathlib import Path

from mclf_jax.common import walk

# What a file that does not open seems to be: its first bytes, where they stand, the kind.
_SIGNATURES = (
    (b"ftyp", 4, "an MPEG-4 file (m4a, mp4, AAC)"),
    (b"moov", 4, "an MPEG-4 file (m4a, mp4, AAC)"),
    (b"mdat", 4, "an MPEG-4 file (m4a, mp4, AAC)"),
    (b"free", 4, "an MPEG-4 file (m4a, mp4, AAC)"),
    (b"wide", 4, "an MPEG-4 file (m4a, mp4, AAC)"),
    (b"\xff\xf0", 0, "AAC audio"),
    (b"\xff\xf1", 0, "AAC audio"),
    (b"\xff\xf8", 0, "AAC audio"),
    (b"\xff\xf9", 0, "AAC audio"),
    (b"0&\xb2u", 0, "a Windows Media file (WMA)"),
    (b"\x1aE\xdf\xa3", 0, "a Matroska or WebM file"),
    (b"wvpk", 0, "a WavPack file"),
    (b"MAC ", 0, "a Monkey's Audio file"),
    (b"MPCK", 0, "a Musepack file"),
    (b"MP+", 0, "a Musepack file"),
    (b"TTA1", 0, "a True Audio file (TTA)"),
    (b"#!AMR", 0, "an AMR file: speech of telephones"),
    (b"\x0bw", 0, "Dolby Digital audio (AC-3)"),
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
        return f"{walk.shown(self.path)}: {self.reason}"


def identity(path: str | os.PathLike) -> tuple[int, int, int]:
    """Size, time of last change and number of a file: what is found out holds while they do.

    Raises:
        AudioError: there is no such file, or it is something else, such as a named pipe, which to
            open would be to wait for ever.
    """
    try:
        status = os.stat(path)
    except OSError as error:
        raise AudioError(path, _unreadable(error)) from error
    except ValueError as error:  # a zero byte in the name
        raise AudioError(path, f"no such file ({error})") from error
    if kind := walk.special(status.st_mode):
        raise AudioError(path, f"it is {kind}")
    return status.st_size, status.st_mtime_ns, status.st_ino


def why_not_audio(path: str | os.PathLike, error: Exception) -> str:
    """The reason why a file does not open, read off its first bytes."""
    try:
        with Path(path).open("rb") as file:
            head = file.read(512)
    except OSError as unreadable:
        return _unreadable(unreadable)
    if not head:
        return "the file is empty (0 bytes)"
    if not head.strip(b"\0"):
        return f"not audio: it begins with {len(head)} zero bytes"
    for signature, offset, kind in _SIGNATURES:
        if head[offset:].startswith(signature):
            return f"cannot be decoded: it seems to be {kind}"
    for family, name in _DAMAGED.items():
        if head.startswith(family):
            said = str(getattr(error, "error_string", error))
            # So libsndfile says of an MP3 without audio, and the file is there: it has been read.
            more = "" if said.startswith("File does not exist") else f" (libsndfile: {said})"
            return f"cannot be decoded: {name}, damaged or cut off{more}"
    if head.lstrip()[:14].lower().startswith((b"<!doctype html", b"<html")):
        return "not audio: it seems to be a web page"
    if all(byte >= 32 or byte in b"\t\n\r\f" for byte in head):
        return "not audio: it seems to be text"
    return "not audio of a kind that libsndfile reads"


def _unreadable(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such file"
    return f"it cannot be opened ({error.strerror})"
