"""BYOL (Grill et al. 2020): predict what a slower copy makes of the other view; no negatives."""

import jax
import jax.numpy as jnp

from mclf_jax.common import checks
from mclf_jax.losses.contrastive import byol_regression, contrast_views
from mclf_jax.objectives import heads, views
from mclf_jax.objectives.base import Loss, Objective
from mclf_jax.objectives.context import Context
from mclf_jax.objectives.diagnostics import diagnose
from mclf_jax.objectives.momentum import SCHEDULES, momentum_at, moving_average

# Columns of the similarities behind the accuracy; they are only looked at.
_BLOCK_SIZE = 1024


def byol(
    context: Context,
    *,
    momentum: float = 0.996,
    momentum_schedule: str = "cosine",
    projector: tuple[int, ...] = (4096, 256),
    predictor: tuple[int, ...] = (4096, 256),
    projector_norm: str = "batch_norm",
    predictor_norm: str = "batch_norm",
    num_chunks: int = 1,
) -> Objective:
    """Bootstrap your own latent, symmetrised: each view predicts the target of the other.

    Both views are normalised together, where the original normalises each by itself. The target
    has batch statistics of its own, in training mode; only its parameters follow.

    Args:
        context: `model` is the encoder; its embedding is what the projector takes. At
            `total_steps` the momentum would be 1.
        momentum: of the target at the start: 0.996 for long runs and 0.99 for short ones in the
            paper. CLMR's code has 0.99, "constant".
        momentum_schedule: "cosine", rising to 1, or "constant".
        projector, predictor: widths of their layers, with ReLU in between. The last ones must be
            the same.
        projector_norm, predictor_norm: before each ReLU, "batch_norm", "layer_norm" or "none";
            without any, embeddings easily collapse.
        num_chunks: parts in which the batch is encoded, see `views.encode`.

    Raises:
        ValueError: an argument is not allowed.
    """
    model, chains = context.model, context.chains
    checks.choice("objective.args.projector_norm", projector_norm, heads.NORMS)
    checks.choice("objective.args.predictor_norm", predictor_norm, heads.NORMS)
    checks.choice("objective.args.momentum_schedule", momentum_schedule, SCHEDULES)
    checks.within("objective.args.momentum", momentum, 0, 1)
    if not projector or not predictor or projector[-1] != predictor[-1]:
        raise ValueError(
            f"objective.args.projector is {projector} and objective.args.predictor {predictor}; "
            "the last width of both must be the same"
        )
    projector_head = heads.MLP(widths=projector, norm=projector_norm)
    predictor_head = heads.MLP(widths=predictor, norm=predictor_norm)

    def init(key):
        key, predictor_key = jax.random.split(key)
        initial = views.init(model, projector_head, key)
        params, state = heads.init(predictor_head, predictor_key, num_inputs=projector[-1])
        # Copies, because the step donates its state and a buffer can be donated only once.
        target = jax.tree.map(jnp.copy, initial)
        return {
            "params": initial["params"] | {"predictor": params},
            "state": initial["state"]
            | {
                "predictor": state,
                "target": {"params": target["params"], **target["state"]},
                "step": jnp.zeros((), jnp.int32),
            },
        }

    def run(params, state, batch, key, *, mode):
        augment_key, online_key, target_key = jax.random.split(key, 3)
        x = views.augmented(model, chains, batch, num_views=2, key=augment_key)
        settings = {"mode": mode, "num_chunks": num_chunks}
        projected, online_state = views.project(
            model, projector_head, params, state, x, key=online_key, **settings
        )
        predicted, predictor_state = heads.apply(
            predictor_head, params["predictor"], state["predictor"], projected, mode=mode
        )
        target_params = jax.lax.stop_gradient(state["target"]["params"])
        target, target_state = views.project(
            model, projector_head, target_params, state["target"], x, key=target_key, **settings
        )
        # [:, ::-1] has the other view in each place; the sum is that of both directions.
        distance = byol_regression(predicted, jax.lax.stop_gradient(target)[:, ::-1])
        valid = batch["valid"]
        # Not a part of the loss, but what shows that different songs can still be told apart.
        contrast = contrast_views(
            jax.lax.stop_gradient(projected), valid=valid, block_size=_BLOCK_SIZE
        )
        metrics = {
            "contrastive_accuracy": contrast.correct.mean(axis=1),
            **diagnose(projected, valid=valid),
        }
        new_state = {
            **online_state,
            "predictor": predictor_state,
            "target": {"params": target_params, **target_state},
            "step": state["step"],
        }
        return Loss(distance.sum(axis=1) * valid, new_state, metrics)

    def loss(params, state, batch, key):
        # At the start of a step, which is after the optimiser's update of the one before.
        current = momentum_at(
            state["step"],
            base=momentum,
            schedule=momentum_schedule,
            total_steps=context.total_steps,
        )
        followed = {name: params[name] for name in state["target"]["params"]}
        target = moving_average(state["target"]["params"], followed, momentum=current)
        state = state | {"target": state["target"] | {"params": target}}
        result = run(params, state, batch, key, mode="train")
        metrics = result.metrics | {
            "target_momentum": jnp.full(len(batch["valid"]), current, jnp.float32)
        }
        new_state = result.state | {"step": state["step"] + 1}
        return result._replace(state=new_state, metrics=metrics)

    def evaluate(params, state, batch, key):
        return run(params, state, batch, key, mode="evaluate")

    return Objective(init, loss, evaluate, num_views=2)
