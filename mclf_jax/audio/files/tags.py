"""Words in a sound file's own metadata: its field `MCLF_TAGS`, and nothing else of the file.

| files | where |
|---|---|
| MP3, WAV, AIFF | `TXXX:MCLF_TAGS` of ID3v2, of the version that the file has, else 2.4 |
| FLAC, Ogg Vorbis, Ogg Opus | `MCLF_TAGS` of the Vorbis comment, once for each word |
| MPEG-4 | `----:com.apple.iTunes:MCLF_TAGS` |
"""

import contextlib
import hashlib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mclf_jax.audio.files.errors import AudioError, identity
from mclf_jax.audio.files.sound import open_sound
from mclf_jax.common import files

FIELD = "MCLF_TAGS"
_FREEFORM = f"----:com.apple.iTunes:{FIELD}"
_ID3V1_BYTES = 128


def check_installed(flag: str) -> None:
    """Raise an ImportError that names the extra unless metadata can be written."""
    try:
        import mutagen  # noqa: F401
    except ImportError as error:
        raise ImportError(f"{flag} needs mutagen: pip install 'mclf-jax[tags]'") from error


def write_tags(path: str | os.PathLike, tags: Sequence[str]) -> str:
    """Make `tags` the words of a file, in their order; none removes the field.

    A copy beside the file is changed, decoded, compared with the file and put in its place: it is
    the old file or the new one at any time. Sound and all other metadata are those before; of
    several hard links only this one is changed. A file that holds these words is not touched.

    Returns:
        "written", or "unchanged".

    Raises:
        AudioError: the file cannot be decoded, changed or replaced, has no such field, or would
            sound otherwise; it is as it was then.
    """
    real = Path(os.path.realpath(path))  # a link stays one
    identity(real)  # raises unless it is a file
    try:
        found = _open(real)
        if _words(found) == list(tags):
            return "unchanged"
        if not os.access(real, os.W_OK):
            raise PermissionError
        with files.replacing(real) as copy:
            shutil.copy2(real, copy)
            status = os.stat(real)
            with contextlib.suppress(PermissionError):
                os.chown(copy, status.st_uid, status.st_gid)
            _change(copy, tags)
            if _sound(copy) != _sound(real):
                raise AudioError(path, "tags not written: it would sound otherwise")
            if _others(changed := _open(copy)) != _others(found) or _words(changed) != list(tags):
                raise AudioError(path, "tags not written: other metadata would be lost")
            with open(copy, "rb+") as file:
                os.fsync(file.fileno())
    except PermissionError as error:
        raise AudioError(path, "tags not written: it may not be written to") from error
    except AudioError as error:  # which may name the copy
        raise AudioError(path, error.reason) from error
    return "written"


def _open(path: Path) -> Any:
    """The file as mutagen has it, its metadata in the version that they are in."""
    import mutagen
    from mutagen.id3 import ID3

    try:
        found = mutagen.File(path)
        tags = getattr(found, "tags", None)
        if isinstance(tags, ID3):  # mutagen would bring all to 2.4, and 2.2 it cannot write
            how = {"translate": False} if tags.version >= (2, 3) else {"v2_version": 3}
            found.load(path, **how)
    except mutagen.MutagenError as error:
        raise AudioError(path, f"tags not written: damaged metadata (mutagen: {error})") from error
    if found is None or _kind(found) is None:
        raise AudioError(path, "tags not written: a kind of file without a place for them")
    return found


def _kind(found: Any) -> str | None:
    from mutagen import aiff, flac, mp3, mp4, oggopus, oggvorbis, wave

    if isinstance(found, mp3.MP3 | wave.WAVE | aiff.AIFF):
        return "id3"
    if isinstance(found, flac.FLAC | oggvorbis.OggVorbis | oggopus.OggOpus):
        return "comment"
    return "mpeg4" if isinstance(found, mp4.MP4) else None


def _words(found: Any) -> list[str]:
    match found.tags and _kind(found):
        case "id3":
            return [word for frame in found.tags.getall(f"TXXX:{FIELD}") for word in frame.text]
        case "comment":
            return list(found.tags.get(FIELD, ()))
        case "mpeg4":
            return [bytes(word).decode(errors="replace") for word in found.tags.get(_FREEFORM, ())]
    return []


def _change(path: Path, tags: Sequence[str]) -> None:
    from mutagen import id3, mp4

    found = _open(path)
    if found.tags is None:
        found.add_tags()
    how: dict[str, Any] = {}
    match _kind(found):
        case "id3":
            found.tags.delall(f"TXXX:{FIELD}")
            # Without any words mutagen leaves it out.
            found.tags.add(id3.TXXX(encoding=id3.Encoding.UTF16, desc=FIELD, text=list(tags)))
            # Several words of one frame apart by zero bytes, not by "/", which a word may hold.
            how = {"v2_version": 4 if found.tags.version[1] == 4 else 3, "v23_sep": None}
        case "comment":
            found.tags[FIELD] = list(tags)
        case "mpeg4":
            words = [mp4.MP4FreeForm(tag.encode(), mp4.AtomDataType.UTF8) for tag in tags]
            found.tags[_FREEFORM] = words
            if not words:
                del found.tags[_FREEFORM]
    with open(path, "rb+") as file:
        file.seek(-min(_ID3V1_BYTES, os.path.getsize(path)), os.SEEK_END)
        last = file.read()
        found.save(**how)
        if last.startswith(b"TAG"):  # ID3v1, which mutagen brings in line with ID3v2
            file.seek(-_ID3V1_BYTES, os.SEEK_END)
            file.write(last)


def _others(found: Any) -> dict[str, str]:
    """All metadata but the words, in a form to compare."""
    known = {} if found.tags is None else dict(found.tags)
    own = (f"TXXX:{FIELD}", FIELD.lower(), _FREEFORM)
    kept = {key: repr(value) for key, value in known.items() if key not in own}
    unknown = sorted(getattr(found.tags, "unknown_frames", ()))
    return kept | {"unknown": repr(unknown), "pictures": repr(getattr(found, "pictures", ()))}


def _sound(path: Path) -> dict[str, Any]:
    sound, digest = open_sound(path), hashlib.sha256()
    for _, block in sound.blocks():
        digest.update(block.tobytes())
    return {
        "rate": sound.sample_rate_hz,
        "channels": sound.num_channels,
        "part": sound.part,
        "samples": digest.hexdigest(),
    }
