"""Ablations and recipes of many stages: what a config's `sweep()` yields, trained and tabulated."""

import dataclasses
import datetime
import inspect
import itertools
import re
import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from mclf_jax import config as config_lib
from mclf_jax import objectives

Setting = tuple[str, dict[str, Any]]


@dataclasses.dataclass(frozen=True)
class RunOf:
    """Stands for the run directory of an earlier setting, see `run_of`."""

    name: str

    def __str__(self) -> str:
        return self.name


def run_of(name: str) -> RunOf:
    """The run directory of the setting of this name, as a value of a later setting's changes.

    So stages follow each other: {"init.path": run_of("pretrained,seed=0")} fine-tunes, and
    {"objective.args.teacher": run_of("round1,seed=0")} makes a student the next teacher.
    """
    return RunOf(name)


def grid(fields: Mapping[str, Sequence[Any]]) -> Iterator[Setting]:
    """Every combination of values, named after what it sets; for use in a config's `sweep`.

    `grid({"features.n_mels": (48, 96), "seed": (0, 1)})` yields four settings, the first
    ("n_mels=48,seed=0", {"features.n_mels": 48, "seed": 0}).
    """
    for values in itertools.product(*fields.values()):
        changes = dict(zip(fields, values, strict=True))
        name = ",".join(f"{field.rpartition('.')[2]}={value}" for field, value in changes.items())
        yield name, changes


def without_seed(name: str) -> str:
    """The name of a setting without parts such as "seed=0" or "fold_seed=1"."""
    return re.sub(r"(^|[,/])\w*seed=[^,/]*", "", name).strip(",/")


def settings_of(config_path: str) -> list[Setting]:
    """What the `sweep()` of a config file yields.

    It is given what follows the colon in "configs/x.py:arg", as `get_config` is, if it takes it.

    Raises:
        ValueError: no such function, no settings, or two of one name.
    """
    path, _, arg = config_path.partition(":")
    module = config_lib.load_module(path)
    if not hasattr(module, "sweep"):
        raise ValueError(f"{path} defines no sweep(), which yields (name, overrides)")
    settings = [(str(name), dict(changes)) for name, changes in _call(module, "sweep", arg)]
    if not settings:
        raise ValueError(f"sweep() of {path} yields nothing")
    names = [name for name, _ in settings]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"sweep() of {path} yields these names more than once: {', '.join(twice)}")
    return settings


def probes_of(config_path: str) -> dict[str, dict[str, Any]]:
    """What the `probes()` of a config file yields, (name, arguments of `probe.probe`); or nothing.

    Raises:
        ValueError: two of one name.
    """
    path, _, arg = config_path.partition(":")
    module = config_lib.load_module(path)
    found = list(_call(module, "probes", arg)) if hasattr(module, "probes") else []
    probes = {str(name): dict(arguments) for name, arguments in found}
    if len(probes) < len(found):
        raise ValueError(f"probes() of {path} yields a name more than once")
    return probes


def overruled(settings: Sequence[Setting], overrides: Sequence[str]) -> dict[str, int]:
    """Of "--config.FIELD=VALUE", the fields that settings set too, and how many of them."""
    fields = [text.removeprefix("--config.").partition("=")[0] for text in overrides]
    counts = {field: sum(field in changes for _, changes in settings) for field in fields}
    return {field: count for field, count in counts.items() if count}


def commands(
    config_path: str, *, workdir: str | Path, overrides: Sequence[str] = ()
) -> Iterator[str]:
    """One shell command a setting, for a cluster's queue, in an order that stages can run in.

    When all have run, the sweep itself has nothing left to train and makes the tables.

    Raises:
        ValueError: a setting that cannot be, or that builds on no earlier one; before the first.
    """
    config = config_lib.load(config_path, overrides=overrides)
    settings = settings_of(config_path)
    resolved = _resolved(config, settings, workdir=Path(workdir))
    for (name, _), (changes, changed) in zip(settings, resolved, strict=True):
        # Fields of a command are in no order: of those that a setting sets or resets, only its own.
        reset = [part for part in ("model", "objective") if changed[part].name != config[part].name]
        flags = [
            text
            for text in overrides
            for field in [text.removeprefix("--config.").partition("=")[0]]
            if field not in changes and not field.startswith(tuple(f"{p}.args." for p in reset))
        ]
        flags += [f"--config.{field}={value}" for field, value in changes.items()]
        run_dir = str(Path(workdir) / name)
        stages = [["mclf", "train", "--config", config_path, "--workdir", run_dir, *flags]]
        if _predicts_labels(changed):
            stages.append(["mclf", "evaluate", run_dir])
        yield " && ".join(map(shlex.join, stages))


def run(
    config: ConfigDict,
    settings: Sequence[Setting],
    *,
    workdir: str | Path,
    splits: Sequence[str] = ("test",),
    probes: Mapping[str, Mapping[str, Any]] | None = None,
) -> list[dict]:
    """Train every setting in its own run directory, evaluate or probe it, and write the tables.

    What is finished is skipped and what was killed goes on. A setting whose training breaks
    down is noted in the tables; only those that build on it are not run.

    Args:
        config: that settings change.
        settings: names of run directories and fields to change, such as `settings_of` gives.
        workdir: of the run directories, `sweep.md` and `sweep.csv`.
        splits: of songs to score, with a table each, see `evaluation.evaluate`: "valid" to choose
            by; "hidden" where settings use a part of the labels, and left out where they do not.
        probes: name -> arguments of `probe.probe`, for settings that learn without labels and so
            have no scores of their own, and for pretext tasks (`data.target`).

    Returns:
        One dict a setting: "name", "changes", "objective", "target", "status" and, if it finished,
        "metrics" of each split and "task" of what it learnt, and "probes", the `ProbeResult`s by
        name.

    Raises:
        ValueError: a setting that cannot be or that builds on no earlier one, or all learn without
            labels and there is no probe; before anything is trained.
    """
    # These import jax, which configs that only want `grid` start without.
    from mclf_jax.sweep import probes as sweep_probes
    from mclf_jax.sweep.tables import write_tables

    workdir, probes = Path(workdir), sweep_probes.checked(probes or {})
    changed = [setting for _, setting in _resolved(config, settings, workdir=workdir)]
    if not probes and not any(map(_predicts_labels, changed)):
        raise ValueError(
            f"objective.name is {changed[0].objective.name!r} in {settings[0][0]}, and no setting "
            "learns labels, so that there would be no score in the table: define probes() in the "
            "config file, which yields (name, arguments of probe.probe)"
        )
    workdir.mkdir(parents=True, exist_ok=True)
    names = [name for name, _ in settings]
    results: list[dict] = []
    took_s: dict[str, list[float]] = {}
    for number, ((name, changes), setting) in enumerate(zip(settings, changed, strict=True)):
        left = _left(names[number:], took_s)
        print(f"[{number + 1}/{len(names)}] {name}; {left}", flush=True)
        run_dir = workdir / name
        began_s, log_size = time.monotonic(), _size(run_dir / "metrics.jsonl")
        result = {"name": name, "changes": changes}
        result |= {"objective": setting.objective.name, "target": setting.data.target}
        if why := _why_not(changes, results):
            result["status"] = why
        else:
            result |= _trained(setting, run_dir, splits=splits, probes=probes)
        if result["status"] == "interrupted":
            print(f"stopped at step {result['step']}; the same command goes on from there")
            return results
        if result["status"] != "finished":
            print(f"{name}: {result['status']}")
        # What was finished before takes no time, and says nothing about the others.
        if result["status"] == "finished" and _size(run_dir / "metrics.jsonl") > log_size:
            took_s.setdefault(without_seed(name), []).append(time.monotonic() - began_s)
        results.append(result)
        write_tables(results, workdir=workdir)
    return results


def _trained(
    setting: ConfigDict, run_dir: Path, *, splits: Sequence[str], probes: Mapping[str, Any]
) -> dict[str, Any]:
    """Train a setting and see how good it is: "status", and what `run` says of it."""
    from mclf_jax.data.views import apply as view
    from mclf_jax.evaluation.evaluate import evaluated
    from mclf_jax.run import directory as rundir
    from mclf_jax.sweep import probes as sweep_probes
    from mclf_jax.train.loop import TrainingError, train

    try:
        outcome = train(setting, workdir=run_dir)
    except TrainingError as error:
        return {"status": f"failed: {error}"}
    if outcome.status == "interrupted":
        return {"status": "interrupted", "step": outcome.step}
    result = {"status": "finished"}
    if setting.data.target or not _predicts_labels(setting):
        result["probes"] = {
            name: sweep_probes.probed(run_dir, name, arguments)
            for name, arguments in probes.items()
        }
    if not _predicts_labels(setting):
        return result
    there = rundir.read_meta(run_dir)["data"]["splits"]
    for split in splits:
        # A pretext task needs no test songs.
        if setting.data.target and not there.get(split):
            continue
        try:
            report = evaluated(run_dir, split=split)
        except view.NothingHidden:
            continue
        result["task"] = report.task
        result.setdefault("metrics", {})[split] = report.metrics
    return result


def _predicts_labels(setting: ConfigDict) -> bool:
    return objectives.traits(setting.objective.name).predicts_labels


def _call(module: ModuleType, name: str, arg: str) -> Iterator:
    """What a function of a config file yields, given the config's argument if it takes one."""
    function = getattr(module, name)
    return function(arg or None) if inspect.signature(function).parameters else function()


def _resolved(
    config: ConfigDict, settings: Sequence[Setting], *, workdir: Path
) -> list[tuple[dict[str, Any], ConfigDict]]:
    """Changes with paths in place of `RunOf`, and the config with them, of every setting."""
    names = [name for name, _ in settings]
    found = []
    for number, (name, changes) in enumerate(settings):
        for field, value in changes.items():
            if isinstance(value, RunOf) and value.name not in names[:number]:
                why = "comes later" if value.name in names[number:] else "is no setting"
                earlier = ", ".join(names[:number]) or "none"
                raise ValueError(
                    f"{name}: {field} is run_of({value.name!r}), which {why}; before it come: "
                    f"{earlier}"
                )
        paths = {
            field: str(workdir / value.name) if isinstance(value, RunOf) else value
            for field, value in changes.items()
        }
        found.append((paths, config_lib.override(config, paths)))
    return found


def _why_not(changes: Mapping[str, Any], results: Sequence[dict]) -> str:
    """Why a setting cannot be trained; empty if what it builds on is finished."""
    status = {result["name"]: result["status"] for result in results}
    for value in changes.values():
        if isinstance(value, RunOf) and status[value.name] != "finished":
            what = "failed" if status[value.name].startswith("failed") else "was not run"
            return f"not run: it builds on {value.name}, which {what}"
    return ""


def _left(names: Sequence[str], took_s: Mapping[str, Sequence[float]]) -> str:
    """How many settings are left and, once some were trained, how long they will take.

    A setting takes as long as others of its name but for the seed, or else as the mean of all; one
    that an earlier call has finished will take less.
    """
    every = list(itertools.chain(*took_s.values()))
    if not every:
        return f"{len(names)} left"
    seconds = sum(np.mean(took_s.get(without_seed(name), every)) for name in names)
    return f"{len(names)} left, about {datetime.timedelta(seconds=round(float(seconds)))}"


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
