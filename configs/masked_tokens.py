"""MusicFM (Won et al. 2024), OMAR-RQ and MuQ (2025): tell the codes of what is masked.

mclf train --config masked_tokens:data=mtat,path=DIR --workdir runs/musicfm
mclf train --config masked_tokens:data=folder,path=DIR,method=omar_rq --workdir runs/omar_rq
mclf train --config rvq:data=folder,path=DIR --workdir runs/rvq
mclf train --config masked_tokens:data=folder,path=DIR,method=muq,teacher=runs/rvq \\
    --workdir runs/muq
mclf probe runs/musicfm

A Conformer of 12 layers on 30 s at 24 kHz, 25 tokens a second. Of blocks of .4 s, six in ten are
noise of deviation .1, and their codes are asked for. `method` is musicfm (one random projection of
four frames of 128 bands, 4,096 codes of 16 numbers), omar_rq (log-mel of 96 bands and 188 quarter
tones, two projections each, 8,196 codes; 24 layers), omar_rq_fsq (log-mel, rounded to 6 levels in
five directions) or muq (the codes of `teacher`, a run of `configs/rvq.py`). AdamW at 1e-4, L2 of
.01, batches of 160, 400,000 steps, 30,000 of them to warm up, as OMAR-RQ says of itself.

Published, frozen, MARBLE's probes: MusicFM (of the Million Song Dataset) GTZAN .838, key of
GiantSteps .639, MTAT PR-AUC .400; MuQ .855, .635, .403, and iterated .856, .650, .401. In its own
protocol OMAR-RQ has MTAT PR-AUC .482 and pitch of NSynth .892, with FSQ .463 and .940.

What differs here: one running mean and deviation for each representation, where theirs are of the
data set; OMAR-RQ has DeepNorm, no convolutions before its layers, and latents of EnCodec as a third
representation.
"""

from ml_collections import ConfigDict

from mclf_jax.config import base, parse_arg
from mclf_jax.data import published

_METHODS = {
    "musicfm": {},
    "omar_rq": {"representations": ("log_mel", "cqt"), "num_codebooks": 2, "num_codes": 8196},
    "omar_rq_fsq": {"tokenizer": "fsq", "representations": ("log_mel",)},
    "muq": {"tokenizer": "trained"},
}


def get_config(arg: str | None = None) -> ConfigDict:
    arg = parse_arg(
        arg,
        data=published.WITHOUT_LABELS,
        path="",
        method=tuple(_METHODS),
        teacher="",
        layout=published.LAYOUTS,
    )
    config = base()
    published.use_without_labels(config, arg.data, path=arg.path, layout=arg.layout)
    config.features.on = "device"
    config.model.name = "musicfm"
    if arg.method.startswith("omar_rq"):
        config.model.args = ConfigDict(
            {"num_layers": 24, "num_heads": 8, "kernel_size": 5, "dropout_rate": 0.2}
        )
    config.objective.name = "masked_tokens"
    config.objective.args = ConfigDict(_METHODS[arg.method])
    if arg.method == "muq":
        config.objective.args.teacher = arg.teacher
    config.optim.update({"name": "adamw", "schedule": "cosine", "weight_decay": 0.01})
    config.optim.update({"learning_rate": 1e-4, "warmup_steps": 30_000})
    config.train.update({"batch_size": 160, "num_steps": 400_000})
    config.eval.update({"every_steps": 10_000, "metric": "loss"})
    return config
