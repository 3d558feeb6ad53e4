"""The engine of evaluation, Tagger and probing: batches of few shapes, rows in order, means."""

import jax
import numpy as np
import pytest

from mclf_jax.common import parallel
from mclf_jax.evaluation.windows import average, make_step, pack, rows_of, song_rows, song_windows
from mclf_jax.run import experiment
from tests.songs import Songs
from tests.tiny import tiny_config


@pytest.fixture(scope="module")
def network():
    parts = experiment.build(tiny_config(data__args__count=12))
    return parts, jax.jit(parts.model.init)(jax.random.key(0))


def test_few_windows_make_a_small_batch_and_no_new_shape_after_a_whole_one():
    def shapes(count):
        windows = [(i, np.full(3, i, np.float32)) for i in range(count)]
        found = []
        for batch in pack(windows, batch_size=4):
            found.append(len(batch["audio"]))
            kept = batch["valid"] > 0
            np.testing.assert_array_equal(batch["audio"][kept, 0], batch["index"][kept])
        return found

    assert [shapes(count) for count in range(7)] == [[], [1], [2], [4], [4], [4, 4], [4, 4]]


def test_rows_find_back_to_their_windows():
    """In the order of windows, though the rows of two processes take turns in a batch."""
    batch = {
        "audio": np.zeros((4, 2), np.float32),
        "index": np.array([5, 6, 5, 7], np.int32),
        "row": np.array([0, 2, 1, 3], np.int32),
        "valid": np.array([1, 1, 1, 0], np.float32),
    }

    def step(variables, batch):
        return {name: batch[name] for name in ("index", "row", "valid")}

    (rows,) = rows_of(step, None, [batch | {"failed": None}])
    assert rows["index"].tolist() == [5, 5, 6] and rows["row"].tolist() == [0, 1, 2]


def test_means_over_windows_of_songs_in_any_batches():
    index, values = np.array([0, 0, 2, 2, 2]), np.arange(10.0).reshape(5, 2)
    whole = average([{"index": index, "x": values}], "x", num_songs=4)
    parts = [{"index": index[i : i + 2], "x": values[i : i + 2]} for i in range(0, 5, 2)]
    for found in (whole, average(parts, "x", num_songs=4)):
        assert found["counts"].tolist() == [2, 0, 3, 0]
        np.testing.assert_array_equal(found["means"][[0, 2]], [[1, 2], [6, 7]])
        assert np.isnan(found["means"][[1, 3]]).all()
    assert np.isnan(average([], "x", num_songs=2)["means"]).all()


@pytest.mark.slow
def test_files_and_data_sets_are_heard_alike(network):
    parts, variables = network
    songs, wanted, mesh = np.array([7, 2, 5]), ("scores", "embedding"), parallel.make_mesh(1)
    step = make_step(parts.model, outputs=wanted, task="single_label", mesh=mesh)
    found = song_rows(parts, songs, variables, step=step, mesh=mesh)
    windows = song_windows(parts, songs)
    np.testing.assert_array_equal(found["index"], windows[:, 0])
    audio = [
        (int(song), parts.source.read(int(song), start_sample=start, num_samples=500))
        for song, start in windows
    ]
    plain = make_step(parts.model, outputs=wanted, task="single_label")
    for name in wanted:
        rows = rows_of(plain, variables, pack(audio, batch_size=4))
        np.testing.assert_allclose(
            np.concatenate([batch[name] for batch in rows]), found[name], rtol=1e-4, atol=1e-5
        )


def test_songs_that_cannot_be_read_have_no_row(network):
    parts, variables = network
    mesh = parallel.make_mesh(1)
    step = make_step(parts.model, outputs=("embedding",), mesh=mesh)
    assert isinstance(parts.source, Songs)
    parts.source.broken = (2,)
    rows = song_rows(parts, np.arange(4), variables, step=step, mesh=mesh)
    parts.source.broken = ()
    assert sorted(set(rows["index"].tolist())) == [0, 1, 3]


@pytest.mark.slow
def test_worker_processes_read_the_same(network):
    """Also where there are fewer batches than `runtime.num_workers`."""
    parts, variables = network
    mesh = parallel.make_mesh(1)
    step = make_step(parts.model, outputs=("scores",), task="single_label", mesh=mesh)
    threads = song_rows(parts, np.arange(12), variables, step=step, mesh=mesh)
    few = song_rows(parts, np.arange(2), variables, step=step, mesh=mesh)
    parts.config.runtime.num_workers = 2
    for songs, expected in ((np.arange(12), threads), (np.arange(2), few)):
        found = song_rows(parts, songs, variables, step=step, mesh=mesh)
        for name, values in expected.items():
            np.testing.assert_array_equal(found[name], values)
    parts.config.runtime.num_workers = 0
