"""The data set as a `Source`: contract, determinism, splits, and what gives the labels away."""

import hashlib
import pickle
import subprocess
import sys
import time

import numpy as np
import pytest
from sklearn.model_selection import GroupKFold, cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from mclf_jax.data.base.source import TASKS, Example
from mclf_jax.data.synthesis.score import KEYS
from mclf_jax.data.synthesis.songs import synthetic
from mclf_jax.data.synthesis.styles import STYLES


@pytest.fixture(scope="module")
def source():
    return synthetic(num_songs=120, song_s=8.0)


@pytest.fixture(scope="module")
def songs(source):
    """Float32 [120, T]: every song of `source`."""
    return np.stack([source[i]["audio"] for i in range(len(source))])


def test_example_is_what_the_contract_says(source):
    example = source[7]
    assert set(example) == set(Example.__annotations__)
    assert example["audio"].dtype == np.float32
    assert example["audio"].shape == (source.num_samples(7),) == (8 * 16000,)
    assert example["label"].dtype == np.int32 and example["label"].shape == ()
    assert example["valid"].dtype == np.float32 and example["valid"] == 1
    assert example["index"].dtype == np.int32 and example["index"] == 7


@pytest.mark.parametrize("task", ["style", "key", "instruments", "emotion", "tempo"])
def test_labels_of_every_task(task):
    source = synthetic(task=task, num_songs=60)
    labels = source.labels[:60]
    num_labels = len(source.info.labels)
    assert source.info.task in TASKS
    if source.info.task == "single_label":
        assert labels.dtype == np.int32 and labels.ndim == 1
        assert labels.min() >= 0 and labels.max() < num_labels
        assert len(np.unique(labels)) > num_labels / 2
    else:
        assert labels.dtype == np.float32 and labels.shape == (60, num_labels)
        assert np.abs(labels).max() <= 1.0 + (task == "tempo") * 0.2
        assert (labels.std(axis=0) > 0.2).all()


def test_labels_agree_with_the_score():
    for task, of_score in {
        "style": lambda score, names: names.index(score.artist.style),
        "key": lambda score, names: names.index(score.key),
        "tempo": lambda score, names: [np.log2(score.tempo_bpm / 120)],
        "instruments": lambda score, names: [name in score.instruments for name in names],
        "emotion": lambda score, names: [score.emotion[name] for name in names],
    }.items():
        source = synthetic(task=task, num_songs=30)
        for index in (0, 13, 29):
            expected = of_score(source.score(index), source.info.labels)
            np.testing.assert_allclose(source.labels[index], expected, rtol=1e-6)


def test_any_window_is_the_slice_of_the_song(source):
    rng = np.random.default_rng(0)
    for index in range(20):
        song = source[index]["audio"]
        for start in (0, 1, 500, int(rng.integers(len(song)))):
            length = int(rng.integers(1, 80000))
            window = source.read(index, start_sample=start, num_samples=length)
            assert window.dtype == np.float32
            assert len(window) == min(length, len(song) - start)
            np.testing.assert_allclose(window, song[start : start + length], rtol=0, atol=1e-6)


def test_windows_at_and_beyond_the_end_are_short(source):
    total = source.num_samples(0)
    assert len(source.read(0, start_sample=total - 10, num_samples=100)) == 10
    assert len(source.read(0, start_sample=total, num_samples=100)) == 0
    assert len(source.read(0, start_sample=total + 5, num_samples=100)) == 0
    assert len(source.read(0, start_sample=0, num_samples=0)) == 0
    with pytest.raises(ValueError, match="start_sample is -1"):
        source.read(0, start_sample=-1, num_samples=100)


@pytest.mark.parametrize("index", [-1, 120, 10**9])
def test_no_song_outside_the_range(source, index):
    for ask in (source.__getitem__, source.num_samples, source.item_id):
        with pytest.raises(IndexError, match="0 to 119"):
            ask(index)


def test_songs_of_a_second_can_be_iterated():
    source = synthetic(num_songs=60, song_s=1.0, task="emotion")
    examples = list(source)
    assert [example["index"] for example in examples] == list(range(60))
    for example in examples:
        assert np.isfinite(example["label"]).all()
        assert example["audio"].shape == (16000,) and 0.005 < example["audio"].std() < 0.3


def _digest(wave):
    return hashlib.sha256(wave.tobytes()).hexdigest()


def test_another_process_renders_the_same_bits(source):
    code = (
        "import hashlib\n"
        "from mclf_jax.data.synthesis.songs import synthetic\n"
        "s = synthetic(num_songs=120, song_s=8.0)\n"
        "for i in (41, 5, 17):\n"
        "    print(hashlib.sha256(s[i]['audio'].tobytes()).hexdigest())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    here = {i: _digest(source[i]["audio"]) for i in (5, 17, 41)}
    assert done.stdout.split() == [here[41], here[5], here[17]]


def test_pickled_copy_is_the_same(source):
    data = pickle.dumps(source)
    assert len(data) < 50_000
    copy = pickle.loads(data)
    assert copy == source and copy.info.fingerprint == source.info.fingerprint
    np.testing.assert_array_equal(
        copy.read(3, start_sample=900, num_samples=4000),
        source.read(3, start_sample=900, num_samples=4000),
    )


def test_a_longer_data_set_begins_with_the_shorter():
    short, long = synthetic(num_songs=30, task="emotion"), synthetic(num_songs=330)
    window = {"start_sample": 20000, "num_samples": 8000}
    assert short.info.groups == long.info.groups[:30]
    for split, indices in short.info.splits.items():
        assert set(indices) <= set(long.info.splits[split])
    for index in (0, 12, 29):
        np.testing.assert_array_equal(short.read(index, **window), long.read(index, **window))


def test_fingerprint_and_audio_change_with_the_settings():
    base = {"task": "style", "num_songs": 40, "song_s": 4.0, "sample_rate_hz": 16000, "seed": 0}
    changes = {"task": "key", "num_songs": 50, "song_s": 5.0, "sample_rate_hz": 22050, "seed": 1}
    prints = {synthetic(**base).info.fingerprint}
    for name, value in changes.items():
        prints.add(synthetic(**{**base, name: value}).info.fingerprint)
    assert len(prints) == 6
    assert synthetic(**base).info.fingerprint in prints
    one, two = (synthetic(**{**base, "seed": seed})[0]["audio"] for seed in (0, 1))
    assert np.abs(one - two).max() > 0.01


@pytest.mark.parametrize(
    "arguments, words",
    [
        ({"task": "genre"}, "task is 'genre'; allowed: style, key, instruments, emotion, tempo"),
        ({"num_songs": 29}, "num_songs is 29; it must be at least 30"),
        ({"song_s": 0.5}, "song_s is 0.5"),
        ({"song_s": float("inf")}, "song_s is inf"),
        ({"song_s": float("nan")}, "song_s is nan"),
        ({"sample_rate_hz": 4000}, "sample_rate_hz is 4000"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_wrong_settings_are_named(arguments, words):
    with pytest.raises(ValueError, match=words):
        synthetic(**arguments)


@pytest.mark.parametrize("num_songs", [30, 120, 400])
def test_splits_are_by_artist_and_have_every_style(num_songs):
    info = synthetic(num_songs=num_songs).info
    splits, groups = info.splits, np.array(info.groups)
    everything = np.concatenate(list(splits.values()))
    np.testing.assert_array_equal(np.sort(everything), np.arange(num_songs))
    artists = {name: set(groups[indices]) for name, indices in splits.items()}
    assert not artists["train"] & artists["valid"]
    assert not artists["train"] & artists["test"]
    assert not artists["valid"] & artists["test"]
    for indices in splits.values():
        counts = np.bincount(indices % len(STYLES), minlength=len(STYLES))
        assert counts.min() > 0 and counts.max() == counts.min()


def test_four_hundred_songs_are_split_70_15_15():
    splits = synthetic().info.splits
    assert {name: len(indices) for name, indices in splits.items()} == {
        "train": 280,
        "valid": 60,
        "test": 60,
    }


def test_every_style_is_in_every_key():
    source = synthetic(num_songs=240, task="key")
    for style in range(len(STYLES)):
        tonics = {KEYS[source.labels[i]].split()[0] for i in range(style, 240, len(STYLES))}
        assert len(tonics) == 12


def test_every_instrument_is_neither_rare_nor_everywhere():
    source = synthetic(task="instruments")
    tags = source.labels
    assert tags.mean(axis=0).min() > 0.15 and tags.mean(axis=0).max() < 0.8
    for style in range(len(STYLES)):
        assert (tags[style :: len(STYLES)].sum(axis=0) >= 2).all()


@pytest.mark.slow
def test_level_is_sane(songs):
    assert np.isfinite(songs).all()
    assert np.abs(songs).max() <= 1.0
    rms_db = 10 * np.log10(np.mean(songs.astype(np.float64) ** 2, axis=1))
    assert rms_db.min() > -34 and rms_db.max() < -15


def _statistics(songs):
    """Of each song: mean and spread of log bands, how fast they rise, and when again."""
    size = 512
    window = np.hanning(size).astype(np.float32)
    edges = np.unique(np.geomspace(1, size // 2, 25).astype(int))
    rows = []
    for song in songs:
        frames = song[: len(song) // size * size].reshape(-1, size)
        between = song[size // 2 : size // 2 + (len(frames) - 1) * size].reshape(-1, size)
        both = np.empty((2 * len(frames) - 1, size), np.float32)
        both[0::2], both[1::2] = frames, between
        power = np.abs(np.fft.rfft(both * window)) ** 2
        bands_db = 10 * np.log10(np.add.reduceat(power, edges[:-1], axis=1) + 1e-6)
        rise = np.maximum(np.diff(bands_db, axis=0), 0)
        rhythm = []
        for part in np.array_split(rise, 3, axis=1):
            flux = part.mean(axis=1) - part.mean()
            spectrum = np.abs(np.fft.rfft(flux, 4 * len(flux))) ** 2
            lags = np.fft.irfft(spectrum)
            rhythm.append(lags[10:160:2] / lags[0])
        rows.append(np.concatenate([bands_db.mean(0), bands_db.std(0), rise.mean(0), *rhythm]))
    return np.array(rows)


def _accuracy(features, source, model):
    """Mean accuracy for artists that the model was not fitted on; chance is .1."""
    styles = source.labels
    folds = GroupKFold(4)
    return cross_val_score(model, features, styles, groups=source.info.groups, cv=folds).mean()


def test_loudness_and_brightness_do_not_tell_the_style(songs, source):
    nearest = KNeighborsClassifier(7)
    loudness = np.log(np.mean(songs**2, axis=1, keepdims=True))
    assert _accuracy(loudness, source, nearest) < 0.25
    frames = songs.reshape(len(songs), -1, 640)
    magnitude = np.abs(np.fft.rfft(frames * np.hanning(640).astype(np.float32))).mean(axis=1)
    centroid = (magnitude @ np.arange(321) / magnitude.sum(axis=1))[:, None]
    assert _accuracy(centroid, source, nearest) < 0.35


def test_spectrum_and_rhythm_do_tell_the_style(songs, source):
    model = make_pipeline(StandardScaler(), SVC(C=10))
    assert _accuracy(_statistics(songs), source, model) > 0.45


def test_construction_is_cheap():
    began_s = time.perf_counter()
    synthetic(num_songs=400, seed=99)
    assert time.perf_counter() - began_s < 0.05


@pytest.mark.parametrize("sample_rate_hz", [8000, 44100])
def test_other_rates_play_the_same_song(source, sample_rate_hz):
    other = synthetic(num_songs=120, song_s=8.0, sample_rate_hz=sample_rate_hz)
    song = other[4]["audio"]
    assert len(song) == 8 * sample_rate_hz and np.isfinite(song).all()
    # The envelope in tenths of a second is the same, but for what lies above 4 kHz.
    here, there = (
        np.sqrt(np.mean(np.square(wave.reshape(80, -1)), axis=1))
        for wave in (source[4]["audio"], song)
    )
    assert np.corrcoef(here, there)[0, 1] > 0.97
