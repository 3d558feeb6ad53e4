"""What a model card says of a run, as plain values; `templates/card.md` puts it into words."""

import sys
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from mclf_jax import data, models, objectives
from mclf_jax.audio import features
from mclf_jax.evaluation.result import Report, load_report, saved_splits
from mclf_jax.metrics import HEADLINES, NAMES
from mclf_jax.metrics.calibration import expected_error, reliability
from mclf_jax.report.card import stated, weak
from mclf_jax.run import restore
from mclf_jax.run.cost import Cost, read_cost
from mclf_jax.run.directory import read_config, read_meta

# The most important first; the others follow by name.
_SPLITS = ("test", "valid")


def card_facts(run: str | Path) -> dict[str, Any]:
    """All that a card says of a run directory.

    Returns:
        "name"; "meta", of `read_meta`; "network", what it hears and how songs are cut; "method" and
        "learnt", of its objective; "data", what is known of the data set; "splits", a dict for each
        evaluated split with its "report"; "outdated", splits whose report is of other weights than
        the run's best; "cost", of training, or None; "stated", of `card.toml`,
        and "missing", its fields that are empty.

    Raises:
        FileNotFoundError: not a run directory.
        ValueError: a file of it is damaged.
    """
    run = Path(run)
    config, meta, said = read_config(run), read_meta(run), stated.read(run)
    found = saved_splits(run / "report")
    order = [*(s for s in _SPLITS if s in found), *(s for s in found if s not in _SPLITS)]
    reports = [load_report(run / "report", split) for split in order]
    step = _best_step(run)
    current = [each for each in reports if step is None or each.meta.get("step", step) == step]
    traits = objectives.traits(config.objective.name)
    return {
        "name": run.resolve().name,
        "meta": meta,
        "network": _network(config, meta),
        "method": objectives.method_of(config),
        "learnt": "labels" if traits.predicts_labels else "none",
        "data": _data(meta),
        "splits": [_split(report) for report in current],
        "outdated": [report.split for report in reports if report not in current],
        "cost": read_cost(run),
        "energy": _energy(read_cost(run)),
        "stated": said,
        "asked": stated.FIELDS,
        "missing": [name for name, value in said.items() if not value],
    }


def _best_step(run: Path) -> int | None:
    try:
        return restore.best_step(run / "checkpoints")
    except FileNotFoundError:
        return None


def _network(config: ConfigDict, meta: dict[str, Any]) -> dict[str, Any]:
    settings = features.from_json(meta["features"])
    window_samples = meta["model"]["window_samples"]
    window_s = window_samples / settings.sample_rate_hz
    module = models.architecture(meta["model"]["name"]).module
    said = (sys.modules[module.__module__].__doc__ or "").strip()
    return {
        "name": meta["model"]["name"],
        # The first line of its file says whose it is.
        "paper": said.splitlines()[0] if said else "",
        "arguments": config.model.args.to_dict(),
        "sample_rate_hz": settings.sample_rate_hz,
        "features": meta["features"].get("kind", "waveform"),
        "window_samples": window_samples,
        "window_s": window_s,
        "num_windows": config.eval.num_windows,
        "hop_s": config.eval.hop_s,
        "short": config.data.short,
    }


def _data(meta: dict[str, Any]) -> dict[str, Any]:
    """What the run noted, and what is published about a data set of that name."""
    noted = {"version": "", "licence": "", "notes": [], "num_skipped": 0} | meta["data"]
    published = data.facts().get(noted["name"])
    return noted | {
        "title": published.title if published else noted["name"],
        "citation": published.citation if published else "",
        "url": published.url if published else "",
        "faults": list(published.faults) if published else [],
    }


def _split(report: Report) -> dict[str, Any]:
    named = (*HEADLINES[report.task], *NAMES[report.task])
    order = dict.fromkeys((*(n for n in named if n in report.metrics), *report.metrics))
    bins = []
    if report.task != "regression":
        bins = reliability(report.task, report.scores, report.targets)
    return {
        "report": report,
        "metrics": {name: report.metrics[name] for name in order},
        "weak": weak.labels(report),
        "weak_by": weak.METRICS[report.task],
        "rare": weak.rare(report),
        "groups": weak.groups(report),
        "branches": weak.branches(report),
        "confusions": weak.confusions(report),
        "bins": bins,
        "calibration_error": expected_error(bins),
    }


def _energy(cost: Cost | None) -> str:
    """In words; nothing is guessed where nothing was measured."""
    if cost is None or not cost.sessions:
        return ""
    kwh = [one.energy_j / 3.6e6 for one in cost.sessions if one.energy_j is not None]
    if not kwh:
        reasons = dict.fromkeys(one.energy_of for one in cost.sessions)
        return f"not measured ({'; '.join(reasons)})"
    of = "; ".join(dict.fromkeys(s.energy_of for s in cost.sessions if s.energy_j is not None))
    part = ""
    if len(kwh) < len(cost.sessions):
        part = f", in {len(kwh)} of {len(cost.sessions)} sessions; the others were not measured"
    return f"{sum(kwh):.3g} kWh, measured{part} ({of})"
