"""Augmentation in training: where the config says, in training only, the same however it runs."""

import collections
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import soundfile

from mclf_jax import augment, losses, objectives
from mclf_jax.common import parallel
from mclf_jax.data import pipeline, sampling
from mclf_jax.evaluation.windows import make_step
from mclf_jax.objectives.context import context_of
from mclf_jax.run import checkpoint, experiment
from mclf_jax.train import setup, train
from mclf_jax.train.overview import describe
from tests.tiny import final_arrays, tiny_config

CHAIN = (
    ("polarity_inversion", 0.5, {}),
    ("gain", 0.8, {"min_db": -12.0, "max_db": 0.0}),
    ("noise", 0.5, {"min_snr_db": 3.0, "max_snr_db": 20.0}),
    ("shift", 1.0, {"max_fraction": 0.3}),
)
WAVEFORM = {"augment__chain": CHAIN}
ON_DEVICE = WAVEFORM | {"augment__on": "device", "features__on": "device"}
MIXING = {"augment__mixup_alpha": 0.4, "augment__cutmix_alpha": 1.0}
EVERYTHING = {"augment__gain_db": 6.0, "augment__frame_shift_fraction": 0.2} | MIXING


def parts_of(**changes):
    return experiment.build(tiny_config(**changes))


def batches_of(parts, *, num_workers=0, first_step=0, count=5, **arguments):
    dataset = pipeline.training_batches(
        parts.source,
        parts.indices("train"),
        inputs=parts.inputs,
        batch_size=4,
        seed=0,
        augment=parts.pipeline_augmentation,
        **arguments,
    )
    found = pipeline.iterate(
        dataset[first_step:count], num_threads=2, prefetch=4, num_workers=num_workers
    )
    try:
        return list(found)
    finally:
        found.close()


def assert_equal(batches, others):
    for a, b in zip(batches, others, strict=True):
        assert a.keys() == b.keys()
        for name in a:
            np.testing.assert_array_equal(a[name], b[name])


def test_the_pipeline_augments_windows_and_nothing_else():
    plain = batches_of(parts_of(features__on="device"))
    changed = batches_of(parts_of(features__on="device", **WAVEFORM))
    for a, b in zip(plain, changed, strict=True):
        np.testing.assert_array_equal(a["index"], b["index"])
        assert b["audio"].shape == a["audio"].shape and b["audio"].dtype == np.float32
        assert (a["audio"] != b["audio"]).any(axis=1).all()
    # Each window has its own gain.
    levels = [np.abs(b["audio"]).max(axis=1) / np.abs(a["audio"]).max(axis=1)
              for a, b in zip(plain, changed, strict=True)]  # fmt: skip
    assert len(np.unique(np.round(levels, 3))) > 10


def test_features_are_those_of_the_augmented_window():
    parts = parts_of(**WAVEFORM)
    audio = batches_of(parts_of(features__on="device", **WAVEFORM))
    for batch, waveforms in zip(batches_of(parts), audio, strict=True):
        expected = parts.model.features(waveforms["audio"])
        np.testing.assert_allclose(batch["features"], expected, atol=1e-4)


@pytest.mark.parametrize("num_workers", [1, 2])
@pytest.mark.slow_beyond(1)
def test_same_batches_for_any_number_of_workers_and_after_a_restart(num_workers):
    parts = parts_of(**WAVEFORM)
    expected = batches_of(parts)
    assert_equal(batches_of(parts, num_workers=num_workers, first_step=2), expected[2:])


def test_processes_share_the_augmented_batch():
    parts = parts_of(**WAVEFORM)
    whole = batches_of(parts)[3]
    for process in (0, 1):
        part = batches_of(parts, process_index=process, process_count=2)[3]
        for name in whole:
            np.testing.assert_array_equal(part[name], whole[name][process::2])


def test_epochs_draw_anew():
    # Windows longer than the songs, so that they all start at 0.
    parts = parts_of(features__on="device", model__window_s=3.5, **WAVEFORM)
    seen = {}
    for batch in batches_of(parts, count=12):
        for index, audio in zip(batch["index"], batch["audio"], strict=True):
            seen.setdefault(int(index), []).append(audio)
    for audio, again, *_ in seen.values():
        assert not np.array_equal(audio, again)


def test_a_chain_that_changes_the_length_is_refused():
    parts = parts_of()
    crop = augment.compose([augment.RandomCrop(100)])
    dataset = pipeline.training_batches(
        parts.source,
        parts.indices("train"),
        inputs=parts.inputs,
        batch_size=4,
        seed=0,
        augment=crop,
    )
    with pytest.raises(ValueError, match="made 100 samples of 500; a window must keep its length"):
        dataset[0]


def test_evaluation_is_never_augmented():
    plain, augmented = parts_of(), parts_of(**WAVEFORM, **EVERYTHING)
    windows = [(0, 0), (1, 100)]
    first, second = (
        list(pipeline.evaluation_batches(p.source, windows, inputs=p.inputs, batch_size=2))
        for p in (plain, augmented)
    )
    assert_equal(first, second)
    batch = {name: jnp.asarray(array) for name, array in first[0].items()}
    variables = jax.jit(plain.model.init)(jax.random.key(0))
    scores = [
        make_step(p.model, outputs=("scores",), task="single_label")(variables, batch)["scores"]
        for p in (plain, augmented)
    ]
    np.testing.assert_array_equal(*scores)


def build_objective(parts):
    context = context_of(
        parts.model,
        parts.config,
        chains=parts.chains,
        task="single_label",
        label_names=parts.source.info.labels,
        targets=lambda: parts.targets("train"),
        total_steps=1,
    )
    return objectives.build(context, parts.config)


def loss_of(parts, batch, key):
    objective = build_objective(parts)
    initial = jax.jit(objective.init)(jax.random.key(1))
    return jax.jit(objective.loss)(initial["params"], initial["state"], batch, key)


@pytest.mark.slow
def test_the_device_augments_with_the_key_of_the_step():
    parts = parts_of(model__args__dropout_rate=0.0, **ON_DEVICE)
    assert parts.pipeline_augmentation is None
    (batch,) = batches_of(parts, count=1)
    batch.pop("failed")
    one, again, other = (loss_of(parts, batch, jax.random.key(k)).per_example for k in (0, 0, 1))
    np.testing.assert_array_equal(one, again)
    assert (one != other).all()
    # What it sees is the chain of `augment.build`, on the waveform.
    key = jax.random.split(jax.random.key(0), 4)[2]
    changed = batch | {"audio": parts.chains.waveform(key, batch["audio"])}
    plain = parts_of(model__args__dropout_rate=0.0, features__on="device")
    expected = loss_of(plain, changed, jax.random.key(0)).per_example
    np.testing.assert_allclose(one, expected, rtol=1e-4)


def test_pipeline_augmentation_is_not_applied_again_on_the_device():
    quiet = {"model__args__dropout_rate": 0.0, "features__on": "device"}
    (batch,) = batches_of(parts_of(**quiet), count=1)
    batch.pop("failed")
    losses_ = [
        loss_of(parts_of(**quiet, **more), batch, jax.random.key(0)).per_example
        for more in ({}, WAVEFORM)
    ]
    np.testing.assert_array_equal(*losses_)


@pytest.mark.slow
def test_mixing_trains_on_soft_labels():
    parts = parts_of(model__args__dropout_rate=0.0, augment__mixup_alpha=1.0)
    (batch,) = batches_of(parts, count=1)
    batch.pop("failed")
    key = jax.random.key(3)
    loss = loss_of(parts, batch, key)
    one_hot = jax.nn.one_hot(batch["label"], 2)
    mixed = augment.Mixup(1.0)(
        jax.random.split(key, 4)[3],
        {
            "x": jnp.asarray(batch["features"]),
            "label": one_hot,
            "valid": jnp.asarray(batch["valid"]),
        },
    )
    objective = build_objective(parts)
    initial = jax.jit(objective.init)(jax.random.key(1))
    outputs, _ = jax.jit(parts.model.apply_train)(
        initial["params"]["model"], initial["state"]["model"], mixed["x"], key=key
    )
    expected = losses.softmax_cross_entropy(outputs["logits"], mixed["label"])
    np.testing.assert_allclose(loss.per_example, expected, rtol=1e-4)
    right = np.asarray(mixed["label"])[np.arange(4), outputs["logits"].argmax(-1)]
    np.testing.assert_allclose(loss.metrics["accuracy"], right, atol=1e-6)
    assert ((right > 0) & (right < 1)).any()


@pytest.mark.slow
def test_eight_devices_augment_and_mix_as_one_does():
    parts = parts_of(model__args__dropout_rate=0.0, **ON_DEVICE, **EVERYTHING)
    dataset = pipeline.training_batches(
        parts.source, parts.indices("train"), inputs=parts.inputs, batch_size=16, seed=0
    )
    batch = {name: array for name, array in dataset[0].items() if name != "failed"}
    one, eight = (
        loss_of(parts, parallel.put_batch(batch, parallel.make_mesh(count)), jax.random.key(0))
        for count in (1, 8)
    )
    np.testing.assert_allclose(one.per_example, eight.per_example, rtol=1e-5)
    np.testing.assert_allclose(one.metrics["accuracy"], eight.metrics["accuracy"], atol=1e-6)


@pytest.mark.parametrize(
    "place",
    [
        pytest.param(WAVEFORM, id="pipeline"),
        pytest.param(ON_DEVICE, id="device", marks=pytest.mark.slow),
    ],
)
@pytest.mark.slow
def test_resumed_and_with_workers_equals_straight(tmp_path, monkeypatch, place):
    changes = {**place, **EVERYTHING, "train__num_steps": 8, "eval__every_steps": 4}
    train(tiny_config(**changes), workdir=tmp_path / "straight")
    save = checkpoint.save

    def full_disk(checkpoints, step, **arguments):
        if step == 8:
            raise OSError("no space left on device")
        save(checkpoints, step, **arguments)

    with monkeypatch.context() as context, pytest.raises(OSError, match="no space"):
        context.setattr(checkpoint, "save", full_disk)
        train(tiny_config(**changes), workdir=tmp_path / "resumed")
    # What workers do to a batch, they do in the pipeline.
    again = tiny_config(**changes, runtime__num_workers=2 if place is WAVEFORM else 0)
    assert train(again, workdir=tmp_path / "resumed").status == "finished"
    arrays = zip(
        final_arrays(tmp_path / "resumed"), final_arrays(tmp_path / "straight"), strict=True
    )
    for resumed, straight in arrays:
        np.testing.assert_array_equal(resumed, straight)
    config = json.loads((tmp_path / "straight" / "config.json").read_text())
    assert config["augment"]["chain"][1] == ["gain", 0.8, {"min_db": -12.0, "max_db": 0.0}]


def test_recordings_are_read_and_weights_balanced_once_a_run(tmp_path, monkeypatch):
    """However many stages and starts there are."""
    count = collections.Counter()

    def counting(function):
        def call(*args, **kwargs):
            count[function.__name__] += 1
            return function(*args, **kwargs)

        return call

    monkeypatch.setattr(augment, "read_recordings", counting(augment.read_recordings))
    monkeypatch.setattr(sampling, "weights", counting(sampling.weights))
    soundfile.write(tmp_path / "rain.wav", np.sin(np.arange(1000) / 3), 1000)
    rain = ("background_mix", 0.5, {"background": str(tmp_path)})
    run = setup.build(
        tiny_config(
            augment__chain=(rain,),
            augment__on="device",
            features__on="device",
            data__sampling="label",
            init__freeze=("*", "!{head}"),
            init__unfreeze=((1, "layer2"), (2, "layer1")),
            optim__ema_decay=0.0,
        )
    )
    assert run.parts.train_weights is not None
    assert len(run.steps()) == 3 and len(run.batches()) and run.batches()
    jax.eval_shape(run.initial_state, jax.eval_shape(run.parts.model.init, jax.random.key(0)))
    assert run.parts.chains.waveform is not None
    assert count == {"read_recordings": 1, "weights": 1}


def test_inspect_prints_the_chains():
    sections = describe(tiny_config(**WAVEFORM, **EVERYTHING))
    section = next(text for text in sections if "Augmentation" in text)
    for expected in (
        "waveforms, in the pipeline: compose([\n",
        "    random_apply(PolarityInversion(), p=0.5),\n",
        "spectrograms: compose([SpectrogramGain(max_db=6.0), FrameShift(max_fraction=0.2)])",
        "across the batch: MixupOrCutmix(mixup=Mixup(alpha=0.4), cutmix=Cutmix(alpha=1.0))",
    ):
        assert expected in section
