"""A directory that `prepare` wrote, as a data set: reads a window without the rest of its song."""

import dataclasses
import hashlib
import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from mclf_jax.audio import decode
from mclf_jax.audio.files import versions
from mclf_jax.audio.resample import resampled_window
from mclf_jax.common import checks, files, threads
from mclf_jax.common.storage.ranges import RemoteFile
from mclf_jax.common.storage.tries import StorageError
from mclf_jax.common.text import documents, tables
from mclf_jax.data.base.array_record import Payload, from_int16, open_shard, read_span
from mclf_jax.data.base.source import Info, Kept
from mclf_jax.data.base.targets import Targets
from mclf_jax.data.prepare import arrays, remote
from mclf_jax.data.prepare.meta import ARRAYS, CHECKSUMS, ITEMS, META, SKIPPED, TABLES, read_meta

_CHANGED = (
    "{} is not what was prepared: its checksum is another. Copy the data set again, or prepare it."
)
_ITEMS_LIKE = {"splits": [str], "item_ids": [str], "groups": [str], "columns": {str: [str]}}


@dataclasses.dataclass(frozen=True)
class Prepared(Kept):
    """Prepared audio; worker processes get a copy and open the shards themselves.

    Attributes:
        info: as of the audio files, with the version of the preparation.
        encoding: "int16" or "flac".
        prepared_rate_hz: rate of what is stored; resampled where `info.sample_rate_hz` is another.
        shards: path and checksum of each.
        targets: see `Plan`.
        item_ids: of each item.
        shard_of, positions, sizes: [N], where the audio of each item is, in bytes.
        lengths: int64 [N], samples as stored.
        audio: versions of what decoded and resampled the songs, see `versions.of_prepared`.
    """

    info: Info
    encoding: str
    prepared_rate_hz: int
    shards: tuple[tuple[str, str], ...]
    targets: Targets = dataclasses.field()
    item_ids: tuple[str, ...]
    shard_of: np.ndarray
    positions: np.ndarray
    sizes: np.ndarray
    lengths: np.ndarray
    audio: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def read(self, index: int, *, start_sample: int, num_samples: int) -> np.ndarray:
        if start_sample < 0 or num_samples < 0:
            raise ValueError(
                "start_sample and num_samples cannot be negative, got "
                f"start_sample={start_sample}, num_samples={num_samples}"
            )
        return resampled_window(
            lambda start, stop: self._read_stored(index, start, stop),
            source_rate_hz=self.prepared_rate_hz,
            sample_rate_hz=self.info.sample_rate_hz,
            start_sample=start_sample,
            num_samples=num_samples,
        )

    def num_samples(self, index: int) -> int:
        return decode.resampled_length(
            int(self.lengths[index]),
            source_rate_hz=self.prepared_rate_hz,
            sample_rate_hz=self.info.sample_rate_hz,
        )

    def _read_stored(self, index: int, start: int, stop: int | None) -> np.ndarray:
        length = int(self.lengths[index])
        stop = length if stop is None else min(stop, length)
        if start >= stop:
            return np.zeros(0, np.float32)
        path, checksum = self.shards[self.shard_of[index]]
        position, size = int(self.positions[index]), int(self.sizes[index])
        try:
            shard = open_shard(path, checksum)
            if self.encoding == "int16":
                audio = from_int16(read_span(shard, position + 2 * start, 2 * (stop - start)))
            else:
                # In one request from far away, and only what is needed from a disk.
                far = isinstance(shard, RemoteFile)
                record = io.BytesIO(read_span(shard, position, size)) if far else None
                with soundfile.SoundFile(record or Payload(shard, position, size)) as file:
                    file.seek(start)
                    audio = file.read(stop - start, dtype="float32")
        except StorageError:  # ends the run, which goes on when the storage does
            raise
        except (OSError, soundfile.SoundFileError) as error:
            reason = f"item {self.item_ids[index]!r} cannot be read from it: {error}"
            raise decode.AudioError(path, reason) from error
        if len(audio) != stop - start:
            raise decode.AudioError(path, f"ends within the item {self.item_ids[index]!r}")
        return audio


def prepared(
    *,
    path: str | os.PathLike,
    sample_rate_hz: int,
    checksums: str = "first",
    progress: str = "auto",
) -> Prepared:
    """Opens a prepared data set.

    Args:
        path: OUT/NAME/VERSION as `prepare` wrote it, or OUT/NAME or OUT where that is the only
            one in it. On object storage (`s3://BUCKET/NAME`) the windows are read from there, and
            sizes stand for checksums, unless they are to be verified.
        sample_rate_hz: of the audio that is read; another than the prepared one costs time, as
            each window is resampled.
        checksums: when to read all shards and compare them with their checksums: "first", when
            this machine opens them for the first time, or they were changed since; "verify",
            always; or "skip".
        progress: of that, "auto" (where stderr is a terminal), "on" or "off".

    Raises:
        ValueError: no prepared data set, or one that is damaged, not complete or of another format.
    """
    checks.choice("checksums", checksums, ("first", "verify", "skip"))
    checks.positive("sample_rate_hz", sample_rate_hz, unit="Hz")
    url = remote.find(os.fspath(path)) if files.is_remote(path) else ""
    folder = remote.copy_tables(url) if url else find_prepared(path)
    meta = read_meta(folder)
    _check_tables(folder)
    if url:
        remote.check_shards(url, meta["shards"], checksums=checksums)
    else:
        _check_shards(folder, meta["shards"], checksums=checksums, progress=progress)
    items = documents.read(folder / ITEMS, _ITEMS_LIKE)
    with files.naming_damage(folder / ARRAYS):
        targets, numbers = arrays.read(folder / ARRAYS, task=meta["task"])
    rows = tables.read(folder / SKIPPED, columns=("item", "reason"), dialect=tables.WRITTEN).rows
    skipped = tuple(
        (tables.unescaped(row["item"]), tables.unescaped(row["reason"])) for _, row in rows
    )
    notes = tuple(meta["notes"])
    rate_hz = meta["sample_rate_hz"]
    if sample_rate_hz != rate_hz:
        notes += (
            f"prepared at {rate_hz} Hz and read at {sample_rate_hz} Hz: every window is resampled, "
            "which costs time; prepare it at that rate",
        )
    info = Info(
        name=meta["name"],
        task=meta["task"],
        labels=tuple(meta["labels"]),
        sample_rate_hz=sample_rate_hz,
        splits={
            name: np.flatnonzero(numbers["split"] == number)
            for number, name in enumerate(items["splits"])
        },
        groups=tuple(items["groups"]),
        version=meta["version"],
        fingerprint=meta["fingerprint"],
        licence=meta["licence"],
        skipped=skipped,
        notes=notes,
        citation=meta["citation"],
        url=meta["url"],
        faults=tuple(meta["faults"]),
        parents=meta["parents"],
        group_kind=meta["group_kind"],
        columns={name: tuple(column) for name, column in items["columns"].items()},
        parts=tuple((item, reason) for item, reason in meta["parts"]),
    )
    return Prepared(
        info=info,
        encoding=meta["encoding"],
        prepared_rate_hz=rate_hz,
        shards=tuple(
            (f"{url or folder}/{shard['file']}", shard["sha256"]) for shard in meta["shards"]
        ),
        targets=targets,
        item_ids=tuple(items["item_ids"]),
        shard_of=numbers["shard"],
        positions=numbers["position"],
        sizes=numbers["num_bytes"],
        lengths=numbers["num_samples"],
        audio=versions.of_prepared(meta["request"]),
    )


def find_prepared(path: str | os.PathLike) -> Path:
    """The prepared data set at a path, or the only one a level or two below it.

    Raises:
        ValueError: there is none, or there are several.
    """
    root = Path(path).expanduser()
    if not os.fspath(path) or not root.is_dir():
        raise ValueError(
            f"path must be a prepared data set, got {os.fspath(path)!r}: no such folder"
        )
    found: list[Path] = []
    for pattern in ("", "*/", "*/*/"):
        found = found or sorted(
            meta.parent
            for meta in root.glob(pattern + META)
            if not any(part.startswith("incomplete-") for part in meta.relative_to(root).parts)
        )
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(str(folder.relative_to(root)) for folder in found)
        raise ValueError(f"{root} holds several prepared data sets; give one of them: {names}")
    begun = [*root.glob("incomplete-*/request.json"), *root.glob("*/incomplete-*/request.json")]
    hint = f"; {begun[0].parent} was begun and not finished: prepare it again" if begun else ""
    raise ValueError(
        f"{root} is no prepared data set: no {META} in it{hint}. `mclf data prepare` makes one"
    )


def _check_tables(folder: Path) -> None:
    """Raise a ValueError if what is known of the items is not what was prepared."""
    if not (folder / CHECKSUMS).exists():
        return
    text = (folder / CHECKSUMS).read_text(encoding="utf-8", errors="replace")
    lines = [line.partition("  ") for line in text.splitlines()]
    expected = {name: checksum for checksum, _, name in lines}
    for name in TABLES:  # those of earlier versions are not in it
        if name in expected and files.checksum(folder / name) != expected[name]:
            raise ValueError(_CHANGED.format(folder / name))


def _check_shards(
    folder: Path, shards: Sequence[Mapping[str, Any]], *, checksums: str, progress: str
) -> None:
    """Raise a ValueError that names a shard that is not what was prepared."""
    stamps = {}
    for shard in shards:
        path = folder / shard["file"]
        try:
            stat = path.stat()
        except FileNotFoundError:
            raise ValueError(f"{path} is missing: the data set was not copied completely") from None
        if stat.st_size != shard["num_bytes"]:
            raise ValueError(
                f"{path} has {stat.st_size} bytes, not {shard['num_bytes']}: it was cut or changed"
            )
        stamps[shard["file"]] = [stat.st_mtime_ns, shard["sha256"]]
    name = hashlib.sha256(str(folder.absolute()).encode()).hexdigest()[:12]
    cache = files.cache_folder() / f"shards-{name}.json"
    known = files.read_cache(cache, str(folder.absolute())) if checksums == "first" else None
    wanted = stamps if checksums != "skip" else {}
    unknown = [file for file in wanted if not known or known.get(file) != stamps[file]]
    compared = threads.each(
        lambda file: files.checksum(folder / file) == stamps[file][1],
        unknown,
        total=len(unknown),
        title="comparing shards with their checksums",
        num_workers=None,
        progress=progress,
    )
    if changed := sorted(file for file, same in compared if not same):
        more = f" So are {len(changed) - 1} more." if len(changed) > 1 else ""
        raise ValueError(_CHANGED.format(folder / changed[0]) + more)
    if unknown:
        files.write_cache(cache, str(folder.absolute()), stamps)
