"""A preparation that has begun: what it is of, where it grows, and which shards it still lacks."""

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mclf_jax.common.text import documents
from mclf_jax.data.base import targets as target_lib
from mclf_jax.data.catalogue.items import Catalogue
from mclf_jax.data.catalogue.plan import Plan
from mclf_jax.data.prepare.meta import META, differences
from mclf_jax.data.prepare.shard import Settings, Task

_RESULT_LIKE = {
    "file": str,
    "num_bytes": int,
    "sha256": str,
    "items": [{"number": int, "position": int, "num_bytes": int, "num_samples": int}],
    "skipped": [[int, str]],
}
_INCOMPLETE = "incomplete-"
_VERSION = re.compile(r"\d+\.\d+\.\d+")


@dataclasses.dataclass(frozen=True)
class Work:
    """A preparation that has begun.

    Attributes:
        catalogue, plan: what is prepared.
        settings: how.
        request: everything that decides the result, as it is stored.
        folder: where it grows.
        results: what has been written so far, a JSON for each shard.
        tasks: all shards.
    """

    catalogue: Catalogue
    plan: Plan
    settings: Settings
    request: Mapping[str, Any]
    folder: Path
    results: Path
    tasks: tuple[Task, ...]

    def open_tasks(self) -> list[Task]:
        """Shards that are not there yet."""
        return [task for task in self.tasks if not self._is_done(task)]

    def result(self, task: Task) -> dict[str, Any]:
        """What was noted of a shard when it was written, see `shard.write_task`."""
        return documents.read(self.results / f"{task.file_name}.json", _RESULT_LIKE)

    def _is_done(self, task: Task) -> bool:
        try:
            size = (self.folder / task.file_name).stat().st_size
            return size == self.result(task)["num_bytes"]
        except (FileNotFoundError, ValueError):  # not begun, or its result is damaged
            return False


def make_tasks(planned: Plan, *, name: str, items_per_shard: int) -> Iterator[Task]:
    """The shards of a data set."""
    for split, indices in planned.splits.items():
        num_shards = -(-len(indices) // items_per_shard)
        for shard in range(num_shards):
            chosen = indices[shard * items_per_shard : (shard + 1) * items_per_shard]
            yield Task(
                file_name=f"{name}-{split}.array_record-{shard:05d}-of-{num_shards:05d}",
                split=split,
                numbers=tuple(int(i) for i in chosen),
                items=tuple(planned.items[i] for i in chosen),
                targets=target_lib.take(planned.targets, chosen),
            )


def state_folder(root: Path, version: str) -> Path:
    """Where a version grows."""
    return root / f"{_INCOMPLETE}{version}"


def valid_version(version: str) -> str:
    """The same.

    Raises:
        ValueError: it is not three numbers.
    """
    if not _VERSION.fullmatch(version):
        raise ValueError(f"version must be three numbers such as 1.0.0, got {version!r}")
    return version


def latest_version(root: Path) -> str | None:
    """The highest version of a data set that is there or begun."""
    found = {path.name.removeprefix(_INCOMPLETE) for path in root.glob("*")}
    return max(filter(_VERSION.fullmatch, found), key=_numbers, default=None)


def previous_version(root: Path, version: str) -> Path | None:
    """The folder of the version before this one."""
    there = (path.parent for path in root.glob(f"*/{META}") if _VERSION.fullmatch(path.parent.name))
    older = [folder for folder in there if _numbers(folder.name) < _numbers(version)]
    return max(older, key=lambda folder: _numbers(folder.name), default=None)


def refuse_other(
    old: Mapping[str, Any], new: Mapping[str, Any], *, where: Path, free: Sequence[str] = ()
) -> None:
    """Raise a ValueError that names what differs between two requests, but for what is `free`."""
    if lines := differences(old, new, keys=[key for key in new if key not in free]):
        major, minor, _ = _numbers(where.name.removeprefix(_INCOMPLETE))
        raise ValueError(
            f"{where} was made with other settings or from other data:\n  "
            + "\n  ".join(lines)
            + f"\nGive the old ones, another version (such as {major}.{minor + 1}.0), or delete it"
        )


def _numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".")]
