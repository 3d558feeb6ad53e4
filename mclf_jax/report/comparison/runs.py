"""Run directories against each other: which are seeds of one method, and how they scored."""

import copy
import dataclasses
import json
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace as Namespace
from typing import Any

from ml_collections import ConfigDict

from mclf_jax import config as config_lib
from mclf_jax import metrics
from mclf_jax.common import checks
from mclf_jax.common.storage.working import on_storage
from mclf_jax.evaluation.evaluate import evaluate_once
from mclf_jax.evaluation.result import load_report
from mclf_jax.report.comparison.align import BY, check_common, check_tasks
from mclf_jax.report.comparison.compute import Comparison, compare_reports
from mclf_jax.report.comparison.write import write
from mclf_jax.report.run import hearing
from mclf_jax.run import experiment, history
from mclf_jax.run.directory import read_config, read_meta


@on_storage("runs")
def compare_runs(
    runs: Sequence[str | os.PathLike],
    *,
    split: str = "test",
    metric: str | None = None,
    by: str = "auto",
    seeds: str = "together",
    against: str | os.PathLike = "",
    ensemble: str = "no",
    path: str | os.PathLike = "",
    out: str | os.PathLike | None = None,
) -> Comparison:
    """Runs on the same songs, from their saved reports; what was not evaluated yet is.

    Runs whose configs differ in `seed` alone are one method, whose scores are means over its seeds.
    Of runs with other songs or labels than each other, those that all have are compared.

    Args:
        runs: run directories of one task, or folders of `mclf probe`, whose best probe counts.
        split: that all have.
        metric, by, ensemble: see `compare_reports`.
        seeds: "together", or "apart": every run is a method of its own.
        against: one of the runs, to which all others are compared; every pair when not given.
        path: where the data are now; where the runs say when not given.
        out: a folder for the page (index.html), compare.json and tables; none when not given.

    Raises:
        FileNotFoundError: not a run directory, or nothing was trained in it yet.
        ValueError: fewer than two runs, or they have next to nothing in common.
    """
    checks.choice("seeds", seeds, ("together", "apart"))
    # One run may be given by two paths.
    folders = list({Path(run).resolve(): Path(run) for run in runs}.values())
    if len(folders) < 2:
        raise ValueError(f"got {len(folders)} run(s) to compare; give two or more")
    probes = [run for run in folders if (run / "probe.json").is_file()]
    # Probes have a report and no config of their own: each is a method.
    configs = {run: config_lib.base() if run in probes else read_config(run) for run in folders}
    methods = _methods(configs, seeds=seeds)
    chosen = ""
    if against:
        place = Path(against).resolve()
        of = [name for name, of in methods.items() if place in {run.resolve() for run in of}]
        if not of:
            listed = ", ".join(map(str, folders))
            raise ValueError(
                f"against is {os.fspath(against)!r}; allowed: one of the runs, {listed}"
            )
        chosen = of[0]
    _check(folders, probes, split=split, metric=metric, by=by, ensemble=ensemble)
    reports = {
        name: [
            load_report(run / "report", split)
            if run in probes
            else evaluate_once(run, split=split, config=_with_path(configs[run], path))
            for run in members
        ]
        for name, members in methods.items()
    }
    found = compare_reports(reports, metric=metric, by=by, against=chosen, ensemble=ensemble)
    of_runs = {name: configs[of[0]] for name, of in methods.items() if of[0] not in probes}
    found = dataclasses.replace(found, settings=_settings(of_runs) if of_runs else [])
    if out is not None:
        curves = {
            name: [history.read(run / "metrics.jsonl") for run in members]
            for name, members in methods.items()
        }
        heard = {}
        if of_runs:
            config = next(iter(of_runs.values()))
            heard = _hearing(_with_path(config, path) or config)
        write(found, out, curves=curves, **heard)
    return found


def _check(
    runs: Sequence[Path],
    probes: Sequence[Path],
    *,
    split: str,
    metric: str | None,
    by: str,
    ensemble: str,
) -> None:
    """Raise the ValueErrors that need no scores, before hours of evaluation."""
    checks.choice("by", by, BY)
    checks.choice("ensemble", ensemble, ("no", "add"))
    tasks, labels = [], []
    for run in runs:
        known = load_report(run / "report", split) if run in probes else Namespace(**read_meta(run))
        tasks.append((run.resolve().name, known.task))
        labels.append(tuple(known.labels))
    task = check_tasks(tasks)
    common = [one for one in labels[0] if all(one in each for each in labels)]
    if metric is not None:
        checks.choice(f"metric of {task}", metric, metrics.names_of(task, common))
    check_common(len(common), task=task, first=runs[0].resolve().name)


def _methods(configs: dict[Path, ConfigDict], *, seeds: str) -> dict[str, list[Path]]:
    """{name: runs}: those of a method differ in their seed alone."""
    alike: dict[str, list[Path]] = {}
    for number, (run, config) in enumerate(configs.items()):
        flat = {
            field: value
            for field, value in config_lib.flatten(config).items()
            if field != "seed" and not field.startswith("runtime.") and field != "data.args.path"
        }
        key = str(number) if seeds == "apart" else json.dumps(flat, sort_keys=True, default=str)
        alike.setdefault(key, []).append(run)
    methods: list[list[Path]] = []
    for members in alike.values():
        # Of one seed twice the weights may differ by anything, such as where they were converted.
        if len({configs[run].seed for run in members}) == len(members):
            methods.append(members)
        else:
            methods += [[run] for run in members]
    names = [_name(members) for members in methods]
    if len(set(names)) < len(names):
        names = [" + ".join(map(str, members)) for members in methods]
    return dict(zip(names, methods, strict=True))


def _name(members: Sequence[Path]) -> str:
    names = [run.resolve().name for run in members]
    if len(names) == 1:
        return names[0]
    common = os.path.commonprefix(names).rstrip("-_.0123456789 ")
    return f"{common.removesuffix('seed').rstrip('-_.') or names[0]} ({len(names)} seeds)"


def _with_path(config: ConfigDict, path: str | os.PathLike) -> ConfigDict | None:
    if not os.fspath(path):
        return None
    config = copy.deepcopy(config)
    with config.unlocked():
        config.data.args.path = os.fspath(path)
    return config


def _settings(configs: dict[str, ConfigDict]) -> list[dict[str, Any]]:
    """A row for each field in which methods differ."""
    first, *others = configs.values()
    fields = sorted({field for other in others for field in config_lib.differences(first, other)})
    flat = {name: config_lib.flatten(config) for name, config in configs.items()}
    return [
        {"field": field} | {name: str(values.get(field, "")) for name, values in flat.items()}
        for field in fields
        if field != "seed"
    ]


def _hearing(config: ConfigDict) -> dict[str, Any]:
    """How songs are heard and seen; nothing, and a warning, where the data cannot be opened."""
    try:
        return hearing(experiment.build(config))
    except (ValueError, OSError) as error:
        warnings.warn(
            f"the page has no sounds, as the data cannot be opened: {error}", stacklevel=3
        )
        return {}
