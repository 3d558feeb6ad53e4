"""Training paradigms by name. They differ here and only here: one loop, one step, for all.

To import this is cheap; jax and the objectives themselves come when one is built.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mclf_jax.common import checks, plugins
from mclf_jax.objectives.base import Loss, Objective, Traits

if TYPE_CHECKING:
    from ml_collections import ConfigDict

    from mclf_jax.objectives.context import Context

__all__ = [
    "OBJECTIVES",
    "Loss",
    "Objective",
    "Traits",
    "arguments_of",
    "build",
    "method_of",
    "traits",
]

_LEARNS_LABELS = {"needs_labels": True, "predicts_labels": True, "reloads_best": True}
_SEMI_SUPERVISED = {"takes_unlabelled": True, **_LEARNS_LABELS}

# An objective that is added is named here and nowhere else.
OBJECTIVES = {
    "supervised": Traits(module="supervised", takes_mixtures=True, by_song=True, **_LEARNS_LABELS),
    "byol": Traits(
        module="self_supervised.byol",
        against_collapse="keep 'batch_norm' as objective.args.projector_norm and predictor_norm, "
        "raise train.batch_size, or bring objective.args.momentum closer to 1",
    ),
    "clap": Traits(
        module="self_supervised.clap",
        needs_words=True,
        against_collapse="raise train.batch_size, or have words that tell more songs apart "
        "(objective.args.words)",
    ),
    "cpc": Traits(
        module="self_supervised.cpc",
        against_collapse="raise objective.args.num_negatives, take them from other songs too "
        "(objective.args.negatives='batch'), or make objective.args.criterion 'nce' where it is "
        "'binary'",
        methods={"vq_cpc": {"score": "scaled_dot"}, "wav2vec": {"predictor": "affine"}},
    ),
    "m2d": Traits(
        module="self_supervised.m2d",
        against_collapse="bring objective.args.momentum closer to 1, keep more patches "
        "(objective.args.kept_patches), or, with prototypes, lower "
        "objective.args.teacher_temperature",
        methods={
            "matpac_plus_plus": {"classes": "prototypes", "hypotheses": "several"},
            "matpac": {"classes": "prototypes"},
        },
    ),
    "masked_tokens": Traits(
        module="tokens.masked_tokens",
        may_take_teacher=True,
        against_collapse="mask less (objective.args.mask_probability), or, where codes are alike, "
        "take other objective.args.representations, longer windows or louder songs",
        methods={
            "muq": {"tokenizer": "trained"},
            "omar_rq": {"representations": ("log_mel", "cqt")},
            "omar_rq_fsq": {"tokenizer": "fsq"},
            "best_rq": {"tokenizer": "random_projection"},
        },
    ),
    "moco": Traits(
        module="self_supervised.moco",
        whole_batches={"queue_size": 65_536},
        against_collapse="raise objective.args.queue_size or train.batch_size, lower "
        "objective.args.temperature, or bring objective.args.momentum closer to 1",
    ),
    "pase": Traits(
        module="pase.objective",
        against_collapse="have workers that tell songs apart among objective.args.workers (lim, "
        "gim), or raise train.batch_size",
        methods={"pase_plus": {"num_deltas": 2}},
    ),
    "relative_position": Traits(
        module="self_supervised.relative_position",
        against_collapse="take longer songs, or lower objective.args.gap, where few pairs count "
        "(pair_share)",
    ),
    "rvq": Traits(
        module="tokens.rvq",
        may_take_teacher=True,
        against_collapse="lower model.args.stale_after, or raise objective.args.codebook_weight",
    ),
    "simclr": Traits(
        module="self_supervised.simclr",
        against_collapse="raise train.batch_size, or lower objective.args.temperature",
        methods={"cola": {"similarity": "bilinear"}, "myna": {"kept_patches": 0.1}},
    ),
    "consistency": Traits(
        module="semi_supervised.consistency",
        methods={
            "mean_teacher": {"teacher": "ema"},
            "pi_model": {"unlabelled_loss": "squared_error"},
            "uda": {"targets": "sharpened"},
            "fixmatch": {"targets": "hard", "labelled_view": "clean"},
            "pseudo_label": {"targets": "hard"},
        },
        **_SEMI_SUPERVISED,
    ),
    "entropy_minimization": Traits(
        module="semi_supervised.entropy_minimization", **_SEMI_SUPERVISED
    ),
    "generative": Traits(module="semi_supervised.generative", **_SEMI_SUPERVISED),
    "mixmatch": Traits(module="semi_supervised.mixmatch", **_SEMI_SUPERVISED),
    "noisy_student": Traits(
        module="semi_supervised.noisy_student",
        by_song=True,
        needs_teacher=True,
        **_SEMI_SUPERVISED,
    ),
}


def build(context: Context, config: ConfigDict) -> Objective:
    """The objective that a config asks for.

    Args:
        context: what it is made of, of `context.context_of`.
        config: of the experiment; `objective.name` and `objective.args` are used.

    Raises:
        ValueError: an unknown name, arguments in `objective.args` that it does not take, or what
            the objective says of them.
    """
    name, arguments = config.objective.name, dict(config.objective.args)
    checks.arguments("objective.args", arguments, _parameters(name), of=name)
    # Objectives are compiled with their settings, and JSON has lists where configs have tuples.
    arguments = {key: checks.as_tuples(value) for key, value in arguments.items()}
    objective = _function(name)(context, **arguments)
    if not isinstance(objective, Objective):
        raise ValueError(
            f"objective.name is {name!r}, which returns {type(objective).__name__}; it must return "
            "a mclf_jax.objectives.Objective"
        )
    return objective._replace(traits=traits(name))


def traits(name: str) -> Traits:
    """What there is to know of an objective before it is built.

    One from outside (`common.plugins`) is a function (context, **arguments) -> Objective, whose
    traits are TRAITS in its file, or those of learning without labels.

    Raises:
        ValueError: there is no such objective.
    """
    if name in OBJECTIVES:
        return OBJECTIVES[name]
    return getattr(sys.modules[_function(name).__module__], "TRAITS", Traits())


def method_of(config: ConfigDict) -> str:
    """What people call that by which a config trains: of `Traits.methods`, or the objective."""
    name = config.objective.name
    has = arguments_of(name) | dict(config.objective.args)
    for method, needed in traits(name).methods.items():
        if all(has[key] == value for key, value in needed.items()):
            return method
    return name


def arguments_of(name: str) -> dict[str, Any]:
    """What `objective.args` may hold, with defaults.

    Raises:
        ValueError: there is no such objective.
    """
    return {key: parameter.default for key, parameter in _parameters(name).items()}


def _parameters(name: str) -> dict[str, inspect.Parameter]:
    parameters = dict(inspect.signature(_function(name)).parameters)
    parameters.pop("context")
    return parameters


def _function(name: str) -> Callable[..., Objective]:
    if name in OBJECTIVES:
        return getattr(importlib.import_module(f"{__name__}.{OBJECTIVES[name].module}"), name)
    found = plugins.find("objectives", name, field="objective.name", known=sorted(OBJECTIVES))
    if not callable(found) or "context" not in inspect.signature(found).parameters:
        raise ValueError(
            f"objective.name is {name!r}, which is {found!r}; it must be a function "
            "(context, **arguments) -> mclf_jax.objectives.Objective"
        )
    return found
