"""PASE and PASE+: one encoder for many small tasks at once (Pascual et al. 2019, Ravanelli 2020).

Every task has a worker, a small network on the encoder's latents. Regression workers predict
what `pase.targets` computes of the clean waveform, or its samples; yes-or-no workers (LIM, GIM,
SPC) tell pairs of latents apart. The loss is the plain sum.

Targets are normalised by running moments that are part of the state. The published code reads them
from a file of statistics, made from 20 batches before training, whose "std" is how much the
deviation within a clip differs between clips; here it is the deviation.

The published code encodes three windows: one, another of the same song and one of another song.
Here are the first two (`num_views=2`), and other rows of the batch are the third.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
import optax

from mclf_jax.common import checks
from mclf_jax.models import Model
from mclf_jax.objectives import network, running_moments, views
from mclf_jax.objectives.base import Loss, Objective
from mclf_jax.objectives.context import Context
from mclf_jax.objectives.diagnostics import diagnose_one
from mclf_jax.objectives.pase import pairs as pase_pairs
from mclf_jax.objectives.pase.targets import TARGETS, Settings, target
from mclf_jax.objectives.pase.workers import MLPWorker, WaveformWorker, frames_error

PAIRS = ("lim", "gim", "spc")
WORKERS = ("waveform", *TARGETS, *PAIRS)
"""All there are."""
PLUS: dict[str, Any] = {
    "workers": ("waveform", *TARGETS, "lim", "gim"),
    "num_deltas": 2,
    "context_frames": 7,
    "n_mfcc": 13,
}
"""Arguments of PASE+: its twelve workers, with derivatives and three frames on both sides."""
_PASE_WORKERS = ("waveform", "lps", "mfcc", "prosody", "lim", "gim", "spc")


def pase(
    context: Context,
    *,
    workers: tuple[str, ...] = _PASE_WORKERS,
    num_views: int = 2,
    num_deltas: int = 0,
    context_frames: int = 1,
    n_mfcc: int = 20,
    f0_hz: tuple[float, float] = (60.0, 600.0),
    hidden_size: int = 256,
    decoder_channels: tuple[int, ...] = (512, 256, 128),
    decoder_strides: tuple[int, ...] = (4, 4, 10),
    spc_frames: int = 5,
    spc_gap: int = 16,
    moments_decay: float = 0.999,
) -> Objective:
    """Regression of what is known of the signal, and pairs told apart; defaults are those of PASE.

    Args:
        context: `model` is a `pase`; its latents are what workers read. `chains.waveform` changes
            what the encoder hears and not the targets, as the distortions of PASE+ do. That needs
            augment.on = "device": the pipeline would change both.
        workers: some of `WORKERS`. "waveform" by mean absolute error, targets by mean squared
            error, pairs by binary cross-entropy.
        num_views: windows of a song: 2 as published, or 1, with which LIM and GIM find their
            positives in the same window, see `pase_pairs`, for half of the work.
        num_deltas: derivatives in time beside the targets: 0, or 2 in PASE+.
        context_frames: of every target that are predicted at each step, odd: 1, or 7 in PASE+.
        n_mfcc: coefficients of "mfcc": 20, or 13 in PASE+.
        f0_hz: where "prosody" looks for a fundamental frequency; 60 to 300 Hz as published, for
            voices.
        hidden_size: of all workers but "waveform".
        decoder_channels, decoder_strides: of the deconvolutions of "waveform"; the strides make
            the hop of the encoder.
        spc_frames, spc_gap: of SPC: a sequence of so many latents, at least so many away.
        moments_decay: of the running moments, see `running_moments.update`.

    Returns:
        An objective whose metrics are the losses, "loss_<worker>", for pairs also
        "accuracy_<worker>", by chance 0.5, and "embedding_std" and "effective_rank" of
        `diagnostics`. A regression worker that has learned only the mean has a loss of about 1.

    Raises:
        ValueError: an argument is not allowed, or does not suit the network.
    """
    model, chains = context.model, context.chains
    _check(workers, num_views=num_views, num_deltas=num_deltas, context_frames=context_frames)
    latents = _latents_shape(model)
    hop_length, (num_latents, size) = model.module.hop_length, latents
    settings = Settings(
        sample_rate_hz=model.features.sample_rate_hz,
        hop_length=hop_length,
        n_mfcc=n_mfcc,
        f0_hz=tuple(f0_hz),
        num_deltas=num_deltas,
    )
    regression = [name for name in workers if name in TARGETS]
    if "waveform" in workers and math.prod(decoder_strides) != hop_length:
        raise ValueError(
            f"objective.args.decoder_strides is {decoder_strides}, in all "
            f"{math.prod(decoder_strides)}; it must make the hop of the network, {hop_length}"
        )
    least = pase_pairs.sequence_length(num_frames=spc_frames, gap=spc_gap)
    if "spc" in workers and num_latents < least:
        raise ValueError(
            f"objective.args.workers has spc, which with spc_frames {spc_frames} and spc_gap "
            f"{spc_gap} takes {least} latents; a window of {model.window_s:g} s has {num_latents}. "
            "Raise model.window_s"
        )
    sizes = _target_sizes(model, regression, settings, num_frames=num_latents)
    networks: dict[str, Any] = {
        name: MLPWorker(context_frames * sizes[name], hidden_size) for name in regression
    }
    inputs = dict.fromkeys(workers, (num_latents, size))
    if "waveform" in workers:
        networks["waveform"] = WaveformWorker(decoder_channels, decoder_strides)
    for name in set(workers) & set(PAIRS):
        networks[name] = MLPWorker(1, hidden_size)
        inputs[name] = ((spc_frames + 1) * size,) if name == "spc" else (2 * size,)

    def init(key):
        model_key, *keys = jax.random.split(key, 1 + len(workers))
        initial = network.init(model, model_key)
        initial["params"]["workers"] = {
            name: networks[name].init(worker_key, jnp.zeros((1, *inputs[name])))["params"]
            for name, worker_key in zip(workers, keys, strict=True)
        }
        moments = {name: running_moments.init(sizes[name]) for name in regression}
        initial["state"]["moments"] = moments
        return initial

    def loss(params, state, batch, key):
        clean = _windows(model, batch, num_views=num_views)
        augment_key, dropout_key, task_key = jax.random.split(key, 3)
        x = views.augmented(model, chains, {"audio": clean}, num_views=num_views, key=augment_key)
        x = x.reshape(-1, *x.shape[2:])
        outputs, model_state = network.apply(model, params, state, x, mode="train", key=dropout_key)
        wanted = targets(clean)
        moments = {
            name: running_moments.update(old, wanted[name], decay=moments_decay)
            for name, old in state["moments"].items()
        }
        state = {"model": model_state, "moments": moments}
        return tasks(params, state, outputs, clean, wanted, batch, task_key)

    def evaluate(params, state, batch, key):
        clean = _windows(model, batch, num_views=num_views)
        x = model.inputs({"audio": clean.reshape(-1, clean.shape[-1])})
        outputs, _ = network.apply(model, params, state, x, mode="evaluate")
        return tasks(params, state, outputs, clean, targets(clean), batch, key)

    def targets(clean):
        # Of the first window alone, as published.
        return {
            name: target(clean[:, 0], name, settings, num_frames=num_latents) for name in regression
        }

    def tasks(params, state, outputs, clean, wanted, batch, key):
        def answer(name, x):
            return networks[name].apply({"params": params["workers"][name]}, x)

        valid, batch_size = batch["valid"], len(batch["valid"])
        latents = outputs["latents"].reshape(batch_size, num_views, num_latents, size)
        losses, metrics = {}, {}
        for name in regression:
            losses[name] = frames_error(
                answer(name, latents[:, 0]),
                running_moments.normalized(wanted[name], state["moments"][name]),
                context_frames=context_frames,
            )
        if "waveform" in workers:
            decoded = answer("waveform", latents[:, 0])
            length = min(decoded.shape[-1], clean.shape[-1])
            difference = decoded[:, :length] - clean[:, 0, :length]
            losses["waveform"] = jnp.abs(difference).mean(axis=-1)
        pairs = _pairs(workers, key, latents, batch, spc_frames=spc_frames, spc_gap=spc_gap)
        for name, (positive, negative) in pairs.items():
            yes, no = (answer(name, x).reshape(batch_size, -1) for x in (positive, negative))
            losses[name] = (_cross_entropy(yes, 1.0) + _cross_entropy(no, 0.0)) / 2
            metrics[f"accuracy_{name}"] = ((yes > 0).mean(axis=-1) + (no < 0).mean(axis=-1)) / 2
        metrics |= {f"loss_{name}": losses[name] for name in workers}
        embedding = latents[:, 0].mean(axis=1)
        metrics |= diagnose_one(
            embedding, valid=valid, measures=("embedding_std", "effective_rank")
        )
        return Loss(jnp.where(valid > 0, sum(losses.values()), 0), state, metrics)

    return Objective(init, loss, evaluate, num_views)


def _pairs(workers, key, latents, batch, *, spc_frames, spc_gap):
    """The pairs of each yes-or-no worker, name -> (positive, negative)."""
    if {"lim", "gim"} & set(workers) and len(latents) < 2:
        raise ValueError(
            "train.batch_size is 1; objective.args.workers lim and gim tell songs apart and need "
            "at least 2"
        )
    other_key, lim_key, spc_key = jax.random.split(key, 3)
    other = pase_pairs.other_rows(other_key, valid=batch["valid"], index=batch["index"])
    found = {}
    if "lim" in workers:
        found["lim"] = pase_pairs.local_pairs(lim_key, latents, other)
    if "gim" in workers:
        found["gim"] = pase_pairs.global_pairs(latents, other)
    if "spc" in workers:
        found["spc"] = pase_pairs.sequence_pairs(
            spc_key, latents[:, 0], num_frames=spc_frames, gap=spc_gap
        )
    return found


def _cross_entropy(logits, label):
    return optax.sigmoid_binary_cross_entropy(logits, label).mean(axis=-1)


def _windows(model, batch, *, num_views):
    """The waveforms of a batch, [B, V, T] for any V."""
    clean = model.inputs(batch)
    return clean[:, None] if num_views == 1 else clean


def _latents_shape(model: Model) -> tuple[int, int]:
    """(S, D) of a network that says how far its latents are apart."""
    if not hasattr(model.module, "hop_length"):
        raise ValueError(
            f"model.name is {model.name!r}, whose latents are not known; for objective.name "
            "'pase' take pase"
        )

    def latents(key):
        x = jnp.zeros((1, *model.input_shape))
        return model.module.init_with_output({"params": key}, x, train=False)[0]["latents"]

    return jax.eval_shape(latents, jax.random.key(0)).shape[1:]


def _target_sizes(model, names, settings, *, num_frames) -> dict[str, int]:
    waveform = jax.ShapeDtypeStruct((1, model.window_samples), "float32")
    return {
        name: jax.eval_shape(
            lambda x, name=name: target(x, name, settings, num_frames=num_frames), waveform
        ).shape[-1]
        for name in names
    }


def _check(workers, *, num_views, num_deltas, context_frames) -> None:
    if not workers or (unknown := set(workers) - set(WORKERS)) or len(set(workers)) < len(workers):
        wrong = f"has {', '.join(sorted(unknown))}" if workers and unknown else f"is {workers}"
        raise ValueError(
            f"objective.args.workers {wrong}; it must have some of {', '.join(WORKERS)}, each once"
        )
    checks.choice("objective.args.num_views", num_views, (1, 2))
    checks.choice("objective.args.num_deltas", num_deltas, (0, 1, 2))
    if context_frames < 1 or context_frames % 2 == 0:
        raise ValueError(
            f"objective.args.context_frames is {context_frames}; it must be odd and positive"
        )
