"""Every setting of a sweep trained, evaluated or probed, and tabulated; what is done is skipped."""

import datetime
import itertools
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from mclf_jax import objectives
from mclf_jax.common.interrupt import Interrupted
from mclf_jax.data.views.hidden import NothingHidden
from mclf_jax.evaluation.evaluate import evaluate_once
from mclf_jax.models import size
from mclf_jax.probe import ProbeResult
from mclf_jax.probe.exported import as_run
from mclf_jax.run.cost import read_cost
from mclf_jax.run.directory import read_meta, read_model
from mclf_jax.sweep.probes import check_probes, probe_once
from mclf_jax.sweep.settings import ENCODER, Frozen, RunOf, Setting, resolve, without_seed
from mclf_jax.sweep.tables import write_tables
from mclf_jax.train import TrainingError, train


def run(
    config: ConfigDict,
    settings: Sequence[Setting],
    *,
    workdir: str | Path,
    splits: Sequence[str] = ("test",),
    probes: Mapping[str, Mapping[str, Any]] | None = None,
) -> list[dict]:
    """Train every setting in its own run directory, evaluate or probe it, and write the tables.

    A setting that is an encoder (`settings.frozen`) is only probed, by all probes; what one of them
    cannot take is told, and the others go on.

    What is finished is skipped and what was killed goes on. A setting whose training breaks
    down is noted in the tables; only those that build on it are not run.

    Args:
        config: that settings change.
        settings: names of run directories and fields to change, such as `settings_of` gives.
        workdir: of the run directories, `sweep.md` and `sweep.csv`, and of `cost.png` where
            networks differ in what they cost.
        splits: of songs to score, with a table each, see `evaluation.evaluate`: "valid" to choose
            by; "hidden" where settings use a part of the labels, and left out where they do not.
        probes: name -> arguments of `probe.probe`, for settings that learn without labels and so
            have no scores of their own, for pretext tasks (`data.target`), and for encoders.

    Returns:
        One dict a setting: "name", "changes", "objective", "target", "status" and, if it finished,
        "cost" of `size.measure` with "trained_s", "metrics" of each split and "task" of what it
        learnt, and "probes", the `ProbeResult`s by name.

    Raises:
        Interrupted: by a signal; what has been trained is saved.
        ValueError: a setting that cannot be or that builds on no earlier one, or all learn without
            labels and there is no probe; before anything is trained.
    """
    workdir, probes = Path(workdir), probes or {}
    check_probes(probes)
    changed = [setting for _, setting in resolve(config, settings, workdir=workdir)]
    encoders = [changes[ENCODER] for _, changes in settings if ENCODER in changes]
    if encoders and not probes:
        raise ValueError(
            f"{encoders[0]} is an encoder, which is only probed: define probes() in the config "
            "file, which yields (name, arguments of probe.probe)"
        )
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
        if ENCODER in changes:
            result |= _probe_encoder(changes[ENCODER], run_dir, probes=probes)
        elif why := _why_not(changes, results):
            result["status"] = why
        else:
            result |= _train_and_score(setting, run_dir, splits=splits, probes=probes)
        if result["status"] == "interrupted":
            raise Interrupted(f"{name} is stopped at step {result['step']}")
        if result["status"] != "finished":
            print(f"{name}: {result['status']}")
        # What was finished before takes no time, and says nothing about the others.
        if result["status"] == "finished" and _size(run_dir / "metrics.jsonl") > log_size:
            took_s.setdefault(without_seed(name), []).append(time.monotonic() - began_s)
        results.append(result)
        write_tables(results, workdir=workdir)
    return results


def _probe_encoder(
    encoder: Frozen, directory: Path, *, probes: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """What `run` says of an encoder that is there; results are kept in a folder of the sweep."""
    found: dict[str, ProbeResult] = {}
    skipped: dict[str, list[str]] = {}
    try:
        run = as_run(encoder.path, out=directory / "run")
        parameters = size.measure(read_model(run))["parameters"]
    except (ValueError, OSError) as error:
        return {"status": f"failed: {error}"}
    for name, arguments in probes.items():
        how = {**arguments, "encoder": encoder.read}
        try:
            found[name] = probe_once(run, name, how, directory=directory / "probe" / name)
        except (ValueError, OSError) as error:
            skipped.setdefault(str(error), []).append(name)
            print(f"skipped: {directory.name} on {name}: {error}", flush=True)
    told = "; ".join(f"{', '.join(names)}: {reason}" for reason, names in skipped.items())
    return {
        "status": f"failed: {told}" if told else "finished",
        "probes": found,
        "cost": {"parameters": 0 if encoder.read == "mfcc" else parameters},
    }


def _train_and_score(
    setting: ConfigDict, run_dir: Path, *, splits: Sequence[str], probes: Mapping[str, Any]
) -> dict[str, Any]:
    """Train a setting and see how good it is: "status", and what `run` says of it."""
    try:
        outcome = train(setting, workdir=run_dir)
    except TrainingError as error:
        return {"status": f"failed: {error}"}
    if outcome.status == "interrupted":
        return {"status": "interrupted", "step": outcome.step}
    result: dict[str, Any] = {"status": "finished", "cost": size.measure(read_model(run_dir))}
    if cost := read_cost(run_dir):
        result["cost"]["trained_s"] = cost.trained_s
    if setting.data.target or not _predicts_labels(setting):
        result["probes"] = {
            name: probe_once(run_dir, name, arguments) for name, arguments in probes.items()
        }
    if not _predicts_labels(setting):
        return result
    there = read_meta(run_dir)["data"]["splits"]
    for split in splits:
        # A pretext task needs no test songs.
        if setting.data.target and not there.get(split):
            continue
        try:
            report = evaluate_once(run_dir, split=split)
        except NothingHidden:
            continue
        result["task"] = report.task
        result.setdefault("metrics", {})[split] = report.metrics
    return result


def _predicts_labels(setting: ConfigDict) -> bool:
    return objectives.traits(setting.objective.name).predicts_labels


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
