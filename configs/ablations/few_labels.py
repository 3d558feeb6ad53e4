"""Ablation: what do songs without labels add to a few labelled ones? Methods, labels, seeds.

mclf sweep --config ablations/few_labels:path=DIR --workdir runs/few_labels
mclf sweep --config ablations/few_labels:data=synthetic,steps=300 \\
    --config.data.args.num_songs=4500 --config.eval.num_windows=2 --workdir runs/one_percent

DIR is a folder of songs and `window_s` a length, as in `configs/folder.py`. `songs` is how many
labelled songs of each label are used, 3 or several as 3+10; a seed stands for a choice of them,
for one of five folds of the data by group, and for the initial network. `methods` is some of
those of `configs/semi_supervised.py`, and "simclr", which pretrains on all training songs once a
seed, for `pretraining_steps`, and is fine-tuned, below the new head a tenth as fast. The noisy
student's teacher is the supervised run of the same seed; the second round's is the student.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from mclf_jax.config import flatten, format_arg, load_module, parse_arg
from mclf_jax.sweep import Setting, run_of

_CONFIGS = Path(__file__).parents[1]
_SEMI_SUPERVISED = load_module(str(_CONFIGS / "semi_supervised.py"))
_PRETRAINING = load_module(str(_CONFIGS / "small_pretraining.py"))
_METHODS = "supervised+mean_teacher+fixmatch+noisy_student+simclr"


def _parsed(arg: str | None) -> ConfigDict:
    return parse_arg(
        arg,
        data=_SEMI_SUPERVISED.DATA,
        path="",
        window_s=5.0,
        songs="3",
        methods=_METHODS,
        steps=400,
        pretraining_steps=1000,
        seeds=3,
        rounds=1,
    )


def get_config(arg: str | None = None) -> ConfigDict:
    arg = _parsed(arg)
    config = _configured("supervised", arg)
    config.data.num_folds = 5
    return config


def sweep(arg: str | None = None) -> Iterator[Setting]:
    arg = _parsed(arg)
    plain = _configured("supervised", arg)
    for number, songs in enumerate(map(int, arg.songs.split("+"))):
        for seed in range(arg.seeds):
            fold = {"seed": seed, "data.fold": seed % 5}
            same = fold | {"data.fraction_seed": seed, "data.songs_per_label": songs}
            end = f"songs={songs},seed={seed}"
            for method in arg.methods.split("+"):
                if method == "simclr":
                    pretraining = f"simclr pretraining,seed={seed}"
                    if number == 0:
                        yield pretraining, _changes(plain, _pretraining(arg)) | fold
                    tuned = {"init.path": run_of(pretraining)}
                    tuned["optim.rates"] = (("*", 0.1), ("{head}", 1.0))
                    yield f"simclr then fine-tuned,{end}", tuned | same
                    continue
                changes = _changes(plain, _configured(method, arg))
                if method != "noisy_student":
                    yield f"{method},{end}", changes | same
                    continue
                teacher = f"supervised,{end}"
                for round_ in range(1, arg.rounds + 1):
                    name = method if round_ == 1 else f"{method} round {round_}"
                    taught = changes | {"objective.args.teacher": run_of(teacher)}
                    teacher = f"{name},{end}"
                    yield teacher, taught | same


def _configured(method: str, arg: ConfigDict) -> ConfigDict:
    return _SEMI_SUPERVISED.get_config(format_arg(method=method, **_data(arg)))


def _pretraining(arg: ConfigDict) -> ConfigDict:
    changes = {"method": "simclr", "steps": arg.pretraining_steps}
    return _PRETRAINING.get_config(format_arg(**_data(arg) | changes))


def _data(arg: ConfigDict) -> dict[str, Any]:
    return {name: arg[name] for name in ("data", "path", "window_s", "steps")}


def _changes(plain: ConfigDict, other: ConfigDict) -> dict[str, Any]:
    """The fields in which a config differs from the one that the sweep starts from."""
    known, wanted = flatten(plain), flatten(other)
    return {
        field: value
        for field, value in wanted.items()
        if field not in known or known[field] != value
    }
