"""Frozen encoders over many tasks by one protocol, that of MARBLE, in one table.

mclf sweep --config 'ablations/benchmark:encoders=runs/a+runs/b+untrained@runs/b+mfcc@runs/b,tasks=gtzan@GTZAN+notes@NOTES' --workdir runs/benchmark

An encoder is a run directory of `mclf train` or `mclf convert` (which makes one of published
weights), or an exported `.mclf` file; untrained@RUN is its network before the first step, mfcc@RUN
statistics of MFCCs at its sample rate. Nothing is trained but probes: a learnt mix of all layers,
one hidden layer of 512, dropout .2, Adam 1e-3, stopped after 10 epochs that are no better on valid.

A task is NAME@DIR: one of MARBLE's (gtzan, giantsteps_key, emomusic, vocalset_singer,
vocalset_technique, mtat, nsynth_instrument, nsynth_pitch) in the splits of its data set, beside
which the table has what others published; or, under any other name, a folder of your own songs
(`readers.folder`), in its own splits or, with `folds=5`, cross-validated by group. NAME@DIR@COLUMN
takes another column of its manifest for the label. `seeds=3` repeats the probes.
"""  # noqa: E501

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from mclf_jax.config import base, parse_arg
from mclf_jax.sweep import Setting, frozen
from mclf_jax.sweep.benchmark.tasks import probes_of


def _parsed(arg: str | None) -> ConfigDict:
    return parse_arg(arg, encoders="", tasks="", folds=0, seeds=1, windows=0)


def get_config(arg: str | None = None) -> ConfigDict:
    """Nothing is trained, so that there is nothing to say."""
    _parsed(arg)
    config = base()
    config.data.name = "none"
    return config


def sweep(arg: str | None = None) -> Iterator[Setting]:
    for text in _split(_parsed(arg).encoders, "encoders", example="runs/a+untrained@runs/a"):
        read, at, path = text.partition("@")
        if not at or read not in ("untrained", "mfcc"):
            read, path = "trained", text
        name = Path(path).stem if path.endswith(".mclf") else Path(path).name
        names = {"trained": name, "untrained": f"{name}, untrained", "mfcc": "MFCC statistics"}
        yield names[read], {"encoder": frozen(path, read=read)}


def probes(arg: str | None = None) -> Iterator[tuple[str, dict[str, Any]]]:
    parsed = _parsed(arg)
    how = {"num_folds": parsed.folds, "num_seeds": parsed.seeds}
    how |= {"num_windows": parsed.windows or None}
    for text in _split(parsed.tasks, "tasks", example="gtzan@DIR+notes@DIR@pitch"):
        name, *place = text.split("@")
        if not name or len(place) not in (1, 2):
            raise ValueError(f"config argument tasks has {text!r}; it must be NAME@DIR")
        yield from probes_of(name, place[0], column=place[1] if len(place) > 1 else "", **how)


def _split(text: str, field: str, *, example: str) -> list[str]:
    words = [word for word in text.split("+") if word]
    if not words:
        raise ValueError(f"config argument {field} is empty; name some, such as {field}={example}")
    return words
