"""MoCo (He et al. 2020; v2: Chen et al. 2020b): a view of a song against a queue of older keys."""

import jax
import jax.numpy as jnp

from mclf_jax.common import checks
from mclf_jax.losses.contrastive import contrast_negatives, unit
from mclf_jax.objectives import heads, traits, views
from mclf_jax.objectives.base import Loss, Objective
from mclf_jax.objectives.context import Context
from mclf_jax.objectives.diagnostics import diagnose
from mclf_jax.objectives.momentum import moving_average

_QUEUE_SIZE = traits("moco").whole_batches["queue_size"]


def moco(
    context: Context,
    *,
    queue_size: int = _QUEUE_SIZE,
    temperature: float = 0.2,
    momentum: float = 0.999,
    head: str = "mlp",
    dim: int = 128,
    num_chunks: int = 1,
) -> Objective:
    """Momentum contrast; the defaults are v2, and v1 is `head="linear", temperature=0.07`.

    The first view of a song is the query and the second, through an encoder whose parameters
    follow those of the first, its key. Negatives are the last `queue_size` keys, of earlier
    batches. Keys of the same song are none: a queue of ImageNet's holds a twentieth of an epoch,
    and that of a small data set several. Statistics of the key encoder are its own, from its
    batches.

    There is no shuffling across devices ("ShuffleBN"). It is there to hide that a query and its
    key were normalised among the same few clips of one device, by which they can be matched
    without listening. Here batch statistics are those of the global batch, on any number of
    devices, so they are the same for all queries and for all keys, and say nothing about which
    belong together. Keys in the queue have those of earlier batches, which differ the less the
    larger the batch is.

    Args:
        context: `model` is the encoder; its embedding is what the head takes.
        queue_size: K, a multiple of the batch size. Starts as random unit vectors, so the loss
            rises at first, while keys take their place. In evaluation, which enqueues nothing, the
            keys that there are count for them, so that losses can be compared from the start.
        temperature: of the cosine similarities.
        momentum: of the key encoder.
        head: "linear", or "mlp" with a hidden layer as wide as the embedding.
        dim: of queries and keys.
        num_chunks: parts in which the batch is encoded, see `views.encode`.

    Raises:
        ValueError: an argument is not allowed, or, when the loss is traced, the batch does not
            divide the queue.
    """
    model, chains = context.model, context.chains
    widths = {"linear": (dim,), "mlp": (views.embedding_size(model), dim)}
    checks.choice("objective.args.head", head, widths)
    checks.within("objective.args.momentum", momentum, 0, 1)
    checks.positive("objective.args.temperature", temperature)
    projector = heads.MLP(widths=widths[head])

    def init(key):
        key, queue_key = jax.random.split(key)
        initial = views.init(model, projector, key)
        # Copies, because the step donates its state and a buffer can be donated only once.
        follower = jax.tree.map(jnp.copy, initial)
        state = initial["state"] | {
            "key": {"params": follower["params"], **follower["state"]},
            "queue": unit(jax.random.normal(queue_key, (queue_size, dim))),
            "queue_index": jnp.full(queue_size, -1, jnp.int32),  # the song of each key
            "position": jnp.zeros((), jnp.int32),  # where the next key goes
            "filled": jnp.zeros((), jnp.int32),  # how many are keys and not random
        }
        return {"params": initial["params"], "state": state}

    def run(params, state, batch, key, *, mode, weights=1.0):
        """The contrast of each song, and queries and keys with the states of their encoders."""
        augment_key, query_key, key_key = jax.random.split(key, 3)
        x = views.augmented(model, chains, batch, num_views=2, key=augment_key)
        settings = {"mode": mode, "num_chunks": num_chunks}
        query, query_state = views.project(
            model, projector, params, state, x[:, :1], key=query_key, **settings
        )
        follower = jax.lax.stop_gradient(state["key"]["params"])
        keys, key_state = views.project(
            model, projector, follower, state["key"], x[:, 1:], key=key_key, **settings
        )
        weights = weights * (state["queue_index"] != batch["index"][:, None])
        pair = jnp.concatenate([unit(query), unit(jax.lax.stop_gradient(keys))], axis=1)
        contrast = contrast_negatives(
            pair[:, 0], pair[:, 1], state["queue"], temperature=temperature, weights=weights
        )
        metrics = {
            "contrastive_accuracy": contrast.correct,
            **diagnose(pair, valid=batch["valid"]),
        }
        result = Loss(contrast.loss * batch["valid"], state, metrics)
        return result, pair[:, 1], query_state, key_state

    def loss(params, state, batch, key):
        if queue_size % (batch_size := len(batch["valid"])):
            raise ValueError(
                f"objective.args.queue_size is {queue_size}; it must be a multiple of "
                f"train.batch_size, which is {batch_size}"
            )
        follower = moving_average(state["key"]["params"], params, momentum=momentum)
        state = state | {"key": state["key"] | {"params": follower}}
        result, keys, query_state, key_state = run(params, state, batch, key, mode="train")
        keys = jax.lax.stop_gradient(keys)
        new_state = query_state | {
            "key": {"params": follower, **key_state},
            "queue": jax.lax.dynamic_update_slice(state["queue"], keys, (state["position"], 0)),
            "queue_index": jax.lax.dynamic_update_slice(
                state["queue_index"], batch["index"], (state["position"],)
            ),
            "position": (state["position"] + batch_size) % queue_size,
            "filled": jnp.minimum(state["filled"] + batch_size, queue_size),
        }
        ages = _ages(state["filled"], batch_size=batch_size, queue_size=queue_size)
        return result._replace(state=new_state, metrics=result.metrics | ages)

    def evaluate(params, state, batch, key):
        # Music is easily told from the random vectors of the start, so the loss would be best when
        # nothing is learned yet: keys stand for them, as many as there are.
        filled = state["filled"]
        weights = jnp.where(jnp.arange(queue_size) < filled, queue_size / jnp.maximum(filled, 1), 0)
        weights = jnp.where(filled > 0, weights, 1)
        return run(params, state, batch, key, mode="evaluate", weights=weights)[0]

    return Objective(init, loss, evaluate, num_views=2)


def _ages(filled: jax.Array, *, batch_size: int, queue_size: int) -> dict[str, jax.Array]:
    """How old the negatives are, name -> [B].

    "queue_age_steps" is the mean over the keys, of which the newest have age 1: the older, the less
    the encoder that made them is like the one that is trained. "queue_random_fraction" is what
    the start has left.
    """
    num_steps = filled / batch_size
    values = {
        "queue_age_steps": jnp.where(filled > 0, (num_steps + 1) / 2, 0),
        "queue_random_fraction": 1 - filled / queue_size,
    }
    return {name: jnp.broadcast_to(value, batch_size) for name, value in values.items()}
