"""The page of a run without labels: its objective's curves, and whether it has collapsed."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mclf_jax import objectives
from mclf_jax.figures.training import metric_curves
from mclf_jax.objectives.diagnostics import collapse_message
from mclf_jax.report import page
from mclf_jax.run import history

# What every run logs and says nothing about embeddings, beside `history.is_of_the_loop`.
_OF_ALL = ("step", "learning_rate", "grad_norm")


def write_pretraining_page(run: Path, *, meta: Mapping[str, Any], objective: str) -> Path:
    """Write `report/index.html` of a self-supervised run and return its path.

    Args:
        run: the run directory; its `metrics.jsonl` and `config.json` are read.
        meta: of the run, as in `meta.json`.
        objective: its name.

    Raises:
        ValueError: the run has no history yet.
    """
    records = history.read(run / "metrics.jsonl")
    train, valid = records.get("train", {}), records.get("valid", {})
    names = sorted(
        (name for name in train if name not in _OF_ALL and not history.is_of_the_loop(name)),
        key=lambda name: (name != "loss", name),
    )
    data = meta["data"]
    if not names and data["name"] == "none":
        raise ValueError(
            f"{run} was made from weights by `mclf convert` and has no training history; see what "
            "its embeddings are good for with `mclf probe`"
        )
    if not names:
        raise ValueError(f"{run} has no training history yet: start its `mclf train` command again")
    finite = {name: list(filter(math.isfinite, train[name])) for name in names}
    last = {name: values[-1] for name, values in finite.items() if values}
    advice = objectives.traits(objective).against_collapse
    return page.write(
        run / "report" / "index.html",
        "pretraining",
        run_name=run.resolve().name,
        objective=objective,
        data=data["name"],
        message=collapse_message(last, advice=advice),
        step=train["step"][-1],
        last=last,
        facts={"data set": data["name"], "splits": data["splits"]}
        | {"network": meta["model"]["name"]}
        | page.spending(train),
        curves=metric_curves(train, valid, names=names),
        settings=page.settings(run),
        model_card=page.CARD if (run / "report" / page.CARD).exists() else "",
    )
