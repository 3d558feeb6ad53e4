"""Train a tokenizer: vectors are to be what their codes make of them (Mel-RVQ of MuQ)."""

from typing import Any

import jax
import jax.numpy as jnp
from flax.traverse_util import flatten_dict, unflatten_dict

from mclf_jax.common import checks
from mclf_jax.models.layers import quantizer
from mclf_jax.objectives import network
from mclf_jax.objectives.base import Loss, Objective
from mclf_jax.objectives.context import Context, Teacher

PyTree = Any


def rvq(
    context: Context,
    *,
    commitment_weight: float = 0.25,
    codebook_weight: float = 1.0,
    teacher: str = "",
) -> Objective:
    """Reconstruct what a residual quantizer hears; squared error, commitment and codebook losses.

    Weights are those of the Descript Audio Codec, whose stages MuQ has.

    Args:
        context: `model` is an "rvq". With `model.args.encoder`, `teacher` is the opened run whose
            weights that encoder has; what of them is to stay as it is, is for `init.freeze` to say.
        commitment_weight: of the distance by which vectors are drawn to their codes.
        codebook_weight: of the distance by which codes are drawn to their vectors.
        teacher: run directory of the network whose hidden layer is quantized, a "musicfm".

    Returns:
        An objective on one view. Metrics: "reconstruction_error", the mean squared error where what
        is quantized has variance 1, so that 1 is what its mean alone reaches; "commitment";
        "code_perplexity" and "unused_codes" (see `models.layers.quantizer.usage`), means over
        stages, and of the first and the last stage.

    Raises:
        ValueError: an argument is not allowed, or the network is another one.
    """
    model, chains = context.model, context.chains
    checks.at_least("objective.args.commitment_weight", commitment_weight, 0)
    checks.at_least("objective.args.codebook_weight", codebook_weight, 0)
    if model.name != "rvq":
        raise ValueError(f"model.name is {model.name!r}; for objective.name 'rvq' take rvq")
    has_encoder = bool(model.module.encoder)
    if has_encoder != bool(teacher):
        raise ValueError(
            f"objective.args.teacher is {teacher!r} and model.args.encoder "
            f"{dict(model.module.encoder)}; a hidden layer needs both, frames neither"
        )
    if has_encoder and context.teacher is None:
        raise ValueError(f"objective.args.teacher is {teacher!r}, and nobody has opened it")
    if has_encoder and context.teacher.model.name != "musicfm":
        raise ValueError(
            f"objective.args.teacher is {teacher!r}, a {context.teacher.model.name}; the encoder "
            "of rvq is a musicfm"
        )
    num_codes = model.module.num_codes

    def init(key):
        initial = network.init(model, key)
        if has_encoder:
            take_over(initial, context.teacher, model_features=model.features, path=teacher)
        return initial

    def loss(params, state, batch, key):
        waveform_key, spectrogram_key, key = jax.random.split(key, 3)
        x = network.augmented_inputs(
            model, chains, batch, waveform_key=waveform_key, spectrogram_key=spectrogram_key
        )
        outputs, new_state = network.apply(model, params, state, x, mode="train", key=key)
        return judge(outputs, {"model": new_state}, batch["valid"])

    def evaluate(params, state, batch, key):
        del key
        outputs, _ = network.apply(model, params, state, model.inputs(batch), mode="evaluate")
        return judge(outputs, state, batch["valid"])

    def judge(outputs, state, valid):
        error = jnp.square(outputs["quantized"] - outputs["target"]).mean(axis=(1, 2))
        per_example = error + commitment_weight * outputs["commitment"]
        per_example = per_example + codebook_weight * outputs["codebook_loss"]
        used = jax.vmap(
            lambda codes: quantizer.usage(codes, valid, num_codes=num_codes), in_axes=-1
        )(outputs["codes"])
        metrics = {name: values.mean() for name, values in used.items()}
        perplexity = used["code_perplexity"]
        metrics |= {"code_perplexity_first": perplexity[0], "code_perplexity_last": perplexity[-1]}
        metrics = {name: jnp.broadcast_to(value, valid.shape) for name, value in metrics.items()}
        metrics |= {"reconstruction_error": error, "commitment": outputs["commitment"]}
        return Loss(jnp.where(valid > 0, per_example, 0), state, metrics)

    return Objective(init, loss, evaluate)


def take_over(initial: PyTree, teacher: Teacher, *, model_features: Any, path: str) -> None:
    """Put the variables of a network into the encoder of a quantizer, changed in place.

    Args:
        initial: "params" and "state" of the objective.
        teacher: the network of an earlier run.
        model_features: what the quantizer hears.
        path: of the run, for messages.

    Raises:
        ValueError: it is of another kind or size, or hears other features.
    """
    if teacher.model.features != model_features:
        raise ValueError(
            f"objective.args.teacher is {path!r}, which hears {teacher.model.features}; make "
            f"features the same, which are {model_features}"
        )
    collections = {"params": initial["params"]["model"], **initial["state"]["model"]}
    for name, variables in collections.items():
        there: dict[tuple[str, ...], Any] = dict(flatten_dict(teacher.variables.get(name, {})))
        own: dict[tuple[str, ...], Any] = dict(flatten_dict(variables.get("encoder", {})))
        for key, leaf in own.items():
            if key[0] == "head":  # of labels, which the encoder has none of
                continue
            if key not in there or there[key].shape != leaf.shape:
                found = there[key].shape if key in there else "not there"
                raise ValueError(
                    f"objective.args.teacher is {path!r}, a {teacher.model.name}, whose "
                    f"{'.'.join(key)} is {found}; model.args.encoder has {leaf.shape}. Give it the "
                    "model.args of that run, with num_layers at most as many"
                )
            own[key] = jnp.array(there[key])
        if own:
            variables["encoder"] = unflatten_dict(own)
