"""Distillation of embeddings (S-SONDO, 2026): a small network says what a large one would.

mclf embed runs/teacher DIR --out embeddings.npz
mclf train --config embedding_distillation:path=DIR,embeddings=embeddings.npz --workdir runs/student
mclf probe runs/student

DIR is a folder of songs, as in `configs/folder.py`. The teacher is any run, or any other network:
an .npz with "paths" [N] and "embeddings" [N, D] is all that is asked of it. The loss is 1 - cosine
of the last layer's output with the embedding of the whole song; songs are drawn so that `clusters`
groups of like embeddings come equally often. Songs of train and unlabelled are used, a tenth of
them to validate.

The student is a MobileNetV3, its width in proportion to `size`, the length of its own embedding:
1280 is "mn10" of 4.3 million parameters, 512 "mn04". Published: 2.9 million, 10 s at 32 kHz, 50
clusters, an MLP to 3,840 numbers, which is a dense layer here; 96.4 % of its teacher's score.
"""

from pathlib import Path

from ml_collections import ConfigDict

from mclf_jax.config import format_arg, load_module, parse_arg

_FOLDER = load_module(str(Path(__file__).with_name("folder.py")))


def get_config(arg: str | None = None) -> ConfigDict:
    arg = parse_arg(
        arg,
        data=_FOLDER.DATA,
        path="",
        embeddings="embeddings.npz",
        size=512,
        clusters=50,
        window_s=5.0,
        steps=1000,
    )
    config = _FOLDER.get_config(
        format_arg(
            data=arg.data,
            path=arg.path,
            window_s=arg.window_s,
            steps=arg.steps,
            init="none",
            beside="none",  # which learns from labels
        )
    )
    config.data.target = "embedding"
    config.data.target_args = ConfigDict({"path": arg.embeddings, "num_clusters": arg.clusters})
    config.data.sampling = "embedding_cluster"
    config.model.name = "mobilenet"
    config.model.args = ConfigDict({"hidden_size": arg.size, "dropout_rate": 0.0})
    config.features.win_length = config.features.n_fft
    config.augment.update({"gain_db": 0.0, "eq_std_db": 0.0})  # which are of decibels
    config.objective.label_smoothing = 0.0
    config.objective.distance = "cosine"
    config.optim.ema_decay = 0.0
    config.train.batch_size = 64
    return config
