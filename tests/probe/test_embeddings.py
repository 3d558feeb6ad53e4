"""Embeddings: of a frozen network, without augmentation, made once."""

import json

import jax
import librosa
import numpy as np
import pytest

from mclf_jax import objectives
from mclf_jax.audio.features import Mfcc
from mclf_jax.common import keys, parallel
from mclf_jax.evaluation.windows import song_windows
from mclf_jax.objectives.context import context_of
from mclf_jax.probe import encoders
from mclf_jax.run import experiment
from mclf_jax.run.directory import read_config
from mclf_jax.run.weights import load_variables
from mclf_jax.shallow import embeddings as cache
from mclf_jax.shallow.embeddings import Embeddings, Encoder, extract
from mclf_jax.shallow.mfcc import make_mfcc, mfcc_statistics
from mclf_jax.train.step import init_state


def opened(run):
    return experiment.build(read_config(run))


def embed(run, encoder=None, *, directory=None, songs=None):
    parts = opened(run)
    encoder = encoder or encoders.load_trained(run, parts)
    songs = np.arange(10) if songs is None else songs
    directory = directory or run / "probe" / "embeddings"
    return extract(encoder, parts.source, songs, directory=directory, progress="off")


def contents(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.slow
def test_embeddings_are_the_network_s_own(run):
    """Window by window what the network says of the audio, and all windows of evaluation."""
    found, parts = embed(run), opened(run)
    windows = song_windows(parts, np.arange(10))
    np.testing.assert_array_equal(found.songs, windows[:, 0])
    variables = load_variables(run, parts.model, parallel.make_mesh(1))["variables"]
    audio = np.stack(
        [parts.source.read(i, start_sample=start, num_samples=500) for i, start in windows]
    )
    expected = jax.jit(parts.model.apply)(variables, audio)["embedding"]
    np.testing.assert_allclose(found.vectors, expected, rtol=1e-3, atol=1e-3)


@pytest.mark.slow
def test_the_encoder_is_frozen(run):
    """Neither parameters nor batch statistics move, in memory or on disk."""
    parts, before = opened(run), contents(run / "checkpoints")
    encoder = encoders.load_trained(run, parts)
    first = embed(run, encoder, directory=run / "a").vectors
    second = embed(run, encoder, directory=run / "b").vectors
    np.testing.assert_array_equal(first, second)
    assert encoders.load_trained(run, parts).identity == encoder.identity
    assert contents(run / "checkpoints") == before
    # In training mode the statistics would move: that they are there to be moved.
    model, abstract = parts.model, jax.eval_shape(parts.model.init, jax.random.key(0))
    assert jax.tree.leaves(abstract["batch_stats"])
    variables = load_variables(run, model, parallel.make_mesh(1))["variables"]
    _, moved = jax.jit(model.apply_train)(
        variables["params"],
        {"batch_stats": variables["batch_stats"]},
        np.random.default_rng(0).standard_normal((4, *model.input_shape)).astype("f4"),
        key=jax.random.key(0),
    )
    same = jax.tree.map(np.array_equal, moved["batch_stats"], variables["batch_stats"])
    assert not all(jax.tree.leaves(same))


def test_augmentation_of_training_is_not_applied(run):
    plain = embed(run, directory=run / "plain").vectors
    config = json.loads((run / "config.json").read_text())
    config["augment"] |= {"chain": [["gain", 1.0, {}]], "on": "device", "gain_db": 6.0}
    config["augment"]["num_time_masks"] = 3
    config["features"]["on"] = "device"
    (run / "config.json").write_text(json.dumps(config))
    assert opened(run).chains.waveform is not None
    augmented = embed(run, directory=run / "augmented").vectors
    # Features on the device instead of in the pipeline differ in rounding alone.
    np.testing.assert_allclose(augmented, plain, rtol=1e-3, atol=1e-3)


def test_the_untrained_network_is_that_of_the_first_step(run, monkeypatch):
    """Through the objective, with the key of training; other seeds are other networks."""
    parts = opened(run)
    context = context_of(
        parts.model,
        parts.config,
        chains=parts.chains,
        task="single_label",
        label_names=parts.source.info.labels,
        targets=lambda: None,
        total_steps=4,
    )
    objective = objectives.build(context, parts.config)

    class NoOptimizer:
        class transform:  # noqa: N801
            init = staticmethod(lambda params: ())

    key = keys.stream(parts.config.seed, "init")
    state = init_state(key, objective=objective, optimizer=NoOptimizer, ema_decay=0.0)
    original, started = encoders._network, []

    def recorded(name, parts, variables, **arguments):
        started.append(variables)
        return original(name, parts, variables, **arguments)

    monkeypatch.setattr(encoders, "_network", recorded)
    made = encoders.make_untrained(run, parts, seeds=(0, 1))
    # Compiled as one program or not, the last bit of a draw may differ.
    for one, other in zip(*map(jax.tree.leaves, (started[0], state.variables())), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-7)
    assert made[1].identity["weights"] != made[0].identity["weights"]
    assert made[0].identity["weights"] != encoders.load_trained(run, parts).identity["weights"]
    vectors = [embed(run, made[seed]).vectors for seed in (0, 1)]
    assert np.abs(vectors[0] - vectors[1]).max() > 1e-3


def test_the_second_time_nothing_is_computed(run, monkeypatch):
    first = embed(run)
    parts = opened(run)
    encoder = encoders.load_trained(run, parts)

    def refuse(*args, **kwargs):
        raise AssertionError("the network was run again")

    monkeypatch.setattr(cache, "_compute", refuse)
    again = embed(run, encoder)
    np.testing.assert_array_equal(again.vectors, first.vectors)
    np.testing.assert_array_equal(again.songs, first.songs)
    with pytest.raises(AssertionError, match="run again"):
        embed(run, encoder, songs=np.arange(3))  # other songs
    config = json.loads((run / "config.json").read_text())
    config["eval"]["num_windows"] = 3
    (run / "config.json").write_text(json.dumps(config))
    with pytest.raises(AssertionError, match="run again"):
        embed(run)  # other windows


@pytest.mark.parametrize("damage", ["cut", "no archive", "wrong shape"])
def test_a_damaged_file_is_made_anew(run, damage):
    first = embed(run)
    (path,) = (run / "probe" / "embeddings").iterdir()
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-100])
    elif damage == "no archive":
        path.write_bytes(b"nothing")
    else:
        with np.load(path) as file:
            identity = file["identity"]
        with path.open("wb") as file:
            np.savez(file, identity=identity, songs=first.songs[:3], vectors=first.vectors)
    np.testing.assert_array_equal(embed(run).vectors, first.vectors)
    with np.load(path, allow_pickle=False) as file:
        np.testing.assert_array_equal(file["vectors"], first.vectors)
    assert [p.name for p in path.parent.iterdir()] == [path.name]  # and nothing half-written


def test_songs_that_cannot_be_read_are_left_out(run):
    parts = opened(run)
    parts.source.broken = (2, 5)
    for encoder in (encoders.load_trained(run, parts), make_mfcc(parts)):
        found = extract(
            encoder, parts.source, np.arange(8), directory=run / encoder.name, progress="off"
        )
        assert set(found.songs) == {0, 1, 3, 4, 6, 7}


def test_a_network_that_broke_down_is_an_error(run):
    def encode(songs, progress):
        return Embeddings(songs, np.full((len(songs), 4), np.nan, np.float32))

    broken = Encoder("trained", {}, encode)
    with pytest.raises(ValueError, match="10 of 10 embeddings of the trained encoder are not fin"):
        embed(run, broken)
    assert not (run / "probe").exists()


def test_statistics_of_mfccs_are_librosa_s():
    settings = Mfcc(sample_rate_hz=16000, n_mels=40)
    audio = np.random.default_rng(0).standard_normal(16000).astype(np.float32)
    mel = librosa.feature.melspectrogram(
        y=audio, sr=16000, n_fft=512, hop_length=256, n_mels=40, htk=True, norm=None,
        pad_mode="reflect",
    )  # fmt: skip
    coefficients = librosa.feature.mfcc(S=librosa.power_to_db(mel, top_db=None), n_mfcc=20)
    deltas = librosa.feature.delta(coefficients, mode="nearest")
    expected = [f(x, axis=1) for x in (coefficients, deltas) for f in (np.mean, np.std)]
    found = mfcc_statistics(audio, settings)
    np.testing.assert_allclose(found, np.concatenate(expected), rtol=1e-3, atol=1e-2)
    assert mfcc_statistics(audio[:100], settings).shape == (80,)
