"""Chapter 7.1's figure: every front end with every back end, by one recipe, with what each costs.

mclf sweep --config ablations/parts:data=mtat,path=DIR --workdir runs/parts
mclf sweep --config ablations/parts:size=small --workdir runs/parts    # no data needed

All hear windows of five seconds. `fronts=log_mel+musicnn` and `backs=pooling+conformer` take some
of them, `seeds=3` repeats; `data` is "synthetic", "folder" or a published data set; `size=small`
are narrow ones that a CPU trains in minutes each.
"""

from collections.abc import Iterator
from typing import Any

from ml_collections import ConfigDict

from mclf_jax.config import base, parse_arg
from mclf_jax.data import published
from mclf_jax.sweep import Setting

# Narrow versions of all front ends and back ends.
_FRONTS: dict[str, dict[str, Any]] = {
    "waveform": {"n_channels": 16},
    "frames": {"num_filters": 32, "n_channels": 16},
    "waveform_se": {"n_channels": 16},
    "log_mel": {"n_channels": 16},
    "log_mel_res": {"n_channels": 8},
    "harmonic": {"n_channels": 8},
    "musicnn": {"n_channels": 8},
    "patches": {"n_channels": 16},
    "leaf": {"n_channels": 16},
}
_BACKS: dict[str, dict[str, Any]] = {
    "pooling": {"hidden_size": 64},
    "flatten": {"hidden_size": 64},
    "convolutions": {"n_channels": 32, "hidden_size": 64},
    "gru": {"hidden_size": 64},
    "attention": {"num_heads": 4},
    "transformer": {"num_heads": 4, "num_layers": 2},
    "conformer": {"num_heads": 4, "num_layers": 2, "kernel_size": 15},
}
_DATA = ("synthetic", *published.PUBLISHED, "folder")


def _parsed(arg: str | None) -> ConfigDict:
    known = {"layout": published.LAYOUTS, "songs": 400, "epochs": 0.0, "seeds": 1}
    ends = {"fronts": "+".join(_FRONTS), "backs": "+".join(_BACKS)}
    arg = parse_arg(arg, data=_DATA, path="", size=("published", "small"), **ends, **known)
    for end, small in (("fronts", _FRONTS), ("backs", _BACKS)):
        if unknown := set(arg[end].split("+")) - set(small):
            raise ValueError(
                f"config argument {end} has {', '.join(sorted(unknown))}; allowed: "
                f"{', '.join(small)}, with + between them"
            )
    return arg


def get_config(arg: str | None = None) -> ConfigDict:
    arg = _parsed(arg)
    config = base()
    if arg.data == "synthetic":
        config.data.name = "synthetic"
        config.data.args = ConfigDict({"task": "style", "num_songs": arg.songs, "song_s": 12.0})
    else:
        published.use(config, arg.data, path=arg.path, layout=arg.layout)
    config.model.name = "combined"
    front, back = arg.fronts.split("+")[0], arg.backs.split("+")[0]
    config.model.args = ConfigDict({"front": front, "back": back})
    config.model.args.width = 64 if arg.size == "small" else 256
    if arg.size == "small":
        small = {"front_args": _FRONTS[front], "back_args": _BACKS[back]}
        config.model.args.update(small)
    config.optim.update({"name": "adamw", "learning_rate": 1e-3, "schedule": "cosine"})
    config.optim.update({"weight_decay": 1e-2, "grad_clip_norm": 1.0, "warmup_steps": 20})
    epochs = arg.epochs or (15.0 if arg.data == "synthetic" else 50.0)
    config.train.update({"batch_size": 16, "num_epochs": epochs})
    config.eval.update({"every_epochs": epochs / 5, "metric": "loss", "num_windows": 8})
    return config


def sweep(arg: str | None = None) -> Iterator[Setting]:
    arg = _parsed(arg)
    for front in arg.fronts.split("+"):
        for back in arg.backs.split("+"):
            changes: dict[str, Any] = {"model.args.front": front, "model.args.back": back}
            if arg.size == "small":
                for end, small in (("front", _FRONTS[front]), ("back", _BACKS[back])):
                    changes |= {f"model.args.{end}_args.{k}": v for k, v in small.items()}
            for seed in range(arg.seeds):
                yield f"{front},{back},seed={seed}", {**changes, "seed": seed}
