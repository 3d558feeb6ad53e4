"""M2D (Niizumi et al. 2023), MATPAC (Quelennec et al. 2025) and MATPAC++: predict masked patches.

mclf train --config m2d:data=mtat,path=DIR --workdir runs/m2d
mclf train --config m2d:data=folder,path=DIR,method=matpac --workdir runs/matpac
mclf train --config m2d:data=folder,path=DIR,method=matpac_plus_plus --workdir runs/matpac_plus_plus
mclf probe runs/m2d

ViT-B on 6.08 s at 16 kHz, 80 mel bands: 190 patches of 16 x 16, of which 57 are heard. The teacher
hears the other 133 alone and follows with momentum .99995, rising to .99999. Predictor of 8 layers
and 512; batches of 2,048, AdamW at 2.4e-3 (3e-4 for 256) in M2D and 3e-4 in MATPAC, L2 of .05,
294,816 steps, 19,654 of them to warm up: 300 and 20 epochs of AudioSet. The embedding is the mean
over time of each of the five rows of patches, 3,840 numbers.

Published, AudioSet, linear probe: M2D GTZAN .843, MTAT PR-AUC .406, OpenMIC .848; MATPAC MTAT .411;
MATPAC++ GTZAN .876, MTAT .408, OpenMIC .856.

With fewer songs, fewer steps: --config.train.num_steps=30000 --config.optim.warmup_steps=2000, and
a teacher that follows sooner, --config.objective.args.momentum='(.9995,.9999)'.

What differs here: statistics of the input are the batch's and not the data set's, no class token;
in MATPAC the centre is of the teacher's scores, as in DINO, and prototypes keep their length.
"""

from ml_collections import ConfigDict

from mclf_jax.config import base, parse_arg
from mclf_jax.data import published

_METHODS = {
    "m2d": {},
    "matpac": {"classes": "prototypes", "targets": "plain"},
    "matpac_plus_plus": {"classes": "prototypes", "targets": "plain", "hypotheses": "several"},
}


def get_config(arg: str | None = None) -> ConfigDict:
    arg = parse_arg(
        arg,
        data=published.WITHOUT_LABELS,
        path="",
        method=tuple(_METHODS),
        layout=published.LAYOUTS,
    )
    config = base()
    published.use_without_labels(config, arg.data, path=arg.path, layout=arg.layout)
    config.features.update({"on": "device", "n_fft": 400, "hop_length": 160, "n_mels": 80})
    config.features.update({"f_min_hz": 50.0, "mel_scale": "slaney", "mel_norm": "slaney"})
    config.features.update({"compression": "log", "amin": 1.1920929e-07})
    config.model.name = "vit"
    config.model.args = ConfigDict({"attention_dim": 768, "pooling": "bands"})
    config.model.window_s = 6.08
    config.objective.name = "m2d"
    config.objective.args = ConfigDict(_METHODS[arg.method])
    config.optim.update({"name": "adamw", "schedule": "cosine", "weight_decay": 0.05})
    config.optim.args = ConfigDict({"b2": 0.95})
    config.optim.update({"grad_clip_norm": 3.0, "warmup_steps": 19_654})
    config.optim.learning_rate = 2.4e-3 if arg.method == "m2d" else 3e-4
    config.train.update({"batch_size": 2048, "num_steps": 294_816})
    # A loss against what moves, too, does not say which weights are the better ones.
    config.eval.update({"every_steps": 9_827, "metric": "last"})
    return config
