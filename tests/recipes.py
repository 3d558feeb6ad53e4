"""Every config file of the repository, with the arguments that make experiments of their own."""

from tests import ROOT

FILES = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "configs").rglob("*.py"))
_WON2020 = (
    "fcn",
    "musicnn",
    "crnn",
    "sample_cnn",
    "sample_cnn_se",
    "cnnsa",
    "harmonic_cnn",
    "short_chunk_cnn",
    "short_chunk_resnet",
)
# file -> arguments; the others are taken without.
_ARGUMENTS = {
    "configs/won2020.py": (
        *(f"model={model},data=mtat" for model in _WON2020),
        *(f"model={model},data=mtat,n_mels=128" for model in ("fcn", "musicnn", "crnn")),
        "model=musicnn,data=msd",
        "model=fcn,data=jamendo",
    ),
    "configs/folder.py": ("", "init=none", "layers=tuned"),
    "configs/m2d.py": tuple(f"method={m}" for m in ("m2d", "matpac", "matpac_plus_plus")),
    "configs/masked_tokens.py": ("method=musicfm", "method=omar_rq", "method=omar_rq_fsq"),
    "configs/moco.py": ("version=v2", "version=v1"),
    "configs/pase.py": ("version=pase", "version=plus"),
    "configs/small_pretraining.py": (
        *(f"method={method}" for method in ("simclr", "moco", "byol", "relative_position", "cola")),
        *(f"method={method}" for method in ("cpc", "wav2vec", "vq_cpc", "pase")),
        *(f"method={method}" for method in ("myna", "m2d", "matpac", "matpac_plus_plus")),
        *(f"method={method}" for method in ("best_rq", "omar_rq", "omar_rq_fsq", "rvq")),
    ),
    "configs/semi_supervised.py": (
        *(f"method={method}" for method in ("supervised", "entropy_minimization", "pi_model")),
        *(f"method={method}" for method in ("mean_teacher", "uda", "fixmatch", "pseudo_label")),
        *(f"method={method}" for method in ("mixmatch", "noisy_student", "generative")),
    ),
    "configs/noisy_student.py": ("student=same", "student=compact"),
    "configs/transfer.py": ("how=scratch",),
    "configs/musicnn_training.py": ("data=mtat", "data=msd"),
    "configs/clmr_supervised.py": ("data=gtzan", "data=mtat", "data=msd"),
    "configs/music_tagging_transformer.py": (
        "data=msd",
        "data=mtat",
        "data=jamendo",
        "data=msd,size=student",
    ),
}
# (file, argument) of each experiment.
EXPERIMENTS = [(file, arg) for file in FILES for arg in _ARGUMENTS.get(file, ("",))]


def golden_name(file: str, arg: str) -> str:
    """Of the experiment's resolved text in tests/golden."""
    name = file.removeprefix("configs/").removesuffix(".py").replace("/", ".")
    return f"{name}.{arg}" if arg else name
