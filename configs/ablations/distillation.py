"""Ablation: what does a small network learn from a large one, beside what it learns alone?

mclf sweep --config ablations/distillation:path=DIR --workdir runs/distillation
python benchmarks/predict_speed.py runs/distillation/large,seed=0 runs/distillation/small,seed=0

DIR is a folder of songs, as in `configs/folder.py`. The large network is that of
`configs/folder.py`, the small one has a third of its channels (`small_channels`) and is trained
twice: with the labels, and with the labels and what the large one says of all training songs,
those without a label too (Hinton et al. 2015). A seed stands for a fold of the data by group (the
first three of five) and for the initial networks.
"""

from collections.abc import Iterator
from pathlib import Path

from ml_collections import ConfigDict

from mclf_jax.config import format_arg, load_module, parse_arg
from mclf_jax.sweep import Setting, run_of

_SEMI_SUPERVISED = load_module(str(Path(__file__).parents[1] / "semi_supervised.py"))


def _parsed(arg: str | None) -> ConfigDict:
    return parse_arg(arg, path="", small_channels=8, temperature=2.0, steps=600, seeds=3)


def get_config(arg: str | None = None) -> ConfigDict:
    config = _configured("supervised", _parsed(arg))
    config.data.num_folds = 5
    return config


def sweep(arg: str | None = None) -> Iterator[Setting]:
    arg = _parsed(arg)
    student = _configured("noisy_student", arg)
    small = {"model.args.n_channels": arg.small_channels}
    taught = {f"unlabelled.{name}": student.unlabelled[name] for name in ("splits", "ratio")}
    taught |= {"objective.name": "noisy_student"}
    taught |= {f"objective.args.{k}": v for k, v in student.objective.args.items()}
    taught["objective.args.temperature"] = arg.temperature
    for seed in range(arg.seeds):
        same = {"seed": seed, "data.fold": seed % 5}
        large = f"large,seed={seed}"
        yield large, same
        yield f"small,seed={seed}", small | same
        taught["objective.args.teacher"] = run_of(large)
        yield f"small distilled,seed={seed}", small | taught | same


def _configured(method: str, arg: ConfigDict) -> ConfigDict:
    return _SEMI_SUPERVISED.get_config(format_arg(method=method, path=arg.path, steps=arg.steps))
