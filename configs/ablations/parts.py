"""Chapter 7.1's figure: every front end with every back end, by one recipe, with what each costs.

mclf sweep --config ablations/parts:data=mtat,path=DIR --workdir runs/parts
mclf sweep --config ablations/parts:size=small --workdir runs/parts    # no data needed

All hear windows of five seconds. `fronts=log_mel+musicnn` and `backs=pooling+conformer` take some
of them, `seeds=3` repeats; `data` is "synthetic", "folder" or a published data set; `size=small`
are narrow ones that a CPU trains in minutes each.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from mclf_jax.config import load_module
from mclf_jax.sweep import Setting

# The comparison of networks, whose data and training it takes.
_NETWORKS = load_module(str(Path(__file__).with_name("networks.py")))

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


def get_config(arg: str | None = None) -> ConfigDict:
    arg = _NETWORKS.parsed(arg, fronts=_FRONTS, backs=_BACKS)
    config = _NETWORKS.recipe(arg)
    config.model.name = "combined"
    front, back = arg.fronts.split("+")[0], arg.backs.split("+")[0]
    config.model.args = ConfigDict({"front": front, "back": back})
    config.model.args.width = 64 if arg.size == "small" else 256
    if arg.size == "small":
        small = {"front_args": _FRONTS[front], "back_args": _BACKS[back]}
        config.model.args.update(small)
    return config


def sweep(arg: str | None = None) -> Iterator[Setting]:
    arg = _NETWORKS.parsed(arg, fronts=_FRONTS, backs=_BACKS)
    for front in arg.fronts.split("+"):
        for back in arg.backs.split("+"):
            changes: dict[str, Any] = {"model.args.front": front, "model.args.back": back}
            if arg.size == "small":
                for end, small in (("front", _FRONTS[front]), ("back", _BACKS[back])):
                    changes |= {f"model.args.{end}_args.{k}": v for k, v in small.items()}
            for seed in range(arg.seeds):
                yield f"{front},{back},seed={seed}", {**changes, "seed": seed}
