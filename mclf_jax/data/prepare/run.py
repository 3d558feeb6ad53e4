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

import dataclasses
import hashlib
import json
import os
import re
import shutil
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import soundfile
import soxr

from mclf_jax.audio.files import ffmpeg
from mclf_jax.common import checks, disk, files
from mclf_jax.common import progress as progress_lib
from mclf_jax.common.text import documents
from mclf_jax.data.base import targets as target_lib
from mclf_jax.data.catalogue.items import FRACTIONS, Catalogue, Item
from mclf_jax.data.catalogue.plan import Plan, plan
from mclf_jax.data.prepare import state as states
from mclf_jax.data.prepare.finish import finish
from mclf_jax.data.prepare.meta import META, read_meta
from mclf_jax.data.prepare.shard import Settings, write_task
from mclf_jax.data.prepare.state import Work

_FIRST_VERSION = "1.0.0"
# What may be another from one call to the next where everything has been written already.
_FREE_WHEN_DONE = ("items_per_shard", "decoder", "resampler")
# Which readers have found since version 0.1 only.
_LATER_COLUMNS = ("year", "date_released", "date_recorded")


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
    split_fractions: Sequence[float] = FRACTIONS,
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
        split_fractions: of train, valid and test of these splits.
        name: of the directory; that of the data set when not given.
        version: three numbers with dots. When not given, the highest that is there or begun, or
            1.0.0.
        items_per_shard: None makes about 256 shards of 32 to 1024 items.
        num_workers: threads that decode; None is one for each core.
        progress: "auto" (where stderr is a terminal), "on" or "off".
        run: writes the open tasks of the work, in place of threads of this process.

    Returns:
        The directory, which `reader.prepared` and `tfds.builder_from_directory` read.

    Raises:
        ValueError: a wrong argument, nothing to prepare, or other settings or data than what is
            there was made with; the message names the differences.
        OSError: the disk is full or cannot be written to.
    """
    checks.choice("progress", progress, progress_lib.MODES)
    if num_workers is not None:
        checks.whole("num_workers", num_workers, lowest=1)
    files.check_place("out", Path(out).expanduser(), kind="folder")
    settings = Settings(
        sample_rate_hz=sample_rate_hz,
        encoding=encoding,
        min_duration_s=min_duration_s,
        max_duration_s=max_duration_s,
        silent_label=silent_label,
    )
    name = catalogue.facts.name if name is None else name
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise ValueError(
            f"name must be small letters, digits and _, beginning with a letter, got {name!r}"
        )
    root = Path(out).expanduser() / name
    version = states.valid_version(version or states.latest_version(root) or _FIRST_VERSION)
    target, state = root / version, states.state_folder(root, version)
    done = read_meta(target)["request"] if (target / META).exists() else None
    # What an earlier version has prepared keeps its splits.
    split_rule = "hash" if done is None else done.get("split_rule", "dealt")
    split_fractions = tuple(split_fractions)
    planned = plan(catalogue, seed=seed, split_rule=split_rule, split_fractions=split_fractions)
    items_per_shard = items_per_shard or min(1024, max(32, -(-len(planned.items) // 256)))
    request = {
        "name": name,
        **dataclasses.asdict(settings),
        "seed": seed,
        "task": catalogue.task,
        "labels": list(planned.labels),
        "num_items": len(planned.items),
        "metadata": _metadata_digest(planned, like=done),
        "file_sizes": _file_sizes_digest(planned),
        "items_per_shard": items_per_shard,
        "decoder": _decoders(planned),
        "resampler": f"soxr {soxr.__libsoxr_version__}",
    }
    if split_fractions != FRACTIONS:
        request["split_fractions"] = list(split_fractions)
    if split_rule != "dealt":
        request["split_rule"] = split_rule
    if done is not None:
        states.refuse_other(done, request, where=target, free=_FREE_WHEN_DONE)
        shutil.rmtree(state, ignore_errors=True)  # killed between renaming and this
        return target
    work = Work(
        catalogue=catalogue,
        plan=planned,
        settings=settings,
        request=request,
        folder=state / "data",
        results=state / "results",
        tasks=tuple(states.make_tasks(planned, name=name, items_per_shard=items_per_shard)),
    )
    with disk.explained(root):
        _fill(work, version=version, num_workers=num_workers, progress=progress, run=run)
        os.rename(work.folder, target)
        shutil.rmtree(state)
    return target


def _fill(
    work: Work,
    *,
    version: str,
    num_workers: int | None,
    progress: str,
    run: Callable[[Work], None] | None,
) -> None:
    """Write what is missing in `work.folder`."""
    state = work.folder.parent
    work.folder.mkdir(parents=True, exist_ok=True)
    work.results.mkdir(exist_ok=True)
    with files.locked(state / "lock", refusal=f"another process is preparing {state}"):
        if (state / "request.json").exists():
            begun = documents.read(state / "request.json", dict)
            states.refuse_other(begun, work.request, where=state)
        _remove_partial(state)
        files.write_text(state / "request.json", json.dumps(work.request))
        if run is None:
            _write_in_threads(work, num_workers=num_workers, progress=progress)
        else:
            run(work)
            _remove_partial(state)  # of workers that were killed and replaced
        finish(work, version=version, previous=states.previous_version(state.parent, version))


def _remove_partial(state: Path) -> None:
    for leftover in state.rglob(".*.partial*"):
        leftover.unlink()


def _metadata_digest(planned: Plan, *, like: dict | None) -> str:
    """Of all that goes into the records apart from the audio, without where the files are.

    What an earlier version has prepared (`like`), whose readers found fewer columns, stays.
    """
    found = _digest(planned, without=())
    if like is None or like["metadata"] == found:
        return found
    before = _digest(planned, without=_LATER_COLUMNS)
    return before if like["metadata"] == before else found


def _digest(planned: Plan, *, without: Sequence[str]) -> str:
    digest = hashlib.sha256()
    names = [field.name for field in dataclasses.fields(Item)]
    names = [name for name in names if name not in ("file", "line")]
    for item in planned.items:
        fields = {name: getattr(item, name) for name in names}
        fields["columns"] = {k: v for k, v in item.columns.items() if k not in without}
        digest.update(json.dumps(fields, sort_keys=True).encode())
    for block in target_lib.blocks(planned.targets):
        digest.update(block)
    for split, indices in planned.splits.items():
        digest.update(split.encode() + indices.tobytes())
    return digest.hexdigest()


def _decoders(planned: Plan) -> str:
    names = f"libsndfile {soundfile.__libsndfile_version__}"
    if any(Path(item.file).suffix.lower() in ffmpeg.SUFFIXES for item in planned.items):
        names += f", av {ffmpeg.version() or 'missing'}"
    return names


def _file_sizes_digest(planned: Plan) -> str:
    """Not of times of change, so that a copy of the files is the same data."""
    digest = hashlib.sha256()
    for item in planned.items:
        size = os.path.getsize(item.file) if os.path.exists(item.file) else -1
        digest.update(f"{size} ".encode())
    return digest.hexdigest()


def _write_in_threads(work: Work, *, num_workers: int | None, progress: str) -> None:
    # Threads are enough: libsndfile, soxr and numpy work outside of Python's lock.
    stop, lock = threading.Event(), threading.Lock()
    tasks = work.open_tasks()
    num_items = sum(len(task.items) for task in tasks)
    bar = progress_lib.bar(total=num_items, title="preparing", unit="item", progress=progress)

    def on_item() -> None:
        if stop.is_set():
            raise InterruptedError
        with lock:
            bar.update()

    where = {"folder": work.folder, "results": work.results, "settings": work.settings}
    with bar, ThreadPoolExecutor(num_workers or os.cpu_count()) as pool:
        done = [pool.submit(write_task, task, **where, on_item=on_item) for task in tasks]
        try:
            for future in as_completed(done):
                future.result()
        except BaseException:  # shards that have begun stop after the item that they are at
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
            raise
