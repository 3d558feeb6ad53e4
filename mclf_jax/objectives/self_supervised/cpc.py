"""Predictive coding: tell what comes next from what does not (CPC, wav2vec, VQ-CPC).

One objective with three published settings; all take a network that returns "latents" and
"context", `cpc` or `wav2vec`. Legend: S latents of a window, C channels of a latent, P predicted
steps, N negatives.

- CPC (van den Oord et al. 2018) as in CLMR's first version: the defaults.
- wav2vec (Schneider et al. 2019): num_steps_ahead=12, num_negatives=10, negatives="same_clip",
  subsample=0, criterion="binary", predictor="affine"; in public code first_step_ahead=3, the
  first latent that shares no sample with the newest one of the context.
- VQ-CPC (van Niekerk et al. 2020), on `cpc` with `num_codes`: num_steps_ahead=6,
  num_negatives=17, negatives="same_clip", subsample=0, score="scaled_dot", predictor="affine".
"""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp

from mclf_jax.common import checks
from mclf_jax.models import Model
from mclf_jax.models.layers.quantizer import usage
from mclf_jax.objectives import network
from mclf_jax.objectives.base import Loss, Objective
from mclf_jax.objectives.context import Context
from mclf_jax.objectives.diagnostics import diagnose_one

NEGATIVES = ("batch", "same_clip")
CRITERIA = ("info_nce", "binary", "nce")
SCORES = ("dot", "scaled_dot")
PREDICTORS = ("linear", "affine")
# Uniform in +-1/sqrt(outputs), as in wav2vec's public code. With PyTorch's usual +-1/sqrt(inputs)
# the first scores are large, and the quickest way to smaller ones is latents that are all alike.
_predictor_init = nn.initializers.variance_scaling(1 / 3, "fan_out", "uniform")


def cpc(
    context: Context,
    *,
    num_steps_ahead: int = 20,
    first_step_ahead: int = 1,
    num_negatives: int = 15,
    negatives: str = "batch",
    subsample: int = 81,
    criterion: str = "info_nce",
    score: str = "dot",
    predictor: str = "linear",
    commitment_weight: float = 0.25,
) -> Objective:
    """Predict latents from the context some steps before, and find them among others.

    Args:
        context: `model` returns "latents" [B, S, C] and "context" [B, S, D].
        num_steps_ahead: P, how many steps are predicted from each context.
        first_step_ahead: the nearest of them.
        num_negatives: N, wrong answers beside each latent, the same for every step that predicts
            it.
        negatives: "batch": latents of any clip and time, by shuffling them all; "same_clip": other
            latents of the same clip.
        subsample: predictions are made inside so many latents, the same ones in all clips, drawn
            anew for every step of training; negatives are still from everywhere. 0 is all.
        criterion: "info_nce": cross-entropy over the right answer and the wrong ones; "binary":
            every answer for itself, right or wrong; "nce": the same, where a score of 0 already
            says that one answer in N + 1 is right (see `answer_losses`).
        score: "dot", the product of prediction and latent; "scaled_dot": divided by the root
            of C.
        predictor: one matrix a step, "linear", or with a bias, "affine".
        commitment_weight: of the distance between latents and codes, with a quantiser.

    Returns:
        An objective on one view. Where scores are 0 its loss is ln(N + 1), or with "binary"
        (N + 1) ln 2. Metrics: "accuracy", how often the right answer scores highest, which is
        1/(N + 1) by chance, and the same of the nearest, the middle and the farthest step;
        "uniformity", "embedding_std" and "effective_rank" (see `diagnostics`) of one latent of
        each clip; with a quantiser "commitment", "code_perplexity" and "unused_codes" (see
        `models.layers.quantizer.usage`).

    Raises:
        ValueError: an argument is not allowed, or does not suit the network.
    """
    model, chains = context.model, context.chains
    checks.choice("objective.args.negatives", negatives, NEGATIVES)
    checks.choice("objective.args.criterion", criterion, CRITERIA)
    checks.choice("objective.args.score", score, SCORES)
    checks.choice("objective.args.predictor", predictor, PREDICTORS)
    checks.at_least("objective.args.num_steps_ahead", num_steps_ahead, 1)
    checks.at_least("objective.args.first_step_ahead", first_step_ahead, 1)
    checks.at_least("objective.args.num_negatives", num_negatives, 1)
    checks.at_least("objective.args.subsample", subsample, 0)
    checks.at_least("objective.args.commitment_weight", commitment_weight, 0)
    shapes = _output_shapes(model)
    num_latents, channels = shapes["latents"].shape[1:]
    length = min(num_latents, subsample or num_latents)
    steps = tuple(range(first_step_ahead, first_step_ahead + num_steps_ahead))
    if steps[-1] >= length:
        raise ValueError(
            f"objective.args.num_steps_ahead is {num_steps_ahead}: step {steps[-1]} ahead does not "
            f"lie within {length} latents; make it at most {max(length - first_step_ahead, 0)}, "
            "or raise model.window_s or objective.args.subsample"
        )
    predict = _Predictor(num_steps_ahead, channels, use_bias=predictor == "affine")

    def init(key):
        model_key, predictor_key = jax.random.split(key)
        initial = network.init(model, model_key)
        heard = jnp.zeros(shapes["context"].shape)
        initial["params"]["predictor"] = predict.init(predictor_key, heard)["params"]
        return initial

    def loss(params, state, batch, key):
        waveform_key, spectrogram_key, dropout_key, task_key = jax.random.split(key, 4)
        x = network.augmented_inputs(
            model, chains, batch, waveform_key=waveform_key, spectrogram_key=spectrogram_key
        )
        outputs, new_state = network.apply(model, params, state, x, mode="train", key=dropout_key)
        return task(params, {"model": new_state}, outputs, batch["valid"], task_key)

    def evaluate(params, state, batch, key):
        outputs, _ = network.apply(model, params, state, model.inputs(batch), mode="evaluate")
        return task(params, state, outputs, batch["valid"], key)

    def task(params, state, outputs, valid, key):
        negatives_key, window_key = jax.random.split(key)
        latents, heard = outputs["latents"], outputs["context"]
        chosen = draw_negatives(
            negatives_key,
            valid,
            num_latents=latents.shape[1],
            num_negatives=num_negatives,
            source=negatives,
        )
        everywhere = latents.reshape(-1, channels)
        window = min(latents.shape[1], length)
        start = jax.random.randint(window_key, (), 0, latents.shape[1] - window + 1)
        latents, heard, chosen = (
            jax.lax.dynamic_slice_in_dim(array, start, window, axis=1)
            for array in (latents, heard, chosen)
        )
        scores, exists = prediction_scores(
            predict.apply({"params": params["predictor"]}, heard),
            latents,
            everywhere[chosen],
            steps=steps,
        )
        if score == "scaled_dot":
            scores = scores / channels**0.5
        weight = exists / exists.sum(axis=0)
        per_step = (answer_losses(scores, criterion=criterion) * weight).sum(axis=1)
        accuracy = (right_answers(scores) * weight).sum(axis=1)
        per_example = per_step.mean(axis=-1)
        metrics = {"accuracy": accuracy.mean(axis=-1), **diagnose_one(latents[:, 0], valid=valid)}
        for i in sorted({0, (num_steps_ahead - 1) // 2, num_steps_ahead - 1}):
            metrics[f"accuracy_{steps[i]}_ahead"] = accuracy[:, i]
        if "codes" in outputs:
            per_example = per_example + commitment_weight * outputs["commitment"]
            metrics["commitment"] = outputs["commitment"]
            used = usage(outputs["codes"], valid, num_codes=model.module.num_codes)
            metrics |= {k: jnp.broadcast_to(v, valid.shape) for k, v in used.items()}
        return Loss(jnp.where(valid > 0, per_example, 0), state, metrics)

    return Objective(init, loss, evaluate)


def draw_negatives(
    key: jax.Array, valid: jax.Array, *, num_latents: int, num_negatives: int, source: str
) -> jax.Array:
    """Which latents stand beside each latent as wrong answers.

    Args:
        key: to draw with.
        valid: [B]; latents of rows that are 0 are not drawn, unless by their own row.
        num_latents: S of a clip.
        num_negatives: N.
        source: "batch": each of N times, all B * S latents are shuffled, so that each is drawn as
            often as any other. One in B * S is the right answer itself, as published.
            "same_clip": any latent of the same clip but the right answer.

    Returns:
        int [B, S, N], indices into the latents [B * S] of the batch.
    """
    batch_size = len(valid)
    if source == "same_clip":
        shape = (batch_size, num_latents, num_negatives)
        distance = jax.random.randint(key, shape, 1, num_latents)
        time = (jnp.arange(num_latents)[:, None] + distance) % num_latents
        return jnp.arange(batch_size)[:, None, None] * num_latents + time
    usable = jnp.repeat(valid > 0, num_latents)
    order = jax.random.uniform(key, (num_negatives, len(usable)))
    shuffled = jnp.where(usable, order, 2.0).argsort(axis=1)  # what must not be drawn is last
    position = jnp.arange(len(usable)) % jnp.maximum(usable.sum(), 1)
    return shuffled[:, position].T.reshape(batch_size, num_latents, num_negatives)


def prediction_scores(
    predictions: jax.Array, latents: jax.Array, negatives: jax.Array, *, steps: tuple[int, ...]
) -> tuple[jax.Array, jax.Array]:
    """Products of what was predicted for each latent with the latent and with its negatives.

    Args:
        predictions: [B, S, P, C], made at a step for each of `steps` later.
        latents: [B, S, C].
        negatives: [B, S, N, C], of each latent.
        steps: how far ahead the predictions are, P numbers.

    Returns:
        Scores [B, S, P, 1 + N], at each latent those of the predictions for it, the latent itself
        first; and [S, P], 0 where there was nobody to predict it, which is before the first step.
    """
    # At each latent, the predictions that were made for it.
    aligned = [jnp.roll(predictions[:, :, i], k, axis=1) for i, k in enumerate(steps)]
    answers = jnp.concatenate([latents[:, :, None], negatives], axis=2)
    scores = jnp.einsum("bspc,bsnc->bspn", jnp.stack(aligned, axis=2), answers)
    exists = jnp.arange(latents.shape[1])[:, None] >= jnp.array(steps)
    return scores, exists.astype(scores.dtype)


def answer_losses(scores: jax.Array, *, criterion: str) -> jax.Array:
    """Losses [...] of scores [..., 1 + N] whose first is of the right answer, in nats.

    "info_nce" is the cross-entropy of the right answer (van den Oord et al. 2018, equation 4);
    "binary" the sum of the binary cross-entropies of all (Schneider et al. 2019, equation 2, with
    lambda the number of negatives). "nce" takes ln N from the scores first, so that they are log
    ratios of densities (Gutmann and Hyvarinen 2010): small networks that must first learn how
    rare right answers are do so by latents that are all alike, and stay there for long.
    """
    if criterion == "info_nce":
        return -jax.nn.log_softmax(scores)[..., 0]
    if criterion == "nce":
        scores = scores - jnp.log(scores.shape[-1] - 1)
    right, wrong = scores[..., 0], scores[..., 1:]
    return -jax.nn.log_sigmoid(right) - jax.nn.log_sigmoid(-wrong).sum(axis=-1)


def right_answers(scores: jax.Array) -> jax.Array:
    """1 where the first of scores [..., 1 + N] is the highest, else 0; ties are shared, [...].

    So latents that are all alike, or are the same code, are right by chance and not always. What
    differs by rounding is a tie.
    """
    scores = jax.lax.stop_gradient(scores)
    tolerance = 1e-5 * jnp.abs(scores).max(axis=-1, keepdims=True)
    ahead = scores[..., 1:] - scores[..., :1]
    ties = (jnp.abs(ahead) <= tolerance).sum(axis=-1)
    return (ahead <= tolerance).all(axis=-1) / (1 + ties)


class _Predictor(nn.Module):
    """One matrix for each step ahead, [B, S, D] -> [B, S, num_steps, channels]."""

    num_steps: int
    channels: int
    use_bias: bool

    @nn.compact
    def __call__(self, context):
        size = self.num_steps * self.channels
        x = nn.Dense(size, use_bias=self.use_bias, kernel_init=_predictor_init, name="predictor")(
            context
        )
        return x.reshape(*context.shape[:2], self.num_steps, self.channels)


def _output_shapes(model: Model) -> dict[str, jax.ShapeDtypeStruct]:
    variables = jax.eval_shape(model.init, jax.random.key(0))
    x = jax.ShapeDtypeStruct((1, *model.input_shape), "float32")
    outputs = jax.eval_shape(functools.partial(model.module.apply, train=False), variables, x)
    if missing := {"latents", "context"} - outputs.keys():
        raise ValueError(
            f"model.name is {model.name!r}, which does not return {' and '.join(sorted(missing))} "
            "to predict; for objective.name 'cpc' take cpc or wav2vec"
        )
    return outputs
