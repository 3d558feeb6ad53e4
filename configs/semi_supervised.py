"""A few labelled songs and many others: semi-supervised learning at a size for two CPU cores.

mclf train --config semi_supervised:method=fixmatch,path=DIR --workdir runs/fixmatch
mclf train --config semi_supervised:path=DIR,songs_per_label=3 --workdir runs/teacher
mclf train --config semi_supervised:method=noisy_student,path=DIR,songs_per_label=3 \\
    --config.objective.args.teacher=runs/teacher --workdir runs/student

DIR is a folder of songs as in `configs/folder.py`; those without a label are learnt from too.
`method` is supervised (the labels alone, to compare), entropy_minimization, pseudo_label,
pi_model, mean_teacher, uda, fixmatch, mixmatch, noisy_student or generative. `songs_per_label=3`
uses so many labels only and takes the other training songs as unlabelled; 0: all. Network, windows
and augmentation of all methods are those of `configs/folder.py`. Settings are published ones, but
ramps, momenta and MixMatch's weight suit runs of hundreds of steps, not of hundred thousands.
"""

from pathlib import Path

from ml_collections import ConfigDict

from mclf_jax.config import format_arg, load_module, parse_arg
from mclf_jax.objectives.semi_supervised.consistency import METHODS as CONSISTENCY

_FOLDER = load_module(str(Path(__file__).with_name("folder.py")))
DATA = _FOLDER.DATA
METHODS = ("supervised", "entropy_minimization", *CONSISTENCY, "mixmatch", "noisy_student")
METHODS += ("generative",)


def get_config(arg: str | None = None) -> ConfigDict:
    arg = parse_arg(
        arg,
        method=METHODS,
        data=DATA,
        path="",
        window_s=5.0,
        steps=600,
        songs_per_label=0,
        ratio=1,
    )
    config = _FOLDER.get_config(
        format_arg(
            data=arg.data,
            path=arg.path,
            window_s=arg.window_s,
            steps=arg.steps,
            init="none",
            beside="none",  # it would learn from labels alone
        )
    )
    config.data.songs_per_label = arg.songs_per_label
    # A threshold of .95 is never reached by a network that learns to be 92 % sure.
    config.objective.label_smoothing = 0.0
    # The loss of a network that gets surer grows while its ranking of songs still gets better.
    config.eval.metric = "pr_auc_macro"
    if arg.method == "supervised":
        return config
    config.unlabelled.update({"splits": ("unlabelled", "train"), "ratio": arg.ratio})
    ramp_up_steps = arg.steps // 3
    if arg.method in CONSISTENCY:
        config.objective.name = "consistency"
        arguments = dict(CONSISTENCY[arg.method])
        if "ramp_up_steps" in arguments:
            arguments["ramp_up_steps"] = ramp_up_steps
        if "momentum" in arguments:
            arguments["momentum"] = 0.99
        if arg.method == "pseudo_label":  # or early mistakes stay; as in FixMatch's comparison
            arguments["threshold"] = 0.95
    else:
        config.objective.name = arg.method
        arguments = {
            "entropy_minimization": {"weight": 0.1, "ramp_up_steps": ramp_up_steps},
            "generative": {"weight": 0.3, "latent_size": 16, "hidden_size": 128},
            "mixmatch": {"weight": 10.0},
            "noisy_student": {"teacher": "", "predictions": "cached"},
        }[arg.method]
    config.objective.args = ConfigDict(arguments)
    return config
