"""A generative model with labels (M2 of Kingma et al. 2014): labels and a latent make the sound.

https://arxiv.org/abs/1406.5298. What a song sounds like is to be explained by its label and by what
labels say nothing of; where the label is not known, by all labels, each as likely as the network
says.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp

from mclf_jax.common import checks
from mclf_jax.models import Model
from mclf_jax.objectives import heads, running_moments
from mclf_jax.objectives.base import Objective
from mclf_jax.objectives.context import Context
from mclf_jax.objectives.semi_supervised import frame

PyTree = Any
# Of an input without bands, such as a waveform: more numbers than that are not decoded one by one.
_MOST_NUMBERS = 4096


def generative(
    context: Context,
    *,
    weight: float = 1.0,
    latent_size: int = 50,
    hidden_size: int = 500,
    num_frames: int = 8,
    std: float = 0.5,
    moments_decay: float = 0.999,
) -> Objective:
    """The loss of supervised learning, and the evidence lower bounds of all songs.

    The network is q(y|x); two small ones are beside it, q(z|x, y) and p(x|y, z), which has x as a
    normal distribution. Labels are as likely as one another a priori. Bounds are in nats for each
    number of x, so that their weight does not depend on how many these are.

    What is generated is not every frame, but the mean of the features over a few stretches of the
    window, normalised in each dimension by running moments; the paper has images of 784 pixels.

    Args:
        context: for the task "single_label"; augmentation is of what the network hears, and not of
            what is generated.
        weight: of the bounds; the paper's is 1 over its alpha.
        latent_size, hidden_size: of z, and of the two small networks.
        num_frames: stretches of a window, of each of which the mean features are generated.
        std: of p(x|y, z), where each number of x has deviation 1.
        moments_decay: see `running_moments.update`.

    Returns:
        An objective. Metrics beside those of other semi-supervised ones: "unlabelled_loss", the
        bounds; "reconstruction_error" of labelled songs, 1 for what the mean alone reaches;
        "latent_kl", nats that the latent says of them.

    Raises:
        ValueError: an argument is not allowed, or the task is another one.
    """
    model = context.model
    if context.task != "single_label":
        raise ValueError(
            f"objective.name is 'generative', for the task single_label; that of the data set is "
            f"{context.task!r}"
        )
    frame.check("generative", context, weight=weight)
    checks.positive("objective.args.std", std)
    checks.within("objective.args.moments_decay", moments_decay, 0, 1)
    for name, value in (
        ("latent_size", latent_size),
        ("hidden_size", hidden_size),
        ("num_frames", num_frames),
    ):
        checks.at_least(f"objective.args.{name}", value, 1)
    size = _summary_size(model, num_frames)
    recogniser = heads.MLP((hidden_size, 2 * latent_size))
    generator = heads.MLP((hidden_size, size))

    def init(key):
        model_key, *keys = jax.random.split(key, 3)
        initial = frame.init(model, model_key)
        num_labels = _num_labels(model)
        for name, head, inputs, one in (
            ("recogniser", recogniser, size + num_labels, keys[0]),
            ("generator", generator, latent_size + num_labels, keys[1]),
        ):
            initial["params"][name], _ = heads.init(head, one, num_inputs=inputs)
        initial["state"]["moments"] = running_moments.init(size)
        return initial

    def loss(params, state, batch, key):
        augment_key, dropout_key, *latent_keys = jax.random.split(key, 4)
        logits, model_state = frame.apply_train(
            context, params, state, batch, augment_key=augment_key, dropout_key=dropout_key
        )
        known, unknown = (
            summary(model.inputs(rows), num_frames) for rows in (batch, batch["unlabelled"])
        )
        moments = running_moments.update(
            state["moments"], jnp.concatenate([known, unknown]), decay=moments_decay
        )
        known, unknown = (running_moments.normalized(x, moments) for x in (known, unknown))
        num_labels = logits.labelled.shape[-1]
        metrics = frame.labelled_loss(context, logits.labelled, batch["label"])
        found = bound(params, known, jax.nn.one_hot(batch["label"], num_labels), latent_keys[0])
        metrics["reconstruction_error"] = found["error"]
        metrics["latent_kl"] = found["kl"]
        of_all = jax.vmap(
            lambda y: bound(
                params, unknown, jnp.broadcast_to(y, (len(unknown), num_labels)), latent_keys[1]
            )["negative"],
            out_axes=1,
        )(jnp.eye(num_labels))
        log_q = jax.nn.log_softmax(logits.unlabelled.astype(jnp.float32))
        free = (jnp.exp(log_q) * (of_all + log_q)).sum(axis=-1)
        metrics["unlabelled_loss"] = (
            frame.valid_mean(found["negative"], batch["valid"])
            + frame.valid_mean(free, batch["unlabelled"]["valid"])
        ) / size
        state = {"model": model_state, "step": state["step"] + 1, "moments": moments}
        return frame.combined(metrics, weight=weight, state=state)

    def bound(params, x, y, key):
        """-L(x, y) of the paper, equation 6, in nats, without the constant of the density."""
        said, _ = heads.apply(
            recogniser, params["recogniser"], {}, jnp.concatenate([x, y], axis=-1), mode="train"
        )
        mean, log_variance = jnp.split(said, 2, axis=-1)
        noise = jax.random.normal(key, mean.shape, mean.dtype)
        latent = mean + jnp.exp(log_variance / 2) * noise
        made, _ = heads.apply(
            generator, params["generator"], {}, jnp.concatenate([latent, y], axis=-1), mode="train"
        )
        square = jnp.square(x - made)
        kl = 0.5 * (jnp.square(mean) + jnp.exp(log_variance) - 1 - log_variance).sum(axis=-1)
        negative = square.sum(axis=-1) / (2 * std**2) + kl + math.log(y.shape[-1])
        return {"negative": negative, "kl": kl, "error": square.mean(axis=-1)}

    return Objective(init, loss)


def summary(x: jax.Array, num_frames: int) -> jax.Array:
    """Means over so many stretches of a window, [B, F, M] -> [B, n * M]; [B, T] as it is."""
    if x.ndim == 2:
        return x
    count = min(num_frames, x.shape[1])
    length = x.shape[1] // count
    stretches = x[:, : count * length].reshape(x.shape[0], count, length, *x.shape[2:])
    return stretches.mean(axis=2).reshape(x.shape[0], -1)


def _summary_size(model: Model, num_frames: int) -> int:
    x = jax.ShapeDtypeStruct((1, *model.input_shape), jnp.float32)
    size = jax.eval_shape(lambda x: summary(x, num_frames), x).shape[1]
    if len(model.input_shape) == 1 and size > _MOST_NUMBERS:
        raise ValueError(
            f"model.name is {model.name!r}, which hears {size} samples; objective.name "
            "'generative' makes means of features: take a network of spectrograms"
        )
    return size


def _num_labels(model: Model) -> int:
    def run(key):
        x = jnp.zeros((1, *model.input_shape))
        return model.module.init_with_output({"params": key}, x, train=False)[0]["logits"]

    return jax.eval_shape(run, jax.random.key(0)).shape[-1]
