"""Batches depend on seed and step alone: not on workers, restarts or the number of processes."""

import dataclasses
import itertools

import numpy as np
import pytest

from mclf_jax.audio.decode import AudioError
from mclf_jax.audio.features import LogMel, log_mel
from mclf_jax.augment.waveform import Gain
from mclf_jax.data.base.windows import fit_length, window_starts
from mclf_jax.data.pipeline import (
    STAGES,
    Input,
    evaluation_batches,
    iterate,
    timed,
    training_batches,
    validation_batches,
)
from tests.songs import RATE_HZ, Songs

AUDIO = Input(num_samples=500, short="tile", features=None)
FEATURES = LogMel(sample_rate_hz=RATE_HZ, n_fft=64, hop_length=32, n_mels=8)
SPECTROGRAM = Input(num_samples=500, short="tile", features=FEATURES)
INDICES = np.arange(3, 12)


def training(*, source=None, inputs=AUDIO, batch_size=4, seed=0, **kw):
    return training_batches(
        source or Songs(), INDICES, inputs=inputs, batch_size=batch_size, seed=seed, **kw
    )


def assert_equal(batches, others):
    for a, b in zip(batches, others, strict=True):
        assert a.keys() == b.keys()
        for name in a:
            np.testing.assert_array_equal(a[name], b[name])


def test_an_example_is_a_window_of_its_song():
    batch = training()[0]
    assert {k: (v.shape, v.dtype.name) for k, v in batch.items()} == {
        "audio": ((4, 500), "float32"),
        "label": ((4,), "int32"),
        "valid": ((4,), "float32"),
        "index": ((4,), "int32"),
        "group": ((4,), "int32"),
        "failed": ((4,), "int32"),
    }
    for audio, label, index in zip(batch["audio"], batch["label"], batch["index"], strict=True):
        song = Songs()[index]
        starts = np.flatnonzero(song["audio"][: len(song["audio"]) - 499] == audio[0])
        assert any((song["audio"][s : s + 500] == audio).all() for s in starts)
        assert label == song["label"]


def test_epochs_visit_every_song_once_at_new_windows():
    rows = [
        (i, a[0])
        for b in (training()[s] for s in range(9))
        for i, a in zip(b["index"], b["audio"], strict=True)
    ]
    epochs = [rows[k * 9 : (k + 1) * 9] for k in range(4)]
    for epoch in epochs:
        assert sorted(i for i, _ in epoch) == list(INDICES)
    assert [i for i, _ in epochs[0]] != [i for i, _ in epochs[1]]
    assert dict(epochs[0]) != dict(epochs[1])


def test_seeds_differ_and_repeat():
    assert_equal([training(seed=1)[5]], [training(seed=1)[5]])
    assert (training(seed=1)[0]["index"] != training(seed=2)[0]["index"]).any()


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("num_workers", [0, pytest.param(1), pytest.param(2)])
def test_same_batches_for_any_number_of_workers_and_after_a_restart(num_workers):
    dataset = training(inputs=SPECTROGRAM)
    expected = [dataset[step] for step in range(7)]
    batches = iterate(dataset[2:], num_threads=2, prefetch=4, num_workers=num_workers)
    try:
        assert_equal(itertools.islice(batches, 5), expected[2:])
    finally:
        batches.close()


def test_processes_share_the_global_batch():
    for step in range(5):
        whole = training()[step]
        parts = [training(process_index=p, process_count=2)[step] for p in (0, 1)]
        for name in whole:
            np.testing.assert_array_equal(parts[0][name], whole[name][0::2])
            np.testing.assert_array_equal(parts[1][name], whole[name][1::2])
    with pytest.raises(ValueError, match="train.batch_size is 4.*3 processes"):
        training(process_index=0, process_count=3)


class Noting(Songs):
    """Keeps which song was read from where."""

    def read(self, index, *, start_sample, num_samples):
        self.__dict__.setdefault("reads", []).append((int(index), start_sample))
        return super().read(index, start_sample=start_sample, num_samples=num_samples)


def test_each_process_reads_its_own_slice_and_nothing_else():
    reads = []
    for process in (None, 0, 1):
        source = Noting()
        share = {} if process is None else {"process_index": process, "process_count": 2}
        dataset = training(source=source, inputs=SPECTROGRAM, augment=Gain(), **share)
        for step in range(9):
            dataset[step]
        reads.append(source.reads)
    whole, first, second = reads
    assert len(first) == len(second) == len(whole) / 2
    assert first == whole[0::2] and second == whole[1::2] and not set(first) & set(second)


def test_batches_say_how_long_their_stages_took():
    dataset = timed(training(inputs=SPECTROGRAM, augment=Gain()))
    dataset[0]
    batch, plain = dataset[1], training(inputs=SPECTROGRAM, augment=Gain())[1]
    seconds = dict(zip(STAGES, batch.pop("seconds"), strict=True))
    assert_equal([batch], [plain])
    assert seconds["resample"] == 0  # their rate is the network's
    assert all(0 < seconds[stage] < 1 for stage in ("read", "augment", "features", "batch"))


def test_features_in_the_pipeline_are_those_of_the_audio():
    audio, features = training()[3], training(inputs=SPECTROGRAM)[3]
    assert "audio" not in features
    np.testing.assert_allclose(features["features"], log_mel(audio["audio"], FEATURES), atol=1e-4)


def test_unreadable_songs_are_replaced_and_named():
    source = Songs(broken=(4, 5))
    seen, failed = set(), set()
    for step in range(9):
        batch = training(source=source)[step]
        assert (batch["valid"] == 1).all()
        assert np.isfinite(batch["audio"]).all()
        seen |= set(batch["index"].tolist())
        failed |= set(batch["failed"].tolist())
    assert seen == set(INDICES.tolist()) - {4, 5}
    assert failed == {-1, 4, 5}
    with pytest.raises(AudioError, match="nor can any other"):
        training(source=Songs(broken=tuple(range(12))))[0]


def test_evaluation_covers_every_window_once():
    windows = [(3, 0), (3, 700), (7, 100), (8, 0), (9, 5)]
    for count in (1, 2):
        rows = []
        for process in range(count):
            dataset = evaluation_batches(
                Songs(broken=(8,)),
                windows,
                inputs=AUDIO,
                batch_size=4,
                process_index=process,
                process_count=count,
            )
            assert len(dataset) == 2
            for batch in dataset:
                assert batch["audio"].shape == (4 // count, 500)
                for i in np.flatnonzero(batch["valid"]):
                    index, start = windows[batch["row"][i]]
                    expected = Songs().read(index, start_sample=start, num_samples=500)
                    np.testing.assert_array_equal(batch["audio"][i], expected)
                    rows.append(int(batch["row"][i]))
                assert (batch["failed"][batch["valid"] == 0] != 3).all()
        assert sorted(rows) == [0, 1, 2, 4]  # window 3 is of the broken song


def test_window_starts():
    np.testing.assert_array_equal(
        window_starts(1000, window=400, num_windows=4), [0, 200, 400, 600]
    )
    np.testing.assert_array_equal(window_starts(300, window=400, num_windows=4), [0])
    np.testing.assert_array_equal(window_starts(402, window=400, num_windows=16), [0, 1, 2])
    np.testing.assert_array_equal(window_starts(402, window=400, num_windows=10**12), [0, 1, 2])
    np.testing.assert_array_equal(
        window_starts(1000, window=400, num_windows=4, hop=250), [0, 250, 500, 600]
    )


def test_fit_length():
    short = np.array([1, 2, 3], np.float32)
    np.testing.assert_array_equal(fit_length(short, 7, short="tile"), [1, 2, 3, 1, 2, 3, 1])
    np.testing.assert_array_equal(fit_length(short, 5, short="pad"), [1, 2, 3, 0, 0])
    np.testing.assert_array_equal(fit_length(short, 2, short="pad"), [1, 2])


def views_of(batch):
    """Of each row and view, the song and the window's first sample in it."""
    found = []
    for audio, index in zip(batch["audio"], batch["index"], strict=True):
        song = Songs()[index]["audio"]
        windows = np.lib.stride_tricks.sliding_window_view(song, audio.shape[-1])
        found.append([int(np.flatnonzero((windows == view).all(axis=1))[0]) for view in audio])
    return np.array(found)


def test_views_are_windows_of_one_song():
    inputs = Input(num_samples=500, short="tile", features=None, num_views=3)
    batch = training(inputs=inputs)[0]
    assert batch["audio"].shape == (4, 3, 500) and batch["label"].shape == (4,)
    starts = views_of(batch)
    assert all(len(set(row)) == 3 for row in starts)
    np.testing.assert_array_equal(batch["start"], starts)

    near = dataclasses.replace(inputs, view_span=600)
    starts = np.concatenate([views_of(training(inputs=near)[step]) for step in range(4)])
    assert 0 < np.ptp(starts, axis=1).max() <= 100 and np.ptp(starts[:, 0]) > 100
    same = dataclasses.replace(inputs, view_span=500)
    assert np.ptp(views_of(training(inputs=same)[0]), axis=1).max() == 0


def test_views_have_draws_and_features_of_their_own():
    inputs = dataclasses.replace(SPECTROGRAM, num_views=2, view_span=500)
    plain, changed = training(inputs=inputs)[0], training(inputs=inputs, augment=Gain())[0]
    assert plain["features"].shape == (4, 2, 16, 8)
    np.testing.assert_array_equal(plain["features"][:, 0], plain["features"][:, 1])
    louder = changed["features"] - plain["features"]
    assert np.ptp(louder, axis=(2, 3)).max() < 1e-3
    assert (np.abs(louder[:, 0] - louder[:, 1]).max(axis=(1, 2)) > 0.01).all()


@pytest.mark.parametrize("num_views", [1, 2])
def test_validation_batches_depend_on_the_seed_alone(num_views):
    inputs = dataclasses.replace(AUDIO, num_views=num_views)

    def batches(seed, **kw):
        dataset = validation_batches(Songs(), INDICES, inputs=inputs, batch_size=4, seed=seed, **kw)
        return [dataset[i] for i in range(len(dataset))]

    once, again, other = batches(0), batches(0), batches(1)
    assert_equal(once, again)
    assert any((a["audio"] != b["audio"]).any() for a, b in zip(once, other, strict=True))
    valid = np.concatenate([batch["valid"] for batch in once])
    rows = np.concatenate([batch["index"] for batch in once])
    assert valid.tolist() == [1.0] * 9 + [0.0] * 3 and rows[:9].tolist() == INDICES.tolist()
    halves = [batches(0, process_index=i, process_count=2) for i in range(2)]
    for whole, first, second in zip(once, *halves, strict=True):
        np.testing.assert_array_equal(whole["audio"][::2], first["audio"])
        np.testing.assert_array_equal(whole["audio"][1::2], second["audio"])


def test_a_song_that_cannot_be_read_is_no_valid_row():
    batch = validation_batches(Songs(broken=(4,)), INDICES, inputs=AUDIO, batch_size=9, seed=0)[0]
    assert batch["valid"].tolist() == [1.0, 0.0] + [1.0] * 7
    assert batch["failed"].tolist() == [-1, 4] + [-1] * 7
