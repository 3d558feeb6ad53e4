"""Self-supervised learning at a size for two CPU cores: any folder of songs, labelled or not.

mclf train --config small_pretraining:method=simclr,path=DIR --workdir runs/simclr
mclf probe runs/simclr
mclf train --config folder:path=DIR,init=none --config.init.path=runs/simclr --workdir runs/tuned
mclf train --config small_pretraining:method=rvq,path=DIR,steps=500 --workdir runs/rvq
mclf train --config small_pretraining:method=muq,path=DIR,teacher=runs/rvq --workdir runs/muq

`method` is simclr, moco, byol, relative_position, cola, cpc, wav2vec, vq_cpc, pase, myna, m2d,
matpac, matpac_plus_plus, best_rq, omar_rq, omar_rq_fsq or muq. The first five share the small
network of `configs/folder.py`, which can start from them, and its augmentation of spectrograms:
gain, equaliser, masks. The chain of CLMR is for a hundred times as many steps
(--config.augment.waveform=clmr --config.augment.on=device --config.features.on=device). The others
have small versions of their own networks, from myna on a patch transformer, from best_rq on a
Conformer. Windows are of 3 s, in CPC and VQ-CPC 2.7, in PASE 1, or of `window_s`, at most the
length of your clips. Songs of the splits train and unlabelled are used, of the latter alone with
`songs=unlabelled`. muq tells the codes of `teacher`, a run of rvq, which is of frames, or, with a
`teacher` of its own (best_rq or muq), of that one's second layer.
"""

from pathlib import Path

from ml_collections import ConfigDict

from mclf_jax.config import base, format_arg, load_module, parse_arg

_FOLDER = load_module(str(Path(__file__).with_name("folder.py")))
# (objective, its arguments) of the methods that compare views.
_VIEWS = {
    "simclr": ("simclr", {"temperature": 0.2, "projector": (128, 64)}),
    "moco": ("moco", {"temperature": 0.2, "dim": 64, "queue_size": 480, "momentum": 0.99}),
    "byol": ("byol", {"projector": (512, 128), "predictor": (512, 128), "momentum": 0.99}),
    "relative_position": ("relative_position", {"hidden_size": 128}),
    "cola": ("simclr", {"similarity": "bilinear", "projector": (128,), "temperature": 1.0}),
}
# The same of those that show a network some patches of a song.
_PATCHES = {
    "myna": ("simclr", {"kept_patches": 0.1, "temperature": 0.1, "projector": (128, 64)}),
    "m2d": ("m2d", {}),
    "matpac": ("m2d", {"classes": "prototypes", "targets": "plain"}),
    "matpac_plus_plus": (
        "m2d",
        {"classes": "prototypes", "targets": "plain", "hypotheses": "several"},
    ),
}
# Of those that tell codes; what tells them is the same network in all.
_TOKENS = {
    "best_rq": {"num_codebooks": 2, "num_codes": 512},
    "omar_rq": {"representations": ("log_mel", "cqt"), "num_codebooks": 2, "num_codes": 512},
    "omar_rq_fsq": {"tokenizer": "fsq", "representations": ("log_mel",), "levels": (4,) * 5},
}
METHODS = (*_VIEWS, "cpc", "wav2vec", "vq_cpc", "pase", *_PATCHES, *_TOKENS)
# A tokenizer, and what tells its codes: two runs, one after the other.
_IN_TWO = ("rvq", "muq")


def get_config(arg: str | None = None) -> ConfigDict:
    arg = parse_arg(
        arg,
        method=(*METHODS, *_IN_TWO),
        data=_FOLDER.DATA,
        path="",
        window_s=0.0,
        steps=1000,
        teacher="",
        songs=("all", "unlabelled"),
    )
    folder = _FOLDER.get_config(
        format_arg(
            data=arg.data,
            path=arg.path,
            window_s=arg.window_s or 3.0,
            steps=arg.steps,
            init="none",
            beside="none",  # which learns from labels
        )
    )
    if arg.method in _VIEWS:
        config = folder
        name, arguments = _VIEWS[arg.method]
        config.objective.update({"name": name, "args": ConfigDict(arguments)})
        config.model.args.dropout_rate = 0.0
    else:
        if arg.method in _PATCHES:
            config = _patches(arg.method, arg.steps)
        elif arg.method in (*_TOKENS, *_IN_TWO):
            config = _tokens(arg.method, arg.teacher)
        else:
            config = _predictive(arg.method)
        config.data = folder.data
        if arg.window_s:
            config.model.window_s = arg.window_s
    config.data.train_splits = ("train", "unlabelled") if arg.songs == "all" else ("unlabelled",)
    config.objective.label_smoothing = 0.0
    config.optim.update({"name": "adamw", "schedule": "cosine", "weight_decay": 1e-4})
    config.optim.update({"learning_rate": 1e-3, "warmup_steps": arg.steps // 20, "ema_decay": 0.0})
    if arg.method == "byol":
        # What keeps embeddings apart is a predictor that is nearly optimal all the time (Grill et
        # al. 2020); in so few steps, it must learn faster than what it follows.
        config.optim.learning_rate = 5e-4
        config.optim.head_rates = (("predictor", 10.0),)
    if arg.method in _PATCHES:
        config.optim.update({"weight_decay": 0.05, "grad_clip_norm": 3.0})
    config.train.update({"batch_size": 48, "num_steps": arg.steps})
    if arg.method in (*_TOKENS, "muq"):
        config.optim.weight_decay = 0.01
        config.train.batch_size = 16
    config.eval.update({"every_steps": max(1, arg.steps // 5), "batch_size": 32})
    return config


def _patches(method: str, steps: int) -> ConfigDict:
    config = base()
    config.model.name = "vit"
    config.model.window_s = 3.0
    name, arguments = _PATCHES[method]
    config.objective.name = name
    config.objective.args = ConfigDict(arguments)
    if method == "myna":  # 9 of 92 patches
        config.features.update({"n_fft": 1024, "hop_length": 256, "n_mels": 64})
        config.model.args = ConfigDict(
            {"patch": (8, 16), "attention_dim": 128, "head_dim": 32, "num_layers": 4}
        )
        return config
    # 16 of 55 patches.
    config.features.update({"n_fft": 1024, "hop_length": 256, "n_mels": 80})
    config.model.args = ConfigDict({"attention_dim": 192, "num_layers": 4, "pooling": "bands"})
    settings = {"predictor_dim": 128, "predictor_heads": 4, "predictor_layers": 2}
    # A teacher that follows in so few steps.
    settings["momentum"] = (0.99, 0.999)
    if "classes" in arguments:
        settings |= {"num_prototypes": 256, "prototype_widths": (256, 256, 64)}
        settings |= {"prototype_momentum": (0.99, 1.0), "teacher_warmup_steps": max(1, steps // 30)}
    if "hypotheses" in arguments:
        # From .1 to 1e-4 in three quarters of the run, as published.
        settings |= {"num_hypotheses": 3, "hypothesis_decay": 1e-3 ** (4 / (3 * steps))}
    config.objective.args.update(settings)
    return config


def _tokens(method: str, teacher: str) -> ConfigDict:
    config = base()
    config.features.update({"on": "device", "sample_rate_hz": 16000, "n_fft": 1024})
    config.features.update({"hop_length": 160, "n_mels": 80})  # 25 tokens a second
    config.model.window_s = 3.0
    encoder = {"conv_channels": 16, "attention_dim": 144, "num_heads": 4, "num_layers": 4}
    if method == "rvq":
        config.model.name, config.objective.name = "rvq", "rvq"
        config.model.args = ConfigDict({"num_stages": 4, "num_codes": 256, "stale_after": 100})
        if teacher:
            config.model.args.encoder = encoder | {"num_layers": 2}
            config.objective.args = ConfigDict({"teacher": teacher})
            config.init.freeze = ("encoder",)
        return config
    config.model.name, config.objective.name = "musicfm", "masked_tokens"
    config.model.args = ConfigDict(encoder)
    if method == "muq":
        config.objective.args = ConfigDict({"tokenizer": "trained", "teacher": teacher})
    else:
        config.objective.args = ConfigDict(_TOKENS[method])
    return config


def _predictive(method: str) -> ConfigDict:
    config = base()
    if method == "pase":
        config.features.on = "device"
        config.model.name = "pase"
        config.model.args = ConfigDict({"n_channels": 16, "embedding_dim": 64})
        config.model.window_s = 1.0
        config.objective.name = "pase"
        config.objective.args = ConfigDict(
            {"hidden_size": 64, "decoder_channels": (64, 32, 16), "num_views": 2}
        )
        return config
    config.objective.name = "cpc"
    if method == "wav2vec":
        config.model.name = "wav2vec"
        config.model.args = ConfigDict({"n_channels": 64, "context_kernel_sizes": (3,) * 5})
        config.model.window_s = 3.0
        arguments = {"num_steps_ahead": 12, "num_negatives": 10, "negatives": "same_clip"}
        arguments |= {"subsample": 0, "criterion": "nce", "predictor": "affine"}
    else:
        config.model.name = "cpc"
        config.model.args = ConfigDict({"n_channels": 32, "context_dim": 64, "norm": "batch"})
        arguments = {"num_steps_ahead": 12}
        if method == "vq_cpc":
            config.model.args.update({"num_codes": 64, "code_dim": 32})
            config.model.args.update({"code_decay": 0.9, "restart_codes_below": 0.1})
            arguments |= {"negatives": "same_clip", "subsample": 0, "score": "scaled_dot"}
            arguments |= {"predictor": "affine", "num_steps_ahead": 6, "num_negatives": 17}
    config.objective.args = ConfigDict(arguments)
    return config
