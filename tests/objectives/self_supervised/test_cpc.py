"""Predictive coding: who is compared with whom, what it costs, and that something is learnt."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mclf_jax import models
from mclf_jax.augment import Chains
from mclf_jax.objectives.self_supervised.cpc import (
    answer_losses,
    cpc,
    draw_negatives,
    right_answers,
)
from tests.objectives.material import gradients, judge, made, start

draw = jax.jit(draw_negatives, static_argnames=("num_latents", "num_negatives", "source"))

RATE_HZ = 2000
NETWORKS = {
    "cpc": {
        "n_channels": 16,
        "context_dim": 16,
        "kernel_sizes": (10, 8, 4),
        "strides": (5, 4, 2),
        "paddings": (2, 2, 1),
        "norm": "layer",
    },
    "wav2vec": {
        "n_channels": 16,
        "kernel_sizes": (10, 8, 4),
        "strides": (5, 4, 2),
        "context_kernel_sizes": (3, 3),
    },
}
FEW = {"num_steps_ahead": 3, "num_negatives": 5, "subsample": 20}
WAV2VEC = {
    "num_steps_ahead": 4,
    "first_step_ahead": 2,
    "num_negatives": 10,
    "negatives": "same_clip",
    "subsample": 0,
    "criterion": "binary",
    "predictor": "affine",
}
VQ_CPC = {
    "num_steps_ahead": 4,
    "num_negatives": 10,
    "negatives": "same_clip",
    "subsample": 0,
    "score": "scaled_dot",
    "predictor": "affine",
}


def small_model(name="cpc", **arguments):
    """A network with a latent every 40 samples, 49 in its second."""
    return models.build(
        name,
        num_labels=2,
        features={"sample_rate_hz": RATE_HZ},
        window_s=1.0,
        **NETWORKS[name] | arguments,
    )


def melodies(batch_size, *, seed):
    """Tones that change every tenth of a second, each clip up its own chord again and again."""
    rng = np.random.default_rng(seed)
    time_s = np.arange(RATE_HZ) / RATE_HZ
    root_hz = 2 ** rng.uniform(6, 7.5, (batch_size, 1))
    note = np.array([0, 4, 7, 12])[(time_s / 0.1).astype(int) % 4]
    phase = 2 * np.pi * np.cumsum(root_hz * 2 ** (note / 12), axis=1) / RATE_HZ
    audio = 0.3 * np.sin(phase) + 0.2 * np.sin(2 * phase + rng.uniform(0, 6, (batch_size, 1)))
    audio += 0.01 * rng.standard_normal(audio.shape)
    return {"audio": audio.astype(np.float32), "valid": np.ones(batch_size, np.float32)}


def test_shuffled_negatives_are_every_latent_once():
    drawn = np.asarray(
        draw(jax.random.key(0), np.ones(4), num_latents=6, num_negatives=3, source="batch")
    )
    assert drawn.shape == (4, 6, 3)
    for one in range(3):
        np.testing.assert_array_equal(np.sort(drawn[..., one].ravel()), np.arange(24))
    assert (drawn[..., 0] != drawn[..., 1]).any()


def test_shuffled_negatives_leave_padding_out():
    valid = np.array([1.0, 0.0, 1.0, 0.0])
    drawn = draw(jax.random.key(0), valid, num_latents=6, num_negatives=3, source="batch")
    assert set(np.unique(np.asarray(drawn) // 6)) == {0, 2}
    counts = np.bincount(np.asarray(drawn).ravel(), minlength=24)
    assert set(counts[[*range(6), *range(12, 18)]]) == {6}  # 72 draws of 12 latents


def test_negatives_of_the_same_clip_are_all_others():
    drawn = np.asarray(
        draw(jax.random.key(0), np.ones(3), num_latents=5, num_negatives=400, source="same_clip")
    )
    for clip in range(3):
        for time in range(5):
            found, counts = np.unique(drawn[clip, time], return_counts=True)
            assert set(found) == {clip * 5 + t for t in range(5) if t != time}
            assert counts.min() > 60  # of 100


def by_hand(objective_args, outputs, predictor, valid, key):
    """Losses and accuracies in float64 with plain loops, at the drawn indices."""
    args = {"first_step_ahead": 1, "criterion": "info_nce", "score": "dot"} | objective_args
    latents = np.asarray(outputs["latents"], np.float64)
    context = np.asarray(outputs["context"], np.float64)
    batch_size, length, channels = latents.shape
    negatives_key, window_key = jax.random.split(key)
    drawn = np.asarray(
        draw(
            negatives_key,
            valid,
            num_latents=length,
            num_negatives=args["num_negatives"],
            source=args.get("negatives", "batch"),
        )
    )
    window = args["subsample"] or length
    start = int(jax.random.randint(window_key, (), 0, length - window + 1))
    kernel = np.asarray(predictor["kernel"], np.float64)
    bias = np.asarray(predictor.get("bias", np.zeros(kernel.shape[1])), np.float64)
    losses = np.zeros(batch_size)
    correct = np.zeros(batch_size)
    steps = args["num_steps_ahead"]
    for b in range(batch_size):
        for i in range(steps):
            ahead, columns = args["first_step_ahead"] + i, slice(i * channels, (i + 1) * channels)
            of_step = []
            for t in range(start, start + window - ahead):
                prediction = context[b, t] @ kernel[:, columns] + bias[columns]
                right = prediction @ latents[b, t + ahead]
                wrong = latents.reshape(-1, channels)[drawn[b, t + ahead]] @ prediction
                if args["score"] == "scaled_dot":
                    right, wrong = right / np.sqrt(channels), wrong / np.sqrt(channels)
                if args["criterion"] == "info_nce":
                    value = -right + np.log(np.exp(right) + np.exp(wrong).sum())
                else:
                    shift = np.log(len(wrong)) if args["criterion"] == "nce" else 0
                    value = np.log1p(np.exp(shift - right))
                    value += np.log1p(np.exp(wrong - shift)).sum()
                ties = np.isclose(wrong, right, rtol=1e-9).sum()
                of_step.append((value, (right >= wrong.max() - 1e-9) / (1 + ties)))
            losses[b] += np.mean([value for value, _ in of_step]) / steps
            correct[b] += np.mean([hit for _, hit in of_step]) / steps
    return losses, correct


@pytest.mark.parametrize(
    ("network", "arguments"),
    [
        ("cpc", FEW),
        ("cpc", FEW | {"negatives": "same_clip", "predictor": "affine", "score": "scaled_dot"}),
        ("wav2vec", WAV2VEC),
        ("wav2vec", WAV2VEC | {"criterion": "nce", "negatives": "batch"}),
    ],
)
def test_loss_equals_plain_loops(network, arguments):
    model = small_model(network)
    objective = made(cpc, model, **arguments)
    batch, key = melodies(3, seed=0), jax.random.key(5)

    @jax.jit
    def run(batch):
        initial = objective.init(jax.random.key(0))
        found = objective.evaluate(initial["params"], initial["state"], batch, key)
        variables = {"params": initial["params"]["model"], **initial["state"]["model"]}
        return found, model.apply(variables, batch["audio"]), initial["params"]["predictor"]

    found, outputs, predictor = jax.device_get(run(batch))
    predictor = predictor["predictor"]
    losses, correct = by_hand(arguments, outputs, predictor, batch["valid"], key)
    np.testing.assert_allclose(found.per_example, losses, rtol=1e-5)
    np.testing.assert_allclose(found.metrics["accuracy"], correct, atol=1e-6)
    # A step is only predicted where it lies in the window, and steps count alike.
    steps = [name for name in found.metrics if name.endswith("_ahead")]
    first, num = arguments.get("first_step_ahead", 1), arguments["num_steps_ahead"]
    assert steps == [f"accuracy_{first + i}_ahead" for i in (0, (num - 1) // 2, num - 1)]


@pytest.mark.slow
def test_knowing_nothing_costs_what_it_should():
    scores = np.zeros((2, 16), np.float32)
    prior = np.log(16) + 15 * np.log(16 / 15)  # the entropy of one right answer in 16
    costs = {"info_nce": np.log(16), "binary": 16 * np.log(2), "nce": prior}
    found, right = jax.jit(
        lambda x: ({name: answer_losses(x, criterion=name) for name in costs}, right_answers(x))
    )(scores)
    for name, cost in costs.items():
        np.testing.assert_allclose(found[name], cost, rtol=1e-6)
    # Latents that are all alike are right by chance.
    np.testing.assert_allclose(right, 1 / 16)
    np.testing.assert_allclose(right_answers(jnp.array([[2.0, 1, 1], [1.0, 2, 1]])), [1, 0])


def test_one_device_and_eight_compute_the_same():
    """With a quantiser, whose codes follow the latents of all devices."""
    model = small_model(num_codes=8, restart_codes_below=0.1)
    objective = made(cpc, model, **FEW)
    initial = jax.jit(objective.init)(jax.random.key(0))
    one, eight = (
        gradients(objective, initial, melodies(8, seed=2), num_devices=count) for count in (1, 8)
    )
    assert jax.tree.leaves(one)
    for a, b in zip(*map(jax.tree.leaves, (one, eight)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


@functools.cache
def quantised(**settings):
    """(initial, compiled loss, compiled evaluate) of a network with eight codes."""
    objective = made(cpc, small_model(num_codes=8), **FEW | settings)
    return fresh(), jax.jit(objective.loss), jax.jit(objective.evaluate)


@functools.cache
def fresh():
    return jax.jit(made(cpc, small_model(num_codes=8), **FEW).init)(jax.random.key(0))


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("negatives", ["batch", "same_clip"])
def test_padding_is_neither_anchor_nor_negative(negatives):
    initial, _, evaluate = quantised(negatives=negatives)
    batch = melodies(6, seed=0)
    batch["valid"][4:] = 0
    found = evaluate(initial["params"], initial["state"], batch, jax.random.key(1))
    batch["audio"] = np.concatenate([batch["audio"][:4], -3 * batch["audio"][:2]])
    other = evaluate(initial["params"], initial["state"], batch, jax.random.key(1))
    np.testing.assert_array_equal(found.per_example[4:], 0)
    assert (found.per_example[:4] > 0).all()
    np.testing.assert_allclose(found.per_example[:4], other.per_example[:4], rtol=1e-6)
    for name, values in found.metrics.items():
        np.testing.assert_allclose(values[:4], other.metrics[name][:4], rtol=1e-5, err_msg=name)


@pytest.mark.slow
def test_evaluation_is_repeatable_and_changes_nothing():
    initial, loss, evaluate = quantised(negatives="batch")
    batch = melodies(6, seed=0)
    found = [
        evaluate(initial["params"], initial["state"], batch, jax.random.key(k)) for k in (1, 1, 2)
    ]
    jax.tree.map(np.testing.assert_array_equal, found[0], found[1])
    assert (found[0].per_example != found[2].per_example).any()
    jax.tree.map(np.testing.assert_array_equal, found[0].state, initial["state"])
    trained = loss(initial["params"], initial["state"], batch, jax.random.key(1))
    embedding = [
        s["model"]["codebook"]["codebook"]["embedding"] for s in (trained.state, found[0].state)
    ]
    assert (embedding[0] != embedding[1]).any()


@pytest.mark.slow
def test_commitment_counts_with_its_weight():
    initial, batch, key = fresh(), melodies(6, seed=0), jax.random.key(1)
    of_weight = {0.0: {"commitment_weight": 0.0}, 0.25: {"negatives": "batch"}}  # the default
    found = {
        weight: jax.device_get(
            quantised(**settings)[1](initial["params"], initial["state"], batch, key)
        )
        for weight, settings in of_weight.items()
    }
    added = found[0.25].per_example - found[0.0].per_example
    np.testing.assert_allclose(added, 0.25 * found[0.25].metrics["commitment"], atol=1e-5)
    assert (added > 0).all()
    assert 1 <= found[0.0].metrics["code_perplexity"][0] <= 8


@pytest.mark.slow
def test_augmentation_is_for_training():
    batch, key = melodies(6, seed=0), jax.random.key(1)
    silence = Chains(waveform=lambda key, x: 0 * x)
    found = {}
    for name, settings in (("plain", {"negatives": "batch"}), ("silent", {"chains": silence})):
        initial, *modes = quantised(**settings)
        for mode, run in zip(("loss", "evaluate"), modes, strict=True):
            losses = run(initial["params"], initial["state"], batch, key).per_example
            found[name, mode] = np.asarray(losses)
    np.testing.assert_array_equal(found["plain", "evaluate"], found["silent", "evaluate"])
    assert (found["plain", "loss"] != found["silent", "loss"]).all()


@pytest.mark.usefixtures("full_compiles")
@pytest.mark.parametrize(
    ("network", "model_arguments", "arguments", "num_steps", "untrained", "below"),
    [
        ("cpc", {}, {"num_steps_ahead": 3, "subsample": 30}, 80, np.log(16), 0.85),
        pytest.param(
            "wav2vec", {}, WAV2VEC | {"criterion": "nce"}, 250, 3.351, 0.9, marks=pytest.mark.slow
        ),
        pytest.param(
            "cpc",
            {"num_codes": 32, "code_dim": 8, "code_decay": 0.9, "restart_codes_below": 0.1},
            VQ_CPC,
            300,
            np.log(11),
            0.85,
            marks=pytest.mark.slow,
        ),
    ],
)
def test_learns_to_predict_songs_it_has_not_heard(
    network, model_arguments, arguments, num_steps, untrained, below
):
    objective = made(cpc, small_model(network, **model_arguments), **arguments)
    state, step = start(objective, learning_rate=3e-3)
    held_out = melodies(16, seed=10**6)
    before = judge(objective, state, held_out)
    assert before["loss"] == pytest.approx(untrained, rel=0.1)

    def has_learnt(after):
        return (
            after["loss"] < below * untrained
            and after["accuracy"] > 2.5 * before["accuracy"]
            and after["embedding_std"] > 0.1
        )

    in_a_row = 0  # a single good evaluation may be luck
    for number in range(num_steps + 20):
        state, _ = step(state, melodies(16, seed=number))
        if number % 20 == 19:
            in_a_row = in_a_row + 1 if has_learnt(after := judge(objective, state, held_out)) else 0
            if in_a_row == 2:
                break
    assert in_a_row == 2, after


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"negatives": "speaker"}, "objective.args.negatives is 'speaker'; allowed: batch, same"),
        ({"criterion": "mse"}, "objective.args.criterion is 'mse'; allowed: info_nce, binary, nce"),
        ({"score": "cosine"}, "objective.args.score is 'cosine'; allowed: dot, scaled_dot"),
        ({"predictor": "mlp"}, "objective.args.predictor is 'mlp'; allowed: linear, affine"),
        ({"num_negatives": 0}, "objective.args.num_negatives is 0; it must be at least 1"),
        ({"commitment_weight": -1.0}, "objective.args.commitment_weight is -1.0"),
        ({"subsample": 20}, "num_steps_ahead is 20: step 20 ahead .* 20 latents; .* at most 19"),
        ({"first_step_ahead": 40}, "step 59 ahead does not lie within 49 latents"),
    ],
)
def test_what_cannot_be_is_refused_in_words(arguments, message):
    with pytest.raises(ValueError, match=message):
        made(cpc, small_model(), **arguments)


def test_other_networks_have_nothing_to_predict():
    model = models.build("short_chunk_cnn", num_labels=2, n_channels=2)
    with pytest.raises(ValueError, match="'short_chunk_cnn', which does not return context and la"):
        made(cpc, model)
