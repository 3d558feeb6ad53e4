"""Ablations: every setting that a config's `sweep()` yields, trained, evaluated, tabulated."""

import csv
import io
import itertools
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from mclf_jax import config as config_lib
from mclf_jax import metrics, rundir

Setting = tuple[str, dict[str, Any]]


def grid(fields: Mapping[str, Sequence[Any]]) -> Iterator[Setting]:
    """Every combination of values, named after what it sets; for use in a config's `sweep`.

    `grid({"features.n_mels": (48, 96), "seed": (0, 1)})` yields four settings, the first
    ("n_mels=48,seed=0", {"features.n_mels": 48, "seed": 0}).
    """
    for values in itertools.product(*fields.values()):
        changes = dict(zip(fields, values, strict=True))
        name = ",".join(f"{field.rpartition('.')[2]}={value}" for field, value in changes.items())
        yield name, changes


def settings_of(config_path: str) -> list[Setting]:
    """What the `sweep()` of a config file yields.

    Raises:
        ValueError: no such function, or two settings of one name.
    """
    path = config_path.partition(":")[0]
    module = config_lib.load_module(path)
    if not hasattr(module, "sweep"):
        raise ValueError(f"{path} defines no sweep(), which yields (name, overrides)")
    settings = [(str(name), dict(changes)) for name, changes in module.sweep()]
    names = [name for name, _ in settings]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"sweep() of {path} yields these names more than once: {', '.join(twice)}")
    return settings


def commands(
    config_path: str, *, workdir: str | Path, overrides: Sequence[str] = ()
) -> Iterator[str]:
    """One shell command a setting, for a cluster's queue."""
    for name, changes in settings_of(config_path):
        run = Path(workdir) / name
        flags = [*overrides, *(f"--config.{field}={value}" for field, value in changes.items())]
        train = ["mclf", "train", "--config", config_path, "--workdir", str(run), *flags]
        yield f"{shlex.join(train)} && {shlex.join(['mclf', 'evaluate', str(run)])}"


def run(config: ConfigDict, settings: Sequence[Setting], *, workdir: str | Path) -> list[dict]:
    """Train and evaluate every setting in its own run directory, and write the table.

    What is finished is skipped and what was killed goes on. A setting whose training breaks
    down is noted in the table and does not stop the others.

    Returns:
        One dict a setting: "name", "changes", "status" and, if it finished, "metrics".

    Raises:
        ValueError: a setting that cannot be, or that learns no labels; before anything is trained.
    """
    # jax and friends are only needed to train; the dry run starts at once without them.
    from mclf_jax.evaluation import evaluated
    from mclf_jax.objectives import SELF_SUPERVISED
    from mclf_jax.train import TrainingError, train

    changed = [(name, changes, config_lib.override(config, changes)) for name, changes in settings]
    for name, _, setting in changed:
        if setting.objective.name in SELF_SUPERVISED:
            raise ValueError(
                f"{name}: objective.name is {setting.objective.name!r}, which learns no labels, so "
                "a table would have no scores: `mclf train` each setting, then `mclf probe` it"
            )
    workdir = Path(workdir)
    workdir.mkdir(parents=True, exist_ok=True)
    results: list[dict] = []
    for number, (name, changes, setting) in enumerate(changed, start=1):
        print(f"[{number}/{len(changed)}] {name}", flush=True)
        run_dir = workdir / name
        result = {"name": name, "changes": changes, "status": "finished"}
        try:
            outcome = train(setting, workdir=run_dir)
            if outcome.status == "interrupted":
                print(f"stopped at step {outcome.step}; the same command goes on from there")
                return results
            report = evaluated(run_dir, split="test")
            result |= {"metrics": report.metrics, "task": report.task}
        except TrainingError as error:
            print(f"{name}: {error}")
            result["status"] = f"failed: {error}"
        results.append(result)
        write_table(results, workdir=workdir)
    return results


def write_table(results: Sequence[dict], *, workdir: Path) -> str:
    """Write `sweep.md` and `sweep.csv`: mean and spread over the seeds of each setting.

    Settings that differ in `seed` alone are one row; the spread is the sample standard
    deviation. Returns the Markdown text.
    """
    rows: dict[tuple, list[dict]] = {}
    for result in results:
        key = tuple((k, repr(v)) for k, v in result["changes"].items() if k != "seed")
        rows.setdefault(key, []).append(result)
    task = next((r["task"] for r in results if "task" in r), None)
    columns = metrics.HEADLINES[task] if task else ()
    table = [["setting", "runs", *columns]]
    for key, members in rows.items():
        name = ", ".join(f"{field}={value}" for field, value in key) or "as configured"
        good = [member["metrics"] for member in members if "metrics" in member]
        broken = len(members) - len(good)
        runs = f"{len(good)} ({broken} failed)" if broken else str(len(good))
        table.append([name, runs, *(_mean_and_spread([m[c] for m in good]) for c in columns)])

    markdown = "".join(f"| {' | '.join(row)} |\n" for row in [table[0], ["---"] * len(table[0])])
    markdown += "".join(f"| {' | '.join(row)} |\n" for row in table[1:])
    rundir.write_text(workdir / "sweep.md", markdown)
    # The CSV has a line per run, for people's own statistics.
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    fields = list(dict.fromkeys(field for r in results for field in r["changes"]))
    names = list(dict.fromkeys(name for r in results for name in r.get("metrics", ())))
    writer.writerow(["name", "status", *fields, *names])
    for r in results:
        values = [r.get("metrics", {}).get(name, "") for name in names]
        writer.writerow(
            [r["name"], r["status"], *(r["changes"].get(f, "") for f in fields), *values]
        )
    rundir.write_text(workdir / "sweep.csv", buffer.getvalue())
    return markdown


def _mean_and_spread(values: Sequence[float]) -> str:
    if not values:
        return "-"
    if len(values) == 1:
        return f"{values[0]:.3f}"
    return f"{np.mean(values):.3f} ± {np.std(values, ddof=1):.3f}"
