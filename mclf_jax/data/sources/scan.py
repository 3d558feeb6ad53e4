"""One pass over audio files before training: which are usable, and how long they really are.

A header does not say whether a file is silent, broken off or full of NaN, so each file is decoded
once, on all cores; what was found is kept in the user's cache directory for the next start.
"""

import dataclasses
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import soundfile

from mclf_jax.audio import decode
from mclf_jax.audio.files import ffmpeg
from mclf_jax.common import checks, files, threads
from mclf_jax.common import progress as progress_lib

SILENT = "silent to the last sample"
_CANCELS = "silent: its channels are the opposite of each other, and their mean is nothing"
_FORMAT = f"3, libsndfile {soundfile.__libsndfile_version__}"
if ffmpeg.version():
    _FORMAT += f", av {ffmpeg.version()} to the end"


@dataclasses.dataclass(frozen=True, slots=True)
class ScanResult:
    """What was found in one file.

    Attributes:
        path: as given.
        num_samples: length at the rate asked for, of what can be decoded; 0 where nothing can.
        reason: why the file is not usable, in words; None where it is.
        num_bytes: size of the file; 0 where there is none.
        part: why only a part of what it should hold is used, in words; "" where all is.
        peak: the largest magnitude in it; 1 is full scale.
        is_plain: see `decode.Heard`.
    """

    path: str
    num_samples: int
    reason: str | None
    num_bytes: int
    part: str = ""
    peak: float = 0.0
    is_plain: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class _Measured:
    num_frames: int
    source_rate_hz: int
    silence: str
    peak: float
    is_plain: bool
    part: str


_KINDS = (int, int, int, int, str, float, bool, str)  # of size, time and these


def scan(
    paths: Sequence[str | os.PathLike],
    *,
    sample_rate_hz: int,
    min_duration_s: float,
    cache_file: str | os.PathLike | None = None,
    progress: str = "auto",
) -> list[ScanResult]:
    """Decodes each file once, on all cores, unless it is in the cache unchanged.

    Args:
        paths: the files.
        sample_rate_hz: at which lengths are counted.
        min_duration_s: anything shorter gets a reason.
        cache_file: JSON of earlier findings, by absolute path, size and time of last change; None
            takes one for the files' common directory in `$XDG_CACHE_HOME/mclf_jax` or
            `~/.cache/mclf_jax`. A cache that is damaged or cannot be written does no harm.
        progress: "auto" (where stderr is a terminal), "on" or "off".

    Returns:
        One result for each path, in order.

    Raises:
        ValueError: an unknown `progress`.
    """
    checks.choice("progress", progress, progress_lib.MODES)
    if not paths:
        return []
    paths = [os.fspath(path) for path in paths]
    absolute = [_absolute(path) for path in paths]
    cache_file = _default_cache_file(absolute) if cache_file is None else Path(cache_file)
    cache = _load(cache_file)
    stamps = {path: _stamp(path) for path in absolute}
    todo = [path for path, stamp in stamps.items() if not _is_of(cache.get(path), stamp)]
    found: dict[str, _Measured | str] = {}
    if todo:
        many = {"total": len(todo), "title": "checking audio", "num_workers": None}
        try:
            found.update(threads.each(_measure, todo, **many, progress=progress))
        finally:  # also when interrupted: the next start goes on from here
            fresh = {
                path: [*stamps[path], *dataclasses.astuple(found[path])]
                for path in todo
                # Failures are looked at again: they are few, and a permission can be mended.
                if stamps[path] and isinstance(found.get(path), _Measured)
            }
            # Another process may have written since it was read.
            files.write_cache(cache_file, _FORMAT, _load(cache_file) | fresh)
    wanted = {"sample_rate_hz": sample_rate_hz, "min_duration_s": min_duration_s}
    return [
        _result(path, found.get(key) or _Measured(*cache[key][2:]), stamps[key], **wanted)
        for path, key in zip(paths, absolute, strict=True)
    ]


def silence(heard: decode.Heard) -> str:
    """The reason to leave out a file without sound; "" if there is any."""
    if not heard.is_silent:
        return ""
    return _CANCELS if heard.cancels else SILENT


def too_short(duration_s: float, min_duration_s: float) -> str:
    """The reason to leave it out."""
    return f"too short: {duration_s:.3f} s, less than min_duration_s={min_duration_s:g}"


def _result(
    path: str,
    found: _Measured | str,
    stamp: list[int] | None,
    *,
    sample_rate_hz: int,
    min_duration_s: float,
) -> ScanResult:
    num_bytes = stamp[0] if stamp else 0
    if isinstance(found, str):
        return ScanResult(path, 0, found, num_bytes)
    num_samples = decode.resampled_length(
        found.num_frames, source_rate_hz=found.source_rate_hz, sample_rate_hz=sample_rate_hz
    )
    reason = None
    duration_s = found.num_frames / found.source_rate_hz
    if duration_s < min_duration_s:
        reason = too_short(duration_s, min_duration_s)
    elif found.silence:
        reason = found.silence
    return ScanResult(path, num_samples, reason, num_bytes, found.part, found.peak, found.is_plain)


def _measure(path: str) -> _Measured | str:
    try:
        heard = decode.hear(path)
    except decode.AudioError as error:
        return error.reason
    except OSError as error:
        return f"it cannot be read ({error.strerror})"
    return _Measured(
        num_frames=heard.info.num_frames,
        source_rate_hz=heard.info.sample_rate_hz,
        silence=silence(heard),
        peak=heard.peak,
        is_plain=heard.is_plain,
        part=heard.info.part,
    )


def _absolute(path: str) -> str:
    absolute = os.path.abspath(path)
    return path if path == absolute else absolute  # one of 200,000 names is kept, not two


def _is_of(entry: list | None, stamp: list[int] | None) -> bool:
    """Whether an entry of the cache is of the file as it is."""
    return stamp is not None and entry is not None and entry[:2] == stamp


def _stamp(path: str) -> list[int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return [status.st_size, status.st_mtime_ns]


def _default_cache_file(absolute: list[str]) -> Path:
    # One file for each data set: small to read, and two data sets do not write the same file.
    try:
        common = os.path.commonpath({os.path.dirname(path) for path in absolute})
    except ValueError:  # several drives
        common = ""
    name = hashlib.sha256(common.encode("utf-8", "surrogateescape")).hexdigest()[:12]
    return files.cache_folder() / f"scan-{name}.json"


def _load(cache_file: Path) -> dict[str, list]:
    found = files.read_cache(cache_file, _FORMAT)
    if not isinstance(found, dict):
        return {}
    return {path: entry for path, entry in found.items() if _is_entry(entry)}


def _is_entry(entry: object) -> bool:
    """Whether it is [size, mtime_ns, and the fields of `_Measured`]."""
    return (
        isinstance(entry, list)
        and len(entry) == len(_KINDS)
        and all(map(isinstance, entry, _KINDS))
        and min(entry[:3]) >= 0
        and entry[3] > 0
    )
