"""Batches depend on seed and step alone: not on workers, restarts or the number of processes."""

import itertools

import numpy as np
import pytest

from mclf_jax.audio.decode import AudioError
from mclf_jax.audio.features import LogMel, log_mel
from mclf_jax.data.pipeline import Input, evaluation_batches, iterate, training_batches
from mclf_jax.data.windows import fit_length, window_starts
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
    np.testing.assert_array_equal(
        window_starts(1000, window=400, num_windows=4, hop=250), [0, 250, 500, 600]
    )


def test_fit_length():
    short = np.array([1, 2, 3], np.float32)
    np.testing.assert_array_equal(fit_length(short, 7, short="tile"), [1, 2, 3, 1, 2, 3, 1])
    np.testing.assert_array_equal(fit_length(short, 5, short="pad"), [1, 2, 3, 0, 0])
    np.testing.assert_array_equal(fit_length(short, 2, short="pad"), [1, 2])
