"""A sweep as shell commands, for the queue of a cluster, and what its flags change."""

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from mclf_jax import config as config_lib
from mclf_jax import objectives
from mclf_jax.sweep.settings import Setting, resolve, settings_of


def count_overruled(settings: Sequence[Setting], overrides: Sequence[str]) -> dict[str, int]:
    """Of "--config.FIELD=VALUE", the fields that settings set too, and how many of them."""
    counts = {
        field: sum(field in changes for _, changes in settings) for field in map(_field, overrides)
    }
    return {field: count for field, count in counts.items() if count}


def make_commands(
    config_path: str, *, workdir: str | Path, overrides: Sequence[str] = ()
) -> Iterator[str]:
    """One shell command a setting, for a cluster's queue, in an order that stages can run in.

    When all have run, the sweep itself has nothing left to train and makes the tables.

    Raises:
        ValueError: a setting that cannot be, or that builds on no earlier one; before the first.
    """
    config = config_lib.load(config_path, overrides=overrides)
    settings = settings_of(config_path)
    resolved = resolve(config, settings, workdir=Path(workdir))
    for (name, _), (changes, changed) in zip(settings, resolved, strict=True):
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
        stages = [["mclf", "train", "--config", config_path, "--workdir", run_dir, *flags]]
        if objectives.traits(changed.objective.name).predicts_labels:
            stages.append(["mclf", "evaluate", run_dir])
        yield " && ".join(map(shlex.join, stages))


def _field(override: str) -> str:
    return override.removeprefix("--config.").partition("=")[0]
