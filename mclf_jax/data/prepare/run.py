"""Decoding a data set once: a directory of TensorFlow Datasets in ArrayRecord, without TensorFlow.

    OUT/NAME/VERSION/dataset_info.json, features.json    as TensorFlow Datasets writes them
                     NAME-train.array_record-00000-of-00012 ...
                     mclf.json                settings, labels, facts, statistics, fingerprint
                     items.json, items.npz    what is known of each item, and where its audio is
                     skipped.csv, checksums.sha256, CHANGELOG.md

Labels and splits are decided by the catalogue's metadata before audio is decoded, so a file that
turns out to be broken changes nothing for the others. Shards are written one by one and renamed
when they are complete: whenever the process is killed, the same call goes on, and the result is the
same bytes as without.
"""

import contextlib
import dataclasses
import fcntl
import hashlib
import json
import os
import re
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import soundfile
import soxr
from tqdm import tqdm

from mclf_jax.data.catalogue.items import Catalogue
from mclf_jax.data.catalogue.plan import Plan, plan
from mclf_jax.data.prepare import finish as prepare_finish
from mclf_jax.data.prepare.shard import ENCODINGS, Settings, Task, write_task, write_whole

_FIRST_VERSION = "1.0.0"
_PROGRESS = {"auto": None, "on": False, "off": True}  # tqdm's `disable`; None asks the tty
# What may be another from one call to the next where everything has been written already.
_FREE_WHEN_DONE = ("items_per_shard", "decoder", "resampler")


@dataclasses.dataclass(frozen=True)
class Work:
    """A preparation that has begun.

    Attributes:
        catalogue, plan: what is prepared.
        settings: how.
        request: everything that decides the result, as it is stored.
        target: the directory that will be there at the end.
        folder: where it grows.
        results: what has been written so far, a JSON for each shard.
        tasks: all shards.
    """

    catalogue: Catalogue
    plan: Plan
    settings: Settings
    request: Mapping[str, Any]
    target: Path
    folder: Path
    results: Path
    tasks: tuple[Task, ...]

    def open_tasks(self) -> list[Task]:
        """Shards that are not there yet."""
        return [task for task in self.tasks if not self._is_done(task)]

    def _is_done(self, task: Task) -> bool:
        try:
            result = json.loads((self.results / f"{task.file_name}.json").read_text("utf-8"))
            return (self.folder / task.file_name).stat().st_size == result["num_bytes"]
        except FileNotFoundError:
            return False


def prepare(
    catalogue: Catalogue,
    out: str | os.PathLike,
    *,
    sample_rate_hz: int = 22050,
    encoding: str = "int16",
    min_duration_s: float = 0.125,
    max_duration_s: float | None = None,
    silent_label: str = "silence",
    seed: int = 0,
    name: str | None = None,
    version: str | None = None,
    items_per_shard: int | None = None,
    num_workers: int | None = None,
    progress: str = "auto",
    run: Callable[[Work], None] | None = None,
) -> Path:
    """Writes `out`/NAME/VERSION, or goes on with it, or finds that it is there.

    Args:
        catalogue: what a reader of `data.readers` found.
        out: directory of prepared data sets.
        sample_rate_hz: of the audio that is written, mono, resampled by soxr (HQ).
        encoding: "int16" (the fastest to read) or "flac" (about half of the size).
        min_duration_s: shorter items are left out.
        max_duration_s: longer ones are cut there; None keeps all.
        silent_label: items silent to the last sample are left out, except under this label.
        seed: of splits that are made here, see `plan`.
        name: of the directory; that of the data set when not given.
        version: three numbers with dots. When not given, the highest that is there or begun, or
            1.0.0.
        items_per_shard: None makes about 256 shards of 32 to 1024 items.
        num_workers: threads that decode; None is one for each core.
        progress: "auto" (where stderr is a terminal), "on" or "off".
        run: writes the open tasks of the work, in place of threads of this process.

    Returns:
        The directory, which `prepared.prepared` and `tfds.builder_from_directory` read.

    Raises:
        ValueError: a wrong argument, nothing to prepare, or other settings or data than what is
            there was made with; the message names the differences.
        OSError: the disk is full or cannot be written to.
    """
    if progress not in _PROGRESS:
        raise ValueError(f"progress must be one of {list(_PROGRESS)}, got {progress!r}")
    settings = _settings(sample_rate_hz, encoding, min_duration_s, max_duration_s, silent_label)
    name = _valid_name(catalogue.facts.name if name is None else name)
    planned = plan(catalogue, seed=seed)
    items_per_shard = items_per_shard or min(1024, max(32, -(-len(planned.items) // 256)))
    request = {
        "name": name,
        **dataclasses.asdict(settings),
        "seed": seed,
        "task": catalogue.task,
        "labels": list(planned.labels),
        "num_items": len(planned.items),
        "metadata": _metadata_digest(planned),
        "file_sizes": _file_sizes_digest(planned),
        "items_per_shard": items_per_shard,
        "decoder": f"libsndfile {soundfile.__libsndfile_version__}",
        "resampler": f"soxr {soxr.__libsoxr_version__}",
    }
    root = Path(out).expanduser() / name
    version = _valid_version(version or _latest_version(root) or _FIRST_VERSION)
    target, state = root / version, root / f"incomplete-{version}"
    if (target / prepare_finish.META).exists():
        done = prepare_finish.read_meta(target)["request"]
        _refuse_other(done, request, where=target, free=_FREE_WHEN_DONE)
        shutil.rmtree(state, ignore_errors=True)  # killed between renaming and this
        return target
    work = Work(
        catalogue=catalogue,
        plan=planned,
        settings=settings,
        request=request,
        target=target,
        folder=state / "data",
        results=state / "results",
        tasks=tuple(_tasks(planned, name=name, items_per_shard=items_per_shard)),
    )
    work.folder.mkdir(parents=True, exist_ok=True)
    work.results.mkdir(exist_ok=True)
    with _locked(state):
        if (state / "request.json").exists():
            begun = json.loads((state / "request.json").read_text("utf-8"))
            _refuse_other(begun, request, where=state)
        write_whole(state / "request.json", json.dumps(request))
        for leftover in work.results.glob("*.part"):
            leftover.unlink()
        if run is None:
            _write_in_threads(work, num_workers=num_workers, disable=_PROGRESS[progress])
        else:
            run(work)
        prepare_finish.finish(work, version=version, previous=_previous(root, version))
        os.rename(work.folder, target)
    shutil.rmtree(state)
    return target


def _settings(
    sample_rate_hz: int,
    encoding: str,
    min_duration_s: float,
    max_duration_s: float | None,
    silent_label: str,
) -> Settings:
    if sample_rate_hz < 1:
        raise ValueError(f"sample_rate_hz must be positive, got {sample_rate_hz}")
    if encoding not in ENCODINGS:
        raise ValueError(f"encoding must be one of {', '.join(ENCODINGS)}, got {encoding!r}")
    if min_duration_s < 0 or (max_duration_s is not None and max_duration_s < min_duration_s):
        raise ValueError(
            "min_duration_s must not be negative nor above max_duration_s, got "
            f"min_duration_s={min_duration_s} and max_duration_s={max_duration_s}"
        )
    return Settings(sample_rate_hz, encoding, min_duration_s, max_duration_s, silent_label)


def _valid_name(name: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise ValueError(
            f"name must be small letters, digits and _, beginning with a letter, got {name!r}"
        )
    return name


def _valid_version(version: str) -> str:
    if not re.fullmatch(r"\d+\.\d+\.\d+", version):
        raise ValueError(f"version must be three numbers such as 1.0.0, got {version!r}")
    return version


def _versions(root: Path) -> list[str]:
    """Those that are there or begun, the highest last."""
    found = {path.name.removeprefix("incomplete-") for path in root.glob("*")}
    versions = [version for version in found if re.fullmatch(r"\d+\.\d+\.\d+", version)]
    return sorted(versions, key=_numbers)


def _numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".")]


def _latest_version(root: Path) -> str | None:
    return next(reversed(_versions(root)), None)


def _previous(root: Path, version: str) -> Path | None:
    """The directory of the version before this one."""
    older = [
        root / other
        for other in _versions(root)
        if _numbers(other) < _numbers(version) and (root / other / prepare_finish.META).exists()
    ]
    return older[-1] if older else None


def _refuse_other(
    old: Mapping[str, Any], new: Mapping[str, Any], *, where: Path, free: Sequence[str] = ()
) -> None:
    changed = [key for key in new if key not in free and old.get(key) != new[key]]
    if not changed:
        return
    lines = prepare_finish.differences(old, new, keys=changed)
    version = where.name.removeprefix("incomplete-")
    major, minor, _ = _numbers(version)
    raise ValueError(
        f"{where} was made with other settings or from other data:\n  "
        + "\n  ".join(lines)
        + f"\nGive the old ones, another version (such as {major}.{minor + 1}.0), or delete it"
    )


def _tasks(planned: Plan, *, name: str, items_per_shard: int) -> Iterator[Task]:
    for split, indices in planned.splits.items():
        num_shards = -(-len(indices) // items_per_shard)
        for shard in range(num_shards):
            chosen = indices[shard * items_per_shard : (shard + 1) * items_per_shard]
            yield Task(
                file_name=f"{name}-{split}.array_record-{shard:05d}-of-{num_shards:05d}",
                split=split,
                numbers=tuple(int(i) for i in chosen),
                items=tuple(planned.items[i] for i in chosen),
                labels=planned.label_array[chosen],
            )


def _metadata_digest(planned: Plan) -> str:
    """Of all that goes into the records apart from the audio, without where the files are."""
    digest = hashlib.sha256()
    for item in planned.items:
        fields = {key: value for key, value in vars(item).items() if key not in ("file", "line")}
        fields["columns"] = dict(item.columns)
        digest.update(json.dumps(fields, sort_keys=True).encode())
    digest.update(planned.label_array.tobytes())
    for split, indices in planned.splits.items():
        digest.update(split.encode() + indices.tobytes())
    return digest.hexdigest()


def _file_sizes_digest(planned: Plan) -> str:
    """Not of times of change, so that a copy of the files is the same data."""
    digest = hashlib.sha256()
    for item in planned.items:
        size = -1
        with contextlib.suppress(OSError):
            size = os.path.getsize(item.file)
        digest.update(f"{size} ".encode())
    return digest.hexdigest()


@contextlib.contextmanager
def _locked(state: Path) -> Iterator[None]:
    """One process at a time; the system lets go of the lock when the process ends."""
    with (state / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(f"another process is preparing {state}") from None
        yield


def _write_in_threads(work: Work, *, num_workers: int | None, disable: bool | None) -> None:
    # Threads are enough: libsndfile, soxr and numpy work outside of Python's lock.
    stop, lock = threading.Event(), threading.Lock()
    tasks = work.open_tasks()
    num_open = sum(len(task.items) for task in tasks)
    bar = tqdm(
        total=len(work.plan.items),
        initial=len(work.plan.items) - num_open,
        desc="preparing",
        unit=" items",
        disable=disable,
    )

    def on_item() -> None:
        if stop.is_set():
            raise InterruptedError
        with lock:
            bar.update()

    with bar, ThreadPoolExecutor(num_workers or os.cpu_count()) as pool:
        futures = [
            pool.submit(
                write_task,
                task,
                folder=work.folder,
                results=work.results,
                settings=work.settings,
                on_item=on_item,
            )
            for task in tasks
        ]
        try:
            for future in as_completed(futures):
                future.result()
        except BaseException:
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
            raise
