"""What stands beside a network that trains: MFCC statistics with an SVM as a baseline in its log,
and support vectors as a second opinion in its variables."""

import dataclasses
from pathlib import Path

import jax
import numpy as np
from jax.sharding import Mesh

from mclf_jax.metrics import HEADLINES
from mclf_jax.run import history
from mclf_jax.run.logbook import Logbook
from mclf_jax.shallow.baseline import NAME, fit_baseline, is_wanted
from mclf_jax.shallow.opinion import fit_opinion, has_opinion, install
from mclf_jax.train.setup import Training
from mclf_jax.train.start import Start


def baseline_values(
    run: Training, start: Start, *, workdir: Path, logbook: Logbook
) -> dict[str, float]:
    """{headline: value} on valid of what the network must be ahead of, which the log has too; {}
    where none is wanted, and on other processes than the first."""
    if jax.process_index() or not is_wanted(run.parts, run.objective):
        return {}
    try:
        found = fit_baseline(run.parts, run=workdir, progress=run.parts.config.runtime.progress)
    except ValueError as error:  # of songs that the network can do without
        logbook.say(f"no baseline beside the network: {error}")
        return {}
    report = found["valid"]
    values = {name: report.metrics[name] for name in HEADLINES[report.task][:1]}
    if not start.step:
        logbook.write("baseline", 0, report.metrics)
    for name, value in values.items():
        logbook.say(
            f"{NAME}, fitted on {report.meta['train_songs']} songs in "
            f"{report.meta['seconds']} s: valid {name} {value:.4f}"
        )
    return values


def with_opinion(run: Training, start: Start, *, mesh: Mesh, logbook: Logbook) -> Start:
    """A start whose network has its second opinion, if it has room for one."""
    if start.step or not has_opinion(run.parts, run.objective):
        return start
    fitted = fit_opinion(run.parts, start.state.variables(), mesh=mesh)
    used = int(np.abs(fitted["weights"]).any(axis=1).sum())
    logbook.say(f"second opinion: support vectors of {used} windows, averaged with the network")
    state = install(start.state, fitted, shardings=start.shardings)
    return dataclasses.replace(start, state=state)


def than(values: dict[str, float], baseline: dict[str, float]) -> str:
    """The headline of the network beside that of the baseline, for the end of a line."""
    both = [(name, values[name], baseline[name]) for name in baseline if name in values]
    return "".join(f"; {name} {own:.4f} ({NAME} {other:.4f})" for name, own, other in both)


def at_the_end(best_step: int | None, baseline: dict[str, float], *, workdir: Path) -> str:
    """How the best checkpoint stands to the baseline."""
    valid = history.read(workdir / "metrics.jsonl").get("valid", {})
    (name, other), lines = next(iter(baseline.items())), []
    if best_step in valid.get("step", ()) and name in valid:
        own = valid[name][valid["step"].index(best_step)]
        lines.append(f"valid {name} of step {best_step}: {own:.4f}, {NAME} {other:.4f}")
    return "".join(lines) or f"{NAME}: valid {name} {other:.4f}"
