"""Relative position (Doersch et al. 2015, of image patches): which excerpt of a song comes first.

https://arxiv.org/abs/1505.05192. Of two excerpts of one song that do not touch, the network says
whether the second is before or after the first, and whether near or far.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mclf_jax.common import checks
from mclf_jax.objectives import heads, views
from mclf_jax.objectives.base import Loss, Objective
from mclf_jax.objectives.context import Context
from mclf_jax.objectives.diagnostics import diagnose_some

PyTree = Any


def relative_position(
    context: Context,
    *,
    edges_s: tuple[float, ...] = (10.0,),
    gap: float = 0.5,
    hidden_size: int = 512,
) -> Objective:
    """Classify where one excerpt lies from another: 2 * (1 + len(edges_s)) classes.

    Excerpts that overlap or nearly touch would give away their order by what goes on from one to
    the other; as in the paper there is a gap between them. Pairs without it do not count, which in
    songs hardly longer than two windows are most of them.

    Args:
        context: `model` is the encoder. Each view is augmented by itself, if at all.
        edges_s: distances from start to start, in seconds, between near and far; () for the order
            alone, which is two classes.
        gap: the least distance from the end of one to the start of the other, in windows; half a
            patch in the paper.
        hidden_size: of the layer that both embeddings, one behind the other, go into.

    Returns:
        An objective on two views. Metrics, of pairs that count: "accuracy", beside
        "accuracy_commonest", that of always saying what is most frequent in the batch;
        "accuracy_order", by chance 0.5; "pair_share", how many pairs count; and "uniformity",
        "embedding_std" and "effective_rank" of the first excerpts (see `diagnostics`).

    Raises:
        ValueError: an argument is not allowed.
    """
    model, chains = context.model, context.chains
    checks.at_least("objective.args.gap", gap, 0)
    checks.at_least("objective.args.hidden_size", hidden_size, 1)
    if any(edge <= 0 for edge in edges_s) or list(edges_s) != sorted(set(edges_s)):
        raise ValueError(
            f"objective.args.edges_s is {edges_s}; it must be distances above 0, each larger than "
            "the one before"
        )
    rate_hz, least = model.features.sample_rate_hz, (1 + gap) * model.window_samples
    edges = np.asarray(edges_s, np.float32) * rate_hz
    num_classes = 2 * (1 + len(edges_s))
    head = heads.MLP((hidden_size, num_classes))

    def init(key):
        model_key, head_key = jax.random.split(key)
        initial = views.init(model, heads.MLP(()), model_key)
        params, state = heads.init(head, head_key, num_inputs=2 * views.embedding_size(model))
        initial["params"]["projector"], initial["state"]["projector"] = params, state
        return initial

    def run(params, state, batch, key, *, mode):
        augment_key, key = jax.random.split(key)
        x = views.augmented(model, chains, batch, num_views=2, key=augment_key)
        embedding, model_state = views.encode(
            model, params["model"], state["model"], x, mode=mode, key=key
        )
        both = embedding.reshape(len(embedding), -1)
        logits, head_state = heads.apply(
            head, params["projector"], state["projector"], both, mode=mode
        )
        distance = (batch["start"][:, 1] - batch["start"][:, 0]).astype(jnp.float32)
        wanted = classes_of(distance, edges)
        valid = batch["valid"]
        counts = valid * (jnp.abs(distance) >= least)
        # The mean over the pairs that count, once songs are averaged.
        weight = counts * valid.sum() / jnp.maximum(counts.sum(), 1)
        answer = logits.argmax(axis=-1)
        shares = counts @ jax.nn.one_hot(wanted, num_classes)
        commonest = wanted == shares.argmax()
        metrics = {
            "accuracy": weight * (answer == wanted),
            "accuracy_commonest": weight * commonest,
            "accuracy_order": weight * (answer % 2 == wanted % 2),
            "pair_share": counts,
            **diagnose_some(embedding[:, 0], valid=valid),
        }
        log_probabilities = jax.nn.log_softmax(logits.astype(jnp.float32))
        right = jnp.take_along_axis(log_probabilities, wanted[:, None], axis=1)[:, 0]
        state = {"model": model_state, "projector": head_state}
        return Loss(-weight * right, state, metrics)

    loss = functools.partial(run, mode="train")
    evaluate = functools.partial(run, mode="evaluate")
    return Objective(init, loss, evaluate, num_views=2)


def classes_of(distance: jax.Array, edges: np.ndarray) -> jax.Array:
    """Class of each distance from the first start to the second, [B] -> int32 [B].

    Twice the number of `edges` that it reaches, and one more where the second comes first.

    >>> classes_of(jnp.array([3.0, -3.0, 30.0, -30.0]), np.array([10.0]))
    Array([0, 1, 2, 3], dtype=int32)
    """
    reached = (jnp.abs(distance)[:, None] >= jnp.asarray(edges, jnp.float32)).sum(axis=1)
    return (2 * reached + (distance < 0)).astype(jnp.int32)
