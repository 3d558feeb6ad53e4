"""A sweep as shell commands, for the queue of a cluster, and what its flags change."""

import dataclasses
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from mclf_jax import config as config_lib
from mclf_jax import objectives
from mclf_jax.sweep.settings import ENCODER, RunOf, Setting, resolve


def count_overruled(settings: Sequence[Setting], overrides: Sequence[str]) -> dict[str, int]:
    """Of "--config.FIELD=VALUE", the fields that settings set too, and how many of them."""
    counts = {
        field: sum(field in changes for _, changes in settings) for field in map(_field, overrides)
    }
    return {field: count for field, count in counts.items() if count}


@dataclasses.dataclass(frozen=True)
class Job:
    """What a setting takes.

    Attributes:
        name: of the setting.
        stages: words of each command, one after another, without "mclf".
        after: names of the settings that it builds on.
    """

    name: str
    stages: list[list[str]]
    after: frozenset[str]


def make_jobs(
    config_path: str,
    settings: Sequence[Setting],
    *,
    workdir: str | Path,
    overrides: Sequence[str] = (),
) -> list[Job]:
    """One job a setting that trains something, in an order that stages can run in.

    When all have run, the sweep itself has nothing left to train and makes the tables.

    Raises:
        ValueError: a setting that cannot be, or that builds on no earlier one.
    """
    config = config_lib.load(config_path, overrides=overrides)
    resolved = resolve(config, settings, workdir=Path(workdir))
    jobs = []
    for (name, own), (changes, changed) in zip(settings, resolved, strict=True):
        if ENCODER in own:  # there is nothing to train; the sweep itself probes it
            continue
        # Fields of a command are in no order: of those that a setting sets or resets, only its own.
        reset = [part for part in ("model", "objective") if changed[part].name != config[part].name]
        flags = [
            text
            for text in overrides
            if (field := _field(text)) not in changes
            and not field.startswith(tuple(f"{part}.args." for part in reset))
        ]
        flags += [f"--config.{field}={value}" for field, value in changes.items()]
        run_dir = str(Path(workdir) / name)
        stages = [["train", "--config", config_path, "--workdir", run_dir, *flags]]
        if objectives.traits(changed.objective.name).predicts_labels:
            stages.append(["evaluate", run_dir])
        after = frozenset(value.name for value in own.values() if isinstance(value, RunOf))
        jobs.append(Job(name, stages, after))
    return jobs


def make_commands(jobs: Sequence[Job]) -> Iterator[str]:
    """One shell command a job, for a cluster's queue."""
    for job in jobs:
        yield " && ".join(shlex.join(["mclf", *words]) for words in job.stages)


def _field(override: str) -> str:
    return override.removeprefix("--config.").partition("=")[0]
