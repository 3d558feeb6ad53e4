"""Ablation: what do methods without labels learn from the same songs in the same number of steps?

mclf sweep --config ablations/pretraining:path=DIR --workdir runs/pretraining
mclf sweep --config ablations/pretraining:path=DIR,probe=OTHER,songs=unlabelled \\
    --workdir runs/pretraining

DIR is a folder of songs, as in `configs/folder.py`. Every run is probed on five folds of the
labelled songs of DIR, and of OTHER if given: a linear and a nearest neighbour probe, beside the
same network before its first step and statistics of MFCCs. `songs=unlabelled` pretrains on songs
without a label only, so that none that is probed has been heard. `methods` is some of those of
`configs/small_pretraining.py`, such as simclr+byol.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from mclf_jax.config import flatten, format_arg, load_module, parse_arg
from mclf_jax.sweep import Setting

_PRETRAINING = load_module(str(Path(__file__).parents[1] / "small_pretraining.py"))


def _parsed(arg: str | None) -> ConfigDict:
    methods = "+".join(_PRETRAINING.METHODS)
    return parse_arg(
        arg, path="", probe="", songs=("all", "unlabelled"), methods=methods, steps=300, seeds=3
    )


def get_config(arg: str | None = None) -> ConfigDict:
    return _configured("simclr", _parsed(arg))


def sweep(arg: str | None = None) -> Iterator[Setting]:
    arg = _parsed(arg)
    first = flatten(_configured("simclr", arg))
    for method in arg.methods.split("+"):
        config = flatten(_configured(method, arg))
        changes = {name: value for name, value in config.items() if first.get(name) != value}
        # What a network or an objective is given counts from scratch where that is another one.
        others = [part for part in ("model", "objective") if f"{part}.name" in changes]
        given = tuple(f"{part}.args." for part in others)
        changes |= {name: value for name, value in config.items() if name.startswith(given)}
        for seed in range(arg.seeds):
            yield f"{method},seed={seed}", {**changes, "seed": seed}


def probes(arg: str | None = None) -> Iterator[tuple[str, dict[str, Any]]]:
    arg = _parsed(arg)
    common = {"kinds": ("linear", "knn"), "seeds": (0, 1, 2), "num_folds": 5}
    common["baselines"] = ("untrained", "mfcc")
    yield "own", common
    if arg.probe:
        yield "other", common | {"source": "folder", "arguments": {"path": arg.probe}}


def _configured(method: str, arg: ConfigDict) -> ConfigDict:
    return _PRETRAINING.get_config(
        format_arg(method=method, path=arg.path, songs=arg.songs, steps=arg.steps)
    )
