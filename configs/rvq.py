"""Mel-RVQ (Zhu et al. 2025): a tokenizer that is trained before the network that tells its codes.

mclf train --config rvq:data=folder,path=DIR --workdir runs/rvq
mclf train --config masked_tokens:data=folder,path=DIR,method=muq,teacher=runs/rvq \\
    --workdir runs/muq
mclf train --config rvq:data=folder,path=DIR,run=runs/muq,layer=6 --workdir runs/rvq_2
mclf train --config masked_tokens:data=folder,path=DIR,method=muq,teacher=runs/rvq_2 \\
    --workdir runs/muq_2

Eight books of 1,024 codes, 16 numbers wide, for 25 steps a second of four frames with 128 bands at
24 kHz. `run` is that of a `musicfm`, as `masked_tokens` trains it, and `layer` one of its
layers: its steps are quantized in place of frames, and its weights, which stay as they are, travel
in the new run. Windows of 10 s, batches of 32, AdamW at 1e-4, 100,000 steps: their code does not
say, choose for your songs. Codes that are nearest to nothing for 1,000 steps start anew.
"""

from pathlib import Path

from ml_collections import ConfigDict

from mclf_jax.config import base, parse_arg
from mclf_jax.data import published
from mclf_jax.run.directory import read_config


def get_config(arg: str | None = None) -> ConfigDict:
    arg = parse_arg(
        arg,
        data=published.WITHOUT_LABELS,
        path="",
        run="",
        layer=6,
        layout=published.LAYOUTS,
    )
    config = base()
    published.use_without_labels(config, arg.data, path=arg.path, layout=arg.layout)
    config.features.on = "device"
    config.model.name = "rvq"
    config.objective.name = "rvq"
    if arg.run:
        use_hidden_layer(config, arg.run, layer=arg.layer)
    config.optim.update({"name": "adamw", "schedule": "cosine", "weight_decay": 0.0})
    config.optim.update({"learning_rate": 1e-4, "warmup_steps": 1000})
    config.train.update({"batch_size": 32, "num_steps": 100_000})
    config.eval.update({"every_steps": 5_000, "metric": "loss"})
    return config


def use_hidden_layer(config: ConfigDict, run: str, *, layer: int) -> None:
    """Quantize a layer of the network of a run, and hear what it hears."""
    earlier = read_config(Path(run))
    config.features = earlier.features
    config.model.args.encoder = earlier.model.args.to_dict() | {"num_layers": layer}
    config.objective.args = ConfigDict({"teacher": run})
    config.init.freeze = ("encoder",)
