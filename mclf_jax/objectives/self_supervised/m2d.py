"""M2D (Niizumi et al. 2023), MATPAC (Quelennec et al. 2025), MATPAC++: predict hidden patches.

An encoder hears some patches, and a predictor says what a teacher makes of the others. The teacher
follows the encoder, and hears nothing but those others, so that neither has heard what it is about
from the other's side.
"""

from typing import Any

import jax
import jax.numpy as jnp

from mclf_jax.common import checks
from mclf_jax.losses.contrastive import byol_regression, unit
from mclf_jax.losses.masked import (
    choose_hypotheses,
    prototype_cross_entropy,
    standardized,
    teacher_distribution,
)
from mclf_jax.models.patches.predictor import Predictor
from mclf_jax.objectives import heads, network, patches
from mclf_jax.objectives.base import Loss, Objective
from mclf_jax.objectives.context import Context
from mclf_jax.objectives.diagnostics import diagnose_some, embedding_std
from mclf_jax.objectives.momentum import between, moving_average

PyTree = Any
TARGETS = ("standardized", "plain")
CLASSES = ("none", "prototypes")
HYPOTHESES = ("one", "several")


def m2d(
    context: Context,
    *,
    kept_patches: float = 0.3,
    momentum: tuple[float, float] = (0.99995, 0.99999),
    targets: str = "standardized",
    predictor_dim: int = 512,
    predictor_heads: int = 16,
    predictor_layers: int = 8,
    classes: str = "none",
    class_weight: float = 0.5,
    num_prototypes: int = 2048,
    prototype_widths: tuple[int, ...] = (2048, 2048, 256),
    prototype_momentum: tuple[float, float] = (0.998, 1.0),
    student_temperature: float = 0.1,
    teacher_temperature: tuple[float, float] = (0.04, 0.07),
    teacher_warmup_steps: int = 9827,
    centre_momentum: float = 0.9,
    hypotheses: str = "one",
    num_hypotheses: int = 5,
    hypothesis_temperature: float = 0.1,
    hypothesis_decay: float = 0.99997,
) -> Objective:
    """Predict in latent space what is masked; the defaults are those of M2D.

    MATPAC is `classes="prototypes", targets="plain"`: prototypes of what is predicted are to be
    those of the target, too. MATPAC++ has `hypotheses="several"` besides: several guesses at each
    patch, of which the best one is learnt most and has its prototypes compared.

    As published, momenta are for hundreds of thousands of steps. In a few hundred, with .99995, the
    teacher would stay what it was drawn as: bring them down to .99.

    Args:
        context: `model` is the encoder, a network of patches such as "vit". Augmentation, if there
            is any, changes what both hear.
        kept_patches: the share that the encoder hears.
        momentum: of the teacher, first and last, linear over `total_steps`. What follows are the
            layers of attention; patch embedding and input normalisation are the encoder's own.
        targets: "standardized", each to mean 0 and variance 1, or "plain".
        predictor_dim, predictor_heads, predictor_layers: of the predictor.
        classes: "none", or "prototypes" for MATPAC's second loss.
        class_weight: its share of the loss.
        num_prototypes: P.
        prototype_widths: of the dense layers before the prototypes.
        prototype_momentum: of the teacher's prototypes, as `momentum`.
        student_temperature: of the softmax over prototypes.
        teacher_temperature: first and last, linear over `teacher_warmup_steps`.
        teacher_warmup_steps: see there.
        centre_momentum: of the mean of the teacher's scores, which is taken off. It is that of
            DINO; MATPAC's code has the mean of its probabilities.
        hypotheses: "one", or "several" for MATPAC++.
        num_hypotheses: H, of "several".
        hypothesis_temperature, hypothesis_decay: that of a step is
            hypothesis_temperature * hypothesis_decay ** step, see `choose_hypotheses`.

    Returns:
        An objective on one view. Its metrics, and what they say of collapse:
        "prediction_std" and "target_std", how far predicted patches and targets are spread: 1 in
        all directions, 0 all alike; "uniformity", "embedding_std", "effective_rank" of the songs'
        embeddings of visible patches (see `diagnostics`); "prototype_entropy", of the mean of what
        the teacher says over ln P: 1 if all prototypes are used alike, 0 if one is used for all;
        "prototype_accuracy", how often the student's first one is the teacher's;
        "head_1_share", ..., how often each hypothesis is the best: 1 / H if all are of use;
        "prediction_loss", "prototype_loss", "target_momentum".

    Raises:
        ValueError: an argument is not allowed, or the network has no patches.
    """
    model, chains = context.model, context.chains
    checks.choice("objective.args.targets", targets, TARGETS)
    checks.choice("objective.args.classes", classes, CLASSES)
    checks.choice("objective.args.hypotheses", hypotheses, HYPOTHESES)
    checks.within("objective.args.kept_patches", kept_patches, 0, 1, ends="()")
    checks.within("objective.args.class_weight", class_weight, 0, 1)
    checks.within("objective.args.centre_momentum", centre_momentum, 0, 1)
    checks.positive("objective.args.student_temperature", student_temperature)
    checks.positive("objective.args.hypothesis_temperature", hypothesis_temperature)
    checks.within("objective.args.hypothesis_decay", hypothesis_decay, 0, 1, ends="(]")
    checks.at_least("objective.args.num_hypotheses", num_hypotheses, 1)
    for name, ends in (("momentum", momentum), ("prototype_momentum", prototype_momentum)):
        for value in _pair(f"objective.args.{name}", ends):
            checks.within(f"objective.args.{name}", value, 0, 1)
    for value in _pair("objective.args.teacher_temperature", teacher_temperature):
        checks.positive("objective.args.teacher_temperature", value)
    if predictor_dim % 4 or predictor_dim % predictor_heads:
        raise ValueError(
            f"objective.args.predictor_dim is {predictor_dim}; it must be a multiple of 4 and of "
            f"objective.args.predictor_heads, {predictor_heads}"
        )
    grid = patches.grid_of(model, needed_by="objective.name 'm2d'")
    if grid.count < 2:
        raise ValueError(
            f"the input of {model.name} is one patch; raise model.window_s or make "
            "model.args.patch smaller"
        )
    has_classes, num_heads = classes == "prototypes", num_hypotheses if hypotheses != "one" else 1
    predictor = Predictor(grid, predictor_dim, predictor_heads, predictor_layers, num_heads)
    prototypes = heads.Prototypes(prototype_widths, num_prototypes)

    def init(key):
        model_key, predictor_key, prototype_key = jax.random.split(key, 3)
        initial = network.init(model, model_key)
        params, state = initial["params"], initial["state"]
        size = network.token_size(model)
        numbers = jnp.zeros((1, 1), int)
        params["predictor"] = predictor.init(
            predictor_key, jnp.zeros((1, 1, size)), numbers, numbers, train=False
        )["params"]
        # Copies, because the step donates its state and a buffer can be donated only once.
        state["teacher"] = jax.tree.map(jnp.copy, _followed(params["model"]))
        state["step"] = jnp.zeros((), jnp.int32)
        if has_classes:
            params["prototypes"], _ = heads.init(prototypes, prototype_key, num_inputs=size)
            state["prototypes"] = jax.tree.map(jnp.copy, params["prototypes"])
            state["centre"] = jnp.zeros(num_prototypes)
        return initial

    def run(params, state, x, valid, key, *, mode):
        """The loss, and the new state of network and centre."""
        patch_key, online_key, teacher_key = jax.random.split(key, 3)
        visible, masked = patches.split(patch_key, x.shape[0], grid, fraction=kept_patches)
        online, model_state = _encode(model, params["model"], state, x, visible, online_key, mode)
        guesses = predictor.apply(
            {"params": params["predictor"]},
            online["tokens"],
            visible,
            masked,
            train=mode == "train",
        )
        # Parts that do not follow are the encoder's own.
        teacher = jax.lax.stop_gradient(params["model"] | state["teacher"])
        heard, _ = _encode(model, teacher, state, x, masked, teacher_key, mode)
        heard = jax.lax.stop_gradient(heard["tokens"])
        target = standardized(heard) if targets == "standardized" else heard
        distances = byol_regression(guesses, target[:, :, None])
        temperature = hypothesis_temperature * hypothesis_decay ** state["step"]
        chosen = choose_hypotheses(distances, temperature=temperature)
        per_example = chosen.loss.mean(axis=1)
        won = jax.nn.one_hot(chosen.best, num_heads, dtype=jnp.result_type(guesses))
        best = jnp.sum(won[..., None] * guesses, axis=2)
        metrics = {
            **diagnose_some(online["embedding"], valid=valid),
            "prediction_std": _spread(best, valid),
            "target_std": _spread(target, valid),
        }
        if num_heads > 1:
            shares = won.mean(axis=1)
            metrics |= {f"head_{i + 1}_share": shares[:, i] for i in range(num_heads)}
        new_state = {**state, "model": model_state}
        if has_classes:
            metrics["prediction_loss"] = per_example
            class_loss, of_classes, scores = compare_prototypes(params, state, best, heard, valid)
            metrics |= of_classes
            per_example = (1 - class_weight) * per_example + class_weight * class_loss
            new_state["centre"] = moving_average(
                state["centre"], _mean(scores, valid), momentum=centre_momentum
            )
        return Loss(per_example * valid, new_state if mode == "train" else state, metrics)

    def compare_prototypes(params, state, best, heard, valid):
        """Loss [B], metrics and scores of the teacher [B, n, P]."""
        said, _ = heads.apply(prototypes, params["prototypes"], {}, best, mode="evaluate")
        scores, _ = heads.apply(prototypes, state["prototypes"], {}, heard, mode="evaluate")
        scores = jax.lax.stop_gradient(scores)
        temperature = between(teacher_temperature, state["step"], num_steps=teacher_warmup_steps)
        loss = prototype_cross_entropy(
            said,
            scores,
            centre=state["centre"],
            student_temperature=student_temperature,
            teacher_temperature=temperature,
        ).mean(axis=1)
        wanted = teacher_distribution(scores, centre=state["centre"], temperature=temperature)
        share = _mean(wanted, valid)
        entropy = -jax.scipy.special.xlogy(share, share).sum() / jnp.log(num_prototypes)
        same = (said.argmax(axis=-1) == wanted.argmax(axis=-1)).mean(axis=1)
        metrics = {
            "prototype_loss": loss,
            "prototype_entropy": jnp.broadcast_to(entropy, valid.shape),
            "prototype_accuracy": same,
        }
        return loss, metrics, scores

    def loss(params, state, batch, key):
        waveform_key, spectrogram_key, key = jax.random.split(key, 3)
        x = network.augmented_inputs(
            model, chains, batch, waveform_key=waveform_key, spectrogram_key=spectrogram_key
        )
        # At the start of a step, which is after the optimiser's update of the one before.
        current = between(momentum, state["step"], num_steps=context.total_steps)
        teacher = moving_average(state["teacher"], _followed(params["model"]), momentum=current)
        state = state | {"teacher": teacher}
        if has_classes:
            slow = between(prototype_momentum, state["step"], num_steps=context.total_steps)
            state["prototypes"] = moving_average(
                state["prototypes"], params["prototypes"], momentum=slow
            )
        result = run(params, state, x, batch["valid"], key, mode="train")
        followed = {"target_momentum": jnp.full(len(batch["valid"]), current, jnp.float32)}
        return result._replace(
            state=result.state | {"step": state["step"] + 1}, metrics=result.metrics | followed
        )

    def evaluate(params, state, batch, key):
        return run(params, state, model.inputs(batch), batch["valid"], key, mode="evaluate")

    return Objective(init, loss, evaluate)


def _pair(field: str, value: Any) -> tuple[float, float]:
    if not isinstance(value, tuple) or len(value) != 2:
        raise ValueError(f"{field} is {value!r}; it must be two numbers, the first and the last")
    return value


def _followed(params: PyTree) -> PyTree:
    """Of the network's parameters those that the teacher has of its own."""
    return {
        name: part for name, part in params.items() if name == "norm" or name.startswith("blocks.")
    }


def _encode(model, params, state, x, visible, key, mode):
    """What the network says of some patches, and its new state."""
    if mode == "evaluate":
        variables = {"params": params, **state["model"]}
        return model.module.apply(variables, x, train=False, visible=visible), state["model"]
    return model.apply_train(params, state["model"], x, key=key, visible=visible)


def _spread(vectors: jax.Array, valid: jax.Array) -> jax.Array:
    """`embedding_std` of all patches [B, n, D] together, for each song, [B]."""
    rows = jax.lax.stop_gradient(unit(vectors)).reshape(-1, vectors.shape[-1])
    std = embedding_std(rows, valid=jnp.repeat(valid, vectors.shape[1]))
    return jnp.broadcast_to(std, valid.shape)


def _mean(values: jax.Array, valid: jax.Array) -> jax.Array:
    """Over patches and the songs that count, [B, n, P] -> [P]."""
    weight = valid / jnp.maximum(valid.sum(), 1)
    return (values.mean(axis=1) * weight[:, None]).sum(axis=0)
