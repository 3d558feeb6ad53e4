"""Masked tokens: tell the codes of moments that are hidden (BEST-RQ, MusicFM, OMAR-RQ, MuQ).

A tokenizer, of which nothing is trained here, makes codes of what is heard. The network hears the
same with noise in place of some of it, and says which codes stood there. Legend: B songs, n tokens
along time, C streams of codes, K codes in each.
"""

from typing import Any

import jax
import jax.numpy as jnp

from mclf_jax.common import checks
from mclf_jax.models import Model
from mclf_jax.models.layers import quantizer
from mclf_jax.objectives import heads, network
from mclf_jax.objectives.base import Loss, Objective
from mclf_jax.objectives.context import Context
from mclf_jax.objectives.diagnostics import diagnose_some
from mclf_jax.objectives.tokens import tokenizers
from mclf_jax.objectives.tokens.masking import draw_blocks, fill_with_noise
from mclf_jax.objectives.tokens.representations import REPRESENTATIONS, stacked, timing_of

PyTree = Any
TOKENIZERS = ("random_projection", "fsq", "trained")


def masked_tokens(
    context: Context,
    *,
    tokenizer: str = "random_projection",
    representations: tuple[str, ...] = ("input",),
    num_codebooks: int = 1,
    num_codes: int = 4096,
    code_dim: int = 16,
    levels: tuple[int, ...] = (6, 6, 6, 6, 6),
    teacher: str = "",
    mask_s: float = 0.4,
    mask_probability: float = 0.6,
    noise_std: float = 0.1,
    moments_decay: float = 0.999,
) -> Objective:
    """Predict the codes of what is masked; the defaults are those of MusicFM (Won et al. 2024).

    OMAR-RQ (Alonso-Jimenez et al. 2025) is `representations=("log_mel", "cqt"), num_codebooks=2,
    num_codes=8196` (its third one, latents of EnCodec, is not made here), or `tokenizer="fsq"`; MuQ
    (Zhu et al. 2025) is `tokenizer="trained"` with a run of the objective "rvq" for `teacher`.

    Representations are normalised by one running mean and deviation each, where the published code
    reads both from a file.

    Args:
        context: `model` returns "tokens" [B, S, D] along time, such as "musicfm". Augmentation, if
            there is any, changes what the network hears and not the codes. Waveforms are masked, so
            that it needs features.on = "device"; `teacher` of the context is the opened one.
        tokenizer: "random_projection": the code that is nearest to a projection, both drawn once;
            "fsq": a projection rounded to levels; "trained": codes of the network of a run.
        representations: what is tokenized, some of `representations.REPRESENTATIONS`, each with
            streams of its own; of the two tokenizers that are drawn.
        num_codebooks: streams of each representation, with a projection each.
        num_codes: K, of "random_projection".
        code_dim: of a code, of "random_projection".
        levels: of each projected number, of "fsq"; K is their product.
        teacher: of "trained", the run directory of a network that returns "codes".
        mask_s: length of what is masked or not, rounded to whole tokens.
        mask_probability: that it is masked.
        noise_std: standard deviation of the noise that is heard there.
        moments_decay: of the running moments, see `running_moments.update`.

    Returns:
        An objective on one view. Its loss is the cross-entropy of masked tokens alone, the mean
        over streams. Metrics, of masked tokens: "accuracy", how often the likeliest code is the
        right one, which says something beside "accuracy_commonest", that of always guessing the
        commonest code so far; with several streams both of each, too. "code_perplexity", exp of the
        entropy of the codes of the batch, from 1, where all tokens have one code and there is
        nothing to learn, to K; its logarithm is the loss of a network that knows how frequent codes
        are and no more. "unused_codes"; "uniformity", "embedding_std" and "effective_rank" of the
        songs' embeddings (see `diagnostics`).

    Raises:
        ValueError: an argument is not allowed, or the network has no tokens along time.
    """
    model, chains = context.model, context.chains
    checks.choice("objective.args.tokenizer", tokenizer, TOKENIZERS)
    checks.within("objective.args.mask_probability", mask_probability, 0, 1, ends="()")
    checks.positive("objective.args.mask_s", mask_s)
    checks.at_least("objective.args.noise_std", noise_std, 0)
    checks.within("objective.args.moments_decay", moments_decay, 0, 1)
    for name, value in (("num_codebooks", num_codebooks), ("code_dim", code_dim)):
        checks.at_least(f"objective.args.{name}", value, 1)
    checks.at_least("objective.args.num_codes", num_codes, 2)
    if not levels or min(levels) < 2:
        raise ValueError(
            f"objective.args.levels is {levels}; it must be at least one number, each 2 or more"
        )
    if not representations or len(set(representations)) < len(representations):
        raise ValueError(
            f"objective.args.representations is {representations}; it must have some of "
            f"{', '.join(REPRESENTATIONS)}, each once"
        )
    _check_teacher(tokenizer, teacher, representations)
    timing = timing_of(model, output="tokens", needed_by="objective.name 'masked_tokens'")
    _check_no_patchout(model)
    block = max(1, round(mask_s * model.features.sample_rate_hz / timing.hop))
    if block >= timing.count:
        raise ValueError(
            f"objective.args.mask_s is {mask_s}, which is {block} tokens of the {timing.count} of "
            f"a window of {model.window_s:g} s; make it shorter, or raise model.window_s"
        )
    if tokenizer == "trained":
        if context.teacher is None:
            raise ValueError(f"objective.args.teacher is {teacher!r}, and nobody has opened it")
        coder = tokenizers.trained(context.teacher, model, timing, path=teacher)
    else:
        parts = {name: stacked(name, model, timing) for name in representations}
        shared = {"num_samples": model.window_samples, "num_codebooks": num_codebooks}
        shared |= {"decay": moments_decay}
        if tokenizer == "fsq":
            coder = tokenizers.finite_scalar(parts, levels=levels, **shared)
        else:
            coder = tokenizers.random_projection(
                parts, num_codes=num_codes, code_dim=code_dim, **shared
            )
    streams, size = coder.streams, coder.num_codes
    predictor = heads.MLP((len(streams) * size,))

    def init(key):
        model_key, predictor_key, code_key = jax.random.split(key, 3)
        initial = network.init(model, model_key)
        params, _ = heads.init(predictor, predictor_key, num_inputs=network.token_size(model))
        initial["params"]["predictor"] = params
        initial["state"]["tokenizer"] = coder.init(code_key)
        initial["state"]["shares"] = jnp.full((len(streams), size), 1 / size)
        return initial

    def run(params, state, batch, key, *, mode):
        """The loss, and the new state."""
        if "audio" not in batch:
            raise ValueError(
                "features.on is 'pipeline', where nobody can mask waveforms any more; for "
                "objective.name 'masked_tokens' it must be 'device'"
            )
        mask_key, noise_key, waveform_key, spectrogram_key, key = jax.random.split(key, 5)
        audio, valid = batch["audio"], batch["valid"]
        with jax.named_scope("features"):
            codes, coder_state = coder.tokenize(state["tokenizer"], audio, mode)
            codes = jax.lax.stop_gradient(codes)
        masked = draw_blocks(
            mask_key,
            len(audio),
            num_tokens=timing.count,
            block=block,
            probability=mask_probability,
        )
        if mode == "train" and chains.waveform is not None:
            with jax.named_scope("augmentation"):
                audio = chains.waveform(waveform_key, audio)
        heard = fill_with_noise(noise_key, audio, masked, hop=timing.hop, std=noise_std)
        x = model.inputs({"audio": heard})
        if mode == "train" and chains.spectrogram is not None:
            with jax.named_scope("augmentation"):
                x = chains.spectrogram(spectrogram_key, x)
        outputs, model_state = network.apply(model, params, state, x, mode=mode, key=key)
        tokens = outputs["tokens"][:, : timing.count]
        said, _ = heads.apply(predictor, params["predictor"], {}, tokens, mode=mode)
        log_probabilities = jax.nn.log_softmax(said.reshape(*codes.shape, size))
        cross_entropy = -jnp.take_along_axis(log_probabilities, codes[..., None], axis=-1)[..., 0]
        # The mean over all masked tokens of the batch, as published, once songs are averaged.
        weight = masked * valid[:, None]
        weight = weight * valid.sum() / jnp.maximum(weight.sum(), 1)

        def mean(values):
            """Of what each token has in each stream, [B, n, C] -> [B, C]."""
            return jnp.einsum("bnc,bn->bc", values, weight)

        commonest = state["shares"].argmax(axis=-1)
        found = {
            "accuracy": mean(log_probabilities.argmax(axis=-1) == codes),
            "accuracy_commonest": mean(codes == commonest),
        }
        metrics = {name: values.mean(axis=-1) for name, values in found.items()}
        if len(streams) > 1:
            for name, values in found.items():
                metrics |= {f"{name}_{stream}": values[:, i] for i, stream in enumerate(streams)}
        of_streams = jax.vmap(
            lambda one: quantizer.usage(one, masked * valid[:, None], num_codes=size), in_axes=-1
        )(codes)
        metrics |= {k: jnp.broadcast_to(v.mean(), valid.shape) for k, v in of_streams.items()}
        metrics |= diagnose_some(outputs["embedding"], valid=valid)
        per_example = mean(cross_entropy).mean(axis=-1)
        new_state = state
        if mode == "train":
            shares = jax.vmap(lambda one: quantizer.shares(one, valid, num_codes=size), in_axes=-1)(
                codes
            )
            new_state = {
                "model": model_state,
                "tokenizer": coder_state,
                "shares": state["shares"] + 0.01 * (shares - state["shares"]),
            }
        return Loss(per_example, new_state, metrics)

    def loss(params, state, batch, key):
        return run(params, state, batch, key, mode="train")

    def evaluate(params, state, batch, key):
        return run(params, state, batch, key, mode="evaluate")

    return Objective(init, loss, evaluate)


def _check_teacher(tokenizer: str, teacher: str, representations: tuple[str, ...]) -> None:
    if tokenizer == "trained" and not teacher:
        raise ValueError(
            "objective.args.teacher is '', which objective.args.tokenizer 'trained' has its codes "
            "from: the run directory of a network that returns codes (configs/rvq.py)"
        )
    if tokenizer != "trained" and teacher:
        raise ValueError(
            f"objective.args.teacher is {teacher!r}, but objective.args.tokenizer is "
            f"{tokenizer!r}; it is for 'trained'"
        )
    if tokenizer == "trained" and tuple(representations) != ("input",):
        raise ValueError(
            f"objective.args.representations is {representations}, but the network of "
            "objective.args.teacher has its own; leave it at ('input',)"
        )


def _check_no_patchout(model: Model) -> None:
    module = model.module
    if getattr(module, "patchout_rate", 0) or any(getattr(module, "patchout", ())):
        raise ValueError(
            "model.args.patchout leaves tokens out, whose codes objective.name 'masked_tokens' "
            "asks for; leave it at (0, 0) and patchout_rate at 0"
        )
