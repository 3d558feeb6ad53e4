"""How songs are cut: windows of any length, any number of them, from 0.5 s to 30 min."""

import tracemalloc

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import soundfile

import mclf_jax as mclf
from mclf_jax import models
from mclf_jax.api import Tagger
from mclf_jax.audio.decode import read_audio
from mclf_jax.audio.features import Waveform
from mclf_jax.models import Model

# A ramp of places is far out of -1..1.
pytestmark = pytest.mark.filterwarnings("ignore:the array. its samples reach")
RATE_HZ = 1000
SMALL = {
    "musicnn": {"n_channels": 2, "backend_channels": 2, "dense_units": 4},
    "crnn": {"n_channels": 2, "hidden_size": 2},
    "cnnsa": {"n_channels": 4, "num_heads": 2, "num_layers": 1},
    "music_tagging_transformer": {
        "conv_channels": 2,
        "attention_dim": 4,
        "num_heads": 2,
        "num_layers": 1,
    },
    "cpc": {"n_channels": 2, "context_dim": 2},
    "wav2vec": {"n_channels": 2, "context_kernel_sizes": (3,)},
    "pase": {"n_channels": 2, "embedding_dim": 4},
    "mobilenet": {"hidden_size": 64},
    "vit": {"attention_dim": 8, "head_dim": 4, "num_layers": 1},
    "rvq": {"num_stages": 1, "num_codes": 4},
    "musicfm": {"conv_channels": 2, "attention_dim": 4, "num_heads": 2, "num_layers": 1},
}


class Ear(nn.Module):
    """Says where its window begins and ends, if the song is `ramp`, and what it was given."""

    num_labels: int = 4

    @nn.compact
    def __call__(self, x, *, train: bool):
        rows, length = (jnp.full(len(x), float(size)) for size in x.shape)
        logits = jnp.stack([x[:, 0], x[:, -1], length, rows], axis=1)
        return {"logits": logits, "embedding": logits[:, :2]}


def ear(*, length="any", **cut):
    """A tagger that hears 0.5 s at 1 kHz and answers with `Ear`'s numbers."""
    model = Model("ear", Ear(), Waveform(RATE_HZ), window_samples=500, length=length)
    return Tagger(model, {}, labels=("first", "last", "length", "rows"), task="regression", **cut)


def constant_variables(model):
    """Variables without the time that drawing them takes."""
    shapes = jax.eval_shape(model.init, jax.random.key(0))
    return jax.tree.map(lambda leaf: np.full(leaf.shape, 0.1, leaf.dtype), shapes)


def ramp(num_samples):
    return np.arange(num_samples, dtype=np.float32)


def heard(tagger, num_samples, **arguments):
    """[W, 4] of a song: first and last sample, length and batch of each window."""
    return tagger.taggram(ramp(num_samples), sample_rate_hz=RATE_HZ, **arguments)["scores"]


def test_window_s_changes_what_the_network_is_given():
    scores = heard(ear(window_s=1.2), 5000)
    assert set(scores[:, 2]) == {1200}
    np.testing.assert_array_equal(scores[:, 1] - scores[:, 0], 1199)
    assert set(heard(ear(), 5000)[:, 2]) == {500}


@pytest.mark.parametrize("num_samples", [500, 501, 1700, 4999, 20_000])
@pytest.mark.parametrize("hop_s", [0.3, 0.5, 0.9])
def test_hop_s_reaches_the_end_of_the_song(num_samples, hop_s):
    taggram = ear(hop_s=hop_s).taggram(ramp(num_samples), sample_rate_hz=RATE_HZ)
    first, last = taggram["scores"][:, 0], taggram["scores"][:, 1]
    assert (first[0], last[-1]) == (0, num_samples - 1)
    hop = round(hop_s * RATE_HZ)
    np.testing.assert_array_equal(first[:-1], np.arange(len(first) - 1) * hop)
    assert (np.diff(first) <= hop).all()
    np.testing.assert_allclose(taggram["times_s"], (first + 250) / RATE_HZ, atol=1e-9)
    assert taggram["window_s"] == 0.5
    # and the song's scores are the means over these windows
    scores = ear(hop_s=hop_s).predict(ramp(num_samples), sample_rate_hz=RATE_HZ)
    assert scores["first"] == pytest.approx(first.mean())


def test_num_windows_are_spread_from_end_to_end():
    predict = {"audio": ramp(10_500), "sample_rate_hz": RATE_HZ}
    for cut, starts in (
        ({}, np.linspace(0, 10_000, 16).round()),
        ({"num_windows": 3}, [0, 5000, 10_000]),
        ({"num_windows": 1}, [0]),
    ):
        assert ear(**cut).predict(**predict)["first"] == pytest.approx(np.mean(starts))
    both = ear(num_windows=3).predict([ramp(10_500), ramp(700)], sample_rate_hz=RATE_HZ)
    assert [scores["first"] for scores in both] == [5000, 100]
    embeddings = ear(num_windows=3).embed([ramp(10_500), ramp(700)], sample_rate_hz=RATE_HZ)
    np.testing.assert_allclose(embeddings, [[5000, 5499], [100, 599]])


def test_a_taggram_takes_the_hop_of_its_argument_then_the_taggers_then_half_a_window():
    def hop(tagger, **arguments):
        return np.diff(heard(tagger, 5000, **arguments)[:2, 0]).item()

    assert hop(ear()) == 250
    assert hop(ear(hop_s=0.4)) == 400
    assert hop(ear(hop_s=0.4), hop_s=0.1) == 100


def test_few_windows_make_a_small_batch_and_long_ones_too():
    for num_samples, cut, rows in (
        (500, {}, [1]),
        (1250, {}, [4]),  # 4 windows
        (1500, {}, [8]),  # 5 windows
        (2 * 16 * 250 + 300, {}, [16]),  # the rest of 16 and 1 is not compiled anew
        (20_000, {"window_s": 1.0}, [8]),
        (20_000, {"window_s": 10.0}, [1]),
    ):
        assert np.unique(heard(ear(**cut), num_samples)[:, 3]).tolist() == rows


def test_what_cannot_be_is_refused_in_words():
    for cut, said in (
        ({"num_windows": 0}, "num_windows is 0; it must be at least 1"),
        ({"num_windows": 4, "hop_s": 1.0}, "num_windows=4 and hop_s=1.0.*leave one of them out"),
        ({"hop_s": 0.0}, "hop_s is 0.0; it must be a positive"),
        ({"hop_s": float("nan")}, "hop_s is nan"),
        ({"window_s": -1.0}, "window_s is -1.0"),
        ({"window_s": float("inf")}, "window_s is inf"),
    ):
        with pytest.raises(ValueError, match=said):
            ear(**cut)
    with pytest.raises(ValueError, match="hop_s is -1"):
        heard(ear(), 5000, hop_s=-1)
    with pytest.raises(ValueError, match="window_s is 0.6, but ear .* 0.5 s.*num_windows or hop_s"):
        ear(length="fixed", window_s=0.6)
    assert heard(ear(length="fixed", window_s=0.5, num_windows=2), 900).shape == (3, 4)


@pytest.mark.parametrize(
    ("name", "window_s", "said"),
    [
        ("short_chunk_cnn", 1.9, "window_s=1.9 does not suit short_chunk_cnn: the input is too"),
        ("harmonic_cnn", 4.0, "window_s=4 does not suit harmonic_cnn: the input is too small"),
        ("music_tagging_transformer", 50, "window_s=50 does not suit.* tokens"),
        ("crnn", 10, "window_s is 10, but crnn is made for one length"),
    ],
)
def test_lengths_that_a_network_does_not_take(name, window_s, said):
    model = models.build(name, num_labels=2, **SMALL.get(name, {"n_channels": 2}))
    variables = constant_variables(model)
    with pytest.raises(ValueError, match=said):
        Tagger(model, variables, labels=("a", "b"), task="multi_label", window_s=window_s)


@pytest.mark.slow
def test_longer_windows_go_through_the_network_whole():
    model = mclf.build_model(
        "short_chunk_cnn",
        num_labels=2,
        n_channels=2,
        num_blocks=2,
        window_s=0.5,
        features={"sample_rate_hz": 1000, "n_fft": 64, "hop_length": 32, "n_mels": 8},
    )
    variables = jax.jit(model.init)(jax.random.key(0))
    audio = 0.1 * np.random.default_rng(0).standard_normal(2000).astype(np.float32)
    tagger = Tagger(model, variables, labels=("a", "b"), task="regression", window_s=2.0)
    expected = jax.jit(model.apply)(variables, audio[None])["logits"][0]
    scores = tagger.predict(audio, sample_rate_hz=1000)
    np.testing.assert_allclose(list(scores.values()), expected, rtol=1e-5)


@pytest.mark.parametrize("name", list(models.ARCHITECTURES))
@pytest.mark.slow_beyond(3)
def test_every_network_takes_half_a_second(name):
    model = models.build(name, num_labels=2, **SMALL.get(name, {"n_channels": 2}))
    tagger = Tagger(
        model, constant_variables(model), labels=("a", "b"), task="multi_label", num_windows=1
    )
    audio = 0.1 * np.random.default_rng(0).standard_normal(8000).astype(np.float32)
    scores = tagger.predict([audio, np.tile(audio, 90)], sample_rate_hz=16000)
    assert np.isfinite([list(song.values()) for song in scores]).all()


@pytest.mark.parametrize(("ending", "rate_hz"), [("wav", 8000), ("ogg", 8000), ("mp3", 8000)])
def test_files_are_heard_as_arrays_are(tmp_path, ending, rate_hz):
    path = tmp_path / f"song.{ending}"
    noise = 0.1 * np.random.default_rng(0).standard_normal(10 * rate_hz)
    soundfile.write(path, noise, rate_hz)
    audio = read_audio(path, sample_rate_hz=RATE_HZ)
    for tagger in (ear(), ear(hop_s=0.3), ear(hop_s=3.0)):
        of_file, of_array = tagger.taggram(path), tagger.taggram(audio, sample_rate_hz=RATE_HZ)
        np.testing.assert_allclose(of_file["times_s"], of_array["times_s"])
        np.testing.assert_allclose(of_file["scores"], of_array["scores"], atol=1e-5)
        np.testing.assert_allclose(
            tagger.embed(path), tagger.embed(audio, sample_rate_hz=RATE_HZ), atol=1e-5
        )


@pytest.mark.parametrize("cut", [{}, {"window_s": 3.0, "hop_s": 1.0}])
@pytest.mark.slow
def test_half_an_hour_is_never_held(tmp_path, cut):
    path = tmp_path / "long.wav"
    soundfile.write(path, np.zeros(30 * 60 * 8000, np.int16), 8000)  # 55 MiB as float32
    tagger = ear(**cut)
    tagger.taggram(ramp(20_000), sample_rate_hz=RATE_HZ)  # compiles
    tracemalloc.start()
    try:
        tagger.predict(path)
        taggram = tagger.taggram(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(taggram["times_s"]) > 1790
    assert peak < 6 * 2**20
