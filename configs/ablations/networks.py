"""Chapter 7's comparison: every network on one data set, by one recipe, with what each costs.

mclf sweep --config ablations/networks:data=mtat,path=DIR --workdir runs/networks
mclf sweep --config ablations/networks:size=small --workdir runs/networks    # no data needed

Each network has the input that it was published with. The table has parameters, operations for a
minute of music and the time of training beside the scores, and `cost.png` shows them. One recipe
for all (AdamW, cosine) is fair and nobody's best; `won2020` has the published one.

`data` is "synthetic", "folder" or a published data set; `size=small` are narrow networks that a
CPU trains in minutes each; `networks=musicnn+fcn` takes some of them, `seeds=3` repeats.
"""

from collections.abc import Collection, Iterator
from typing import Any

from ml_collections import ConfigDict

from mclf_jax.config import base, parse_arg
from mclf_jax.data import published
from mclf_jax.sweep import Setting

# Narrow versions; what is not here keeps its published sizes, and all keep their input.
_SMALL: dict[str, dict[str, Any]] = {
    "fcn": {"n_channels": 16},
    "vgg_ish": {"n_channels": 16},
    "musicnn": {"n_channels": 4, "backend_channels": 16, "dense_units": 64},
    "crnn": {"n_channels": 16},
    "sample_cnn": {"n_channels": 16},
    "sample_cnn_se": {"n_channels": 16},
    "cnnsa": {"n_channels": 16, "num_heads": 4},
    "harmonic_cnn": {"n_channels": 16},
    "short_chunk_cnn": {"n_channels": 16},
    "short_chunk_resnet": {"n_channels": 8},
    "music_tagging_transformer": {
        "conv_channels": 16,
        "attention_dim": 32,
        "num_heads": 4,
        "num_layers": 2,
    },
    "tutorial_cnn": {},
    "clmr_sample_cnn": {"n_channels": 16},
    "cpc": {"n_channels": 64, "context_dim": 64},
    "wav2vec": {"n_channels": 64},
    "pase": {"n_channels": 16, "embedding_dim": 64},
    "vit": {"attention_dim": 128, "head_dim": 32, "num_layers": 4},
    "musicfm": {
        "conv_channels": 16,
        "attention_dim": 64,
        "num_heads": 4,
        "num_layers": 2,
        "kernel_size": 15,
    },
    "mobilenet": {"hidden_size": 256},
}
_DATA = ("synthetic", *published.PUBLISHED, "folder")


def parsed(arg: str | None, **choices: Collection[str]) -> ConfigDict:
    """The argument of a comparison, such as this one: some of each `choices`, joined by +."""
    known = {"layout": published.LAYOUTS, "songs": 400, "epochs": 0.0, "seeds": 1}
    some = {name: "+".join(allowed) for name, allowed in choices.items()}
    arg = parse_arg(arg, data=_DATA, path="", size=("published", "small"), **some, **known)
    for name, allowed in choices.items():
        if unknown := set(arg[name].split("+")) - set(allowed):
            raise ValueError(
                f"config argument {name} has {', '.join(sorted(unknown))}; allowed: "
                f"{', '.join(allowed)}, with + between them"
            )
    return arg


def recipe(arg: ConfigDict) -> ConfigDict:
    """The data and the training of a comparison, without its network."""
    config = base()
    if arg.data == "synthetic":
        config.data.name = "synthetic"
        config.data.args = ConfigDict({"task": "style", "num_songs": arg.songs, "song_s": 12.0})
    else:
        published.use(config, arg.data, path=arg.path, layout=arg.layout)
    config.optim.update({"name": "adamw", "learning_rate": 1e-3, "schedule": "cosine"})
    config.optim.update({"weight_decay": 1e-2, "grad_clip_norm": 1.0, "warmup_steps": 20})
    epochs = arg.epochs or (15.0 if arg.data == "synthetic" else 50.0)
    config.train.update({"batch_size": 16, "num_epochs": epochs})
    config.eval.update({"every_epochs": epochs / 5, "metric": "loss", "num_windows": 8})
    return config


def get_config(arg: str | None = None) -> ConfigDict:
    arg = parsed(arg, networks=_SMALL)
    config = recipe(arg)
    first = arg.networks.split("+")[0]
    config.model.name = first
    config.model.args = ConfigDict(_SMALL[first] if arg.size == "small" else {})
    return config


def sweep(arg: str | None = None) -> Iterator[Setting]:
    arg = parsed(arg, networks=_SMALL)
    for network in arg.networks.split("+"):
        sizes = _SMALL[network] if arg.size == "small" else {}
        changes = {f"model.args.{name}": value for name, value in sizes.items()}
        for seed in range(arg.seeds):
            yield f"{network},seed={seed}", {"model.name": network, **changes, "seed": seed}
