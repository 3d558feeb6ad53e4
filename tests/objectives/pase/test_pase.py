"""PASE: every worker learns something that holds for new songs."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mclf_jax import models
from mclf_jax.augment import Chains, Gain, compose
from mclf_jax.models.encoders import pase as network
from mclf_jax.objectives import running_moments
from mclf_jax.objectives.pase.objective import PLUS, WORKERS, pase
from mclf_jax.objectives.pase.targets import TARGETS, Settings, target
from mclf_jax.objectives.pase.workers import MLPWorker, WaveformWorker, deconvolved, frames_error
from tests.objectives.material import gradients, judge, made, start

RATE_HZ = 4000
NUM_SAMPLES = 1280
HOP = 40
SMALL = {
    "hidden_size": 32,
    "decoder_channels": (16, 16, 16),
    "decoder_strides": (2, 2, 10),
    "spc_frames": 2,
    "spc_gap": 4,
}
# One of each kind: compared with itself, normalised, and compared with others.
SOME = ("waveform", "mfcc", "lim", "spc")
PUBLISHED = ("waveform", "lps", "mfcc", "prosody", "lim", "gim", "spc")


def small_model(**arguments):
    """32 latents of a third of a second at 4 kHz."""
    sizes = {
        "n_channels": 4,
        "kernel_sizes": (65, 10, 5, 5, 5, 5, 5, 5),
        "strides": (1, 5, 2, 1, 2, 1, 2, 1),
        "embedding_dim": 24,
        "features": {"sample_rate_hz": RATE_HZ},
        "window_s": NUM_SAMPLES / RATE_HZ,
    }
    return models.build("pase", num_labels=2, **sizes | arguments)


def songs(batch_size, *, seed, num_views=2):
    """Each song has a tone of its own, which fades away in every one of its windows."""
    rng = np.random.default_rng(seed)
    shape = (batch_size, 1, 1)
    frequency_hz = 2 ** rng.uniform(6.5, 9.0, shape)
    overtone = rng.uniform(0, 0.7, shape)
    time_s = np.arange(NUM_SAMPLES) / RATE_HZ
    phase = 2 * np.pi * (frequency_hz * time_s + rng.uniform(0, 1, (batch_size, num_views, 1)))
    fade = np.exp(-rng.uniform(5, 10, (batch_size, num_views, 1)) * time_s)
    audio = fade * (np.sin(phase) + overtone * np.sin(3 * phase))
    audio += 0.003 * rng.standard_normal(audio.shape)
    return {
        "audio": (audio if num_views > 1 else audio[:, 0]).astype(np.float32),
        "valid": np.ones(batch_size, np.float32),
        "index": np.arange(batch_size, dtype=np.int32),
        "group": np.arange(batch_size, dtype=np.int32),
    }


@functools.cache
def fresh():
    """Parameters and state of the published workers, compiled once for all tests."""
    return jax.jit(made(pase, small_model(), **SMALL).init)(jax.random.key(0))


@functools.cache
def initial(**settings):
    """(objective, what it needs of `fresh`)."""
    objective = made(pase, small_model(), **SMALL | settings)
    leaves = dict(jax.tree.leaves_with_path(fresh()))
    needed = jax.eval_shape(objective.init, jax.random.key(0))
    return objective, jax.tree.map_with_path(lambda path, _: leaves[path], needed)


def baselines(state, batch):
    """Losses on a batch of who knows nothing of the song: of the mean, and of a tossed coin."""
    audio = batch["audio"]
    clean = audio if audio.ndim == 2 else audio[:, 0]
    known = {"waveform": np.abs(clean).mean()} | dict.fromkeys(("lim", "gim", "spc"), math.log(2))
    return known | jax.device_get(of_means(state.model_state["moments"], clean))


@jax.jit
def of_means(all_moments, clean):
    settings, found = Settings(sample_rate_hz=RATE_HZ, hop_length=HOP), {}
    for name, moments in all_moments.items():
        values = target(clean, name, settings, num_frames=32)
        found[name] = jnp.square(running_moments.normalized(values, moments)).mean()
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("num_views", "learning_rate", "limits"),
    [
        (1, 5e-3, {"waveform": 0.8}),
        (1, 1e-2, {"lps": 0.85, "mfcc": 0.85, "prosody": 0.5}),
        (2, 1e-2, {"lim": 0.9, "gim": 0.9, "spc": 0.3}),
    ],
)
def test_every_worker_beats_the_mean_on_new_songs(num_views, learning_rate, limits):
    """The limits are parts of what who knows nothing of the song would lose."""
    workers = tuple(limits)
    objective = made(pase, small_model(), **SMALL, workers=workers, num_views=num_views)
    state, step = start(objective, learning_rate=learning_rate)
    held_out = songs(64, seed=1000, num_views=num_views)

    def left(state):
        """Of each worker that has not learnt yet, how far it is."""
        metrics, known = judge(objective, state, held_out), baselines(state, held_out)
        ratios = {name: metrics[f"loss_{name}"] / known[name] for name in workers}
        return {
            name: (ratio, metrics.get(f"accuracy_{name}"))
            for name, ratio in ratios.items()
            if ratio >= limits[name] or metrics.get(f"accuracy_{name}", 1.0) <= 0.65
        }

    in_a_row = 0  # a single good evaluation may be luck
    for number in range(140):
        state, _ = step(state, songs(16, seed=number, num_views=num_views))
        if number % 20 == 19:
            in_a_row = 0 if (remaining := left(state)) else in_a_row + 1
            if in_a_row == 2:
                break
    assert in_a_row == 2, remaining


@pytest.mark.slow
def test_the_loss_is_the_sum_of_the_workers():
    objective, first = initial()
    assert objective.num_views == 2
    loss, metrics = value_of(objective, first, songs(4, seed=0))
    losses = {k: v for k, v in metrics.items() if k.startswith("loss_")}
    assert losses.keys() == {f"loss_{name}" for name in PUBLISHED}
    np.testing.assert_allclose(loss.per_example, sum(losses.values()), rtol=1e-5)
    for name in ("lim", "gim", "spc"):
        assert losses[f"loss_{name}"].mean() == pytest.approx(math.log(2), abs=0.3)


def value_of(objective, variables, batch, key=0):
    loss = jax.jit(objective.loss)(
        variables["params"], variables["state"], batch, jax.random.key(key)
    )
    return loss, jax.device_get(loss.metrics)


@pytest.mark.slow
def test_one_and_eight_devices_agree():
    objective, first = initial(workers=SOME)
    batch = songs(8, seed=0)
    (one, extra_1), gradient_1 = gradients(objective, first, batch, num_devices=1)
    (eight, extra_8), gradient_8 = gradients(objective, first, batch, num_devices=8)
    assert one == pytest.approx(eight, rel=1e-5)
    for a, b in ((extra_1, extra_8), (gradient_1, gradient_8)):
        jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-3, atol=2e-4), a, b)
    assert all(np.abs(leaf).max() > 0 for leaf in jax.tree.leaves(gradient_1["workers"]))


@pytest.mark.slow
def test_moments_are_of_the_clean_windows_whatever_the_encoder_hears():
    batch = songs(4, seed=0)
    objective, first = initial()
    clean, _ = value_of(objective, first, batch)
    chains = Chains(waveform=compose([Gain(-60.0, -60.0)]))
    silenced = made(pase, small_model(), chains=chains, **SMALL)
    changed, _ = value_of(silenced, first, batch)
    clean, changed = jax.device_get((clean, changed))
    for name, moments in clean.state["moments"].items():
        np.testing.assert_array_equal(changed.state["moments"][name]["mean"], moments["mean"])
        assert moments["count"] == 1
    assert not np.allclose(clean.per_example, changed.per_example, rtol=1e-3)
    heard = functools.partial(target, settings=Settings(RATE_HZ, HOP), num_frames=32)
    values = np.asarray(jax.jit(lambda x: heard(x, "mfcc"))(batch["audio"][:, 0]))
    np.testing.assert_allclose(
        clean.state["moments"]["mfcc"]["mean"], values.mean(axis=(0, 1)), atol=1e-2
    )


@pytest.mark.slow
def test_evaluation_changes_nothing_and_leaves_out_padding():
    objective, first = initial(workers=SOME)
    batch = songs(6, seed=0)
    batch["valid"][4:] = 0
    judged = jax.jit(objective.evaluate)
    key = jax.random.key(0)
    loss = judged(first["params"], first["state"], batch, key)
    jax.tree.map(np.testing.assert_array_equal, loss.state, first["state"])
    np.testing.assert_array_equal(loss.per_example[4:], 0)
    other = batch | {"audio": batch["audio"].copy()}
    other["audio"][4:] = 0.1
    again = judged(first["params"], first["state"], other, key)
    np.testing.assert_allclose(again.per_example, loss.per_example, rtol=1e-5)


@pytest.mark.slow
def test_one_window_is_enough():
    objective, first = initial(num_views=1, workers=("lim", "gim", "spc"))
    assert objective.num_views == 1
    loss, _ = value_of(objective, first, songs(4, seed=0, num_views=1))
    assert loss.per_example.shape == (4,) and np.isfinite(loss.per_example).all()


def test_pase_plus_has_its_twelve_workers_and_their_sizes():
    model = models.build("pase", num_labels=2, window_s=2.0, **network.PLUS)
    shapes = jax.eval_shape(made(pase, model, **PLUS).init, jax.random.key(0))
    workers = shapes["params"]["workers"]
    assert len(workers) == 12 and "spc" not in workers
    outputs = {
        name: worker["W"]["bias"].shape[0] for name, worker in workers.items() if "W" in worker
    }
    # Outputs of the published configuration, and seven frames of each.
    frames = {"lps": 3075, "lps_long": 3075, "fbank": 120, "fbank_long": 120, "gammatone": 120}
    frames |= {"gammatone_long": 120, "mfcc": 39, "mfcc_long": 60, "prosody": 12}
    assert outputs == {name: 7 * size for name, size in frames.items()} | {"lim": 1, "gim": 1}
    assert workers["lim"]["hidden"]["kernel"].shape == (2 * 256, 256)


def test_published_sizes_of_pase():
    objective = made(pase, models.build("pase", num_labels=2))
    workers = jax.eval_shape(objective.init, jax.random.key(0))["params"]["workers"]
    assert tuple(workers) and set(workers) == set(PUBLISHED)
    sizes = {name: workers[name]["W"]["kernel"].shape for name in ("lps", "mfcc", "prosody")}
    assert sizes == {"lps": (256, 1025), "mfcc": (256, 20), "prosody": (256, 4)}
    assert workers["spc"]["hidden"]["kernel"].shape == (6 * 100, 256)
    decoder = workers["waveform"]
    assert [decoder[f"deconv{i}"]["kernel"].shape for i in range(3)] == [
        (30, 100, 512),
        (30, 512, 256),
        (30, 256, 128),
    ]
    assert decoder["mlp"]["hidden"]["kernel"].shape == (128, 64)


@pytest.mark.slow
def test_pase_plus_learns_in_one_step_what_it_is_given():
    model = small_model(skips="sum", recurrent="qrnn", hidden_size=8)
    batch, key = songs(2, seed=0), jax.random.key(0)

    def passed(objective):
        def run(batch):
            initial = objective.init(key)
            return objective.loss(initial["params"], initial["state"], batch, key)

        return run

    every = made(pase, model, **PLUS | {"workers": WORKERS} | SMALL)
    metrics = jax.eval_shape(passed(every), batch).metrics
    assert {f"loss_{name}" for name in WORKERS} <= metrics.keys()
    # What each is to tell is finite, as test_targets.py says: one of each kind is enough.
    some = ("waveform", "mfcc", "gammatone_long", "lim")
    loss = jax.jit(passed(made(pase, model, **PLUS | {"workers": some} | SMALL)))(batch)
    assert np.isfinite(loss.per_example).all()


@pytest.mark.parametrize(
    ("kernel_size", "stride"), [(30, 4), (30, 10), (7, 5), (4, 3), (5, 8), (3, 3), (3, 1)]
)
@pytest.mark.slow_beyond(3)
def test_deconvolution_is_its_sum(kernel_size, stride):
    rng = np.random.default_rng(0)
    x, kernel = rng.standard_normal((2, 9, 3)), rng.standard_normal((kernel_size, 3, 2))
    padding = max(0, kernel_size - stride) // 2
    expected = np.zeros((2, 9 * stride, 2))
    for n in range(9 * stride):
        for i in range(9):
            if 0 <= (tap := n + padding - stride * i) < kernel_size:
                expected[:, n] += x[:, i] @ kernel[tap]
    found = deconvolved(jnp.asarray(x), jnp.asarray(kernel), stride=stride, padding=padding)
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize(
    ("strides", "kernel_size"), [((4, 4, 10), 30), ((2, 5), 7), ((3,), 4), ((8,), 5)]
)
def test_the_decoder_makes_a_hop_of_every_latent(strides, kernel_size):
    worker = WaveformWorker((3,) * len(strides), strides, kernel_size)
    samples, _ = jax.eval_shape(
        functools.partial(worker.init_with_output, jax.random.key(0)), jnp.zeros((2, 9, 4))
    )
    assert samples.shape == (2, 9 * math.prod(strides))


@pytest.mark.slow
def test_workers_see_one_latent_each():
    x = np.random.default_rng(0).standard_normal((2, 5, 4)).astype("f4")
    worker = MLPWorker(3, hidden_size=6)

    @jax.jit
    def run(x):
        params = worker.init(jax.random.key(1), x)
        return worker.apply(params, x), worker.apply(params, x[:, 2:3])

    whole, alone = jax.device_get(run(x))
    np.testing.assert_allclose(whole[:, 2:3], alone, atol=1e-6)


def test_neighbours_are_what_a_loop_finds():
    rng = np.random.default_rng(0)
    predicted, wanted = rng.standard_normal((2, 6, 15)), rng.standard_normal((2, 6, 3))
    expected = np.zeros(2)
    for frame in range(6):
        for k in range(5):
            at = frame + k - 2
            value = wanted[:, at] if 0 <= at < 6 else 0.0
            difference = predicted[:, frame, 3 * k : 3 * k + 3] - value
            expected += (difference**2).sum(axis=1) / (6 * 15)
    found = frames_error(jnp.asarray(predicted), jnp.asarray(wanted), context_frames=5)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"workers": ("lps", "phase")}, "workers has phase; it must have some of waveform, lps"),
        ({"workers": ()}, r"workers is \(\)"),
        ({"workers": ("lps", "lps")}, "each once"),
        ({"num_views": 3}, "objective.args.num_views is 3; allowed: 1, 2"),
        ({"num_deltas": 3}, "objective.args.num_deltas is 3; allowed: 0, 1, 2"),
        ({"context_frames": 4}, "context_frames is 4; it must be odd"),
        ({"decoder_strides": (4, 4, 10)}, "in all 160; it must make the hop of the network, 40"),
        ({"spc_gap": 16}, "takes 35 latents; a window of 0.32 s has 32. Raise model.window_s"),
    ],
)
def test_errors(settings, message):
    with pytest.raises(ValueError, match=message):
        made(pase, small_model(), **SMALL | settings)


def test_other_networks_and_single_songs_are_refused():
    with pytest.raises(ValueError, match="for objective.name 'pase' take pase"):
        made(pase, models.build("clmr_sample_cnn", num_labels=2))
    objective = made(pase, small_model(), **SMALL)
    first = jax.eval_shape(objective.init, jax.random.key(0))
    with pytest.raises(ValueError, match="train.batch_size is 1"):
        given = (first["params"], first["state"], songs(1, seed=0), jax.random.key(0))
        jax.eval_shape(objective.loss, *given)


def test_all_targets_have_a_worker():
    assert set(TARGETS) < set(WORKERS)
