"""Embeddings of another network in place of labels: which song has which, clusters, learning."""

import json

import numpy as np
import pytest

from mclf_jax import data
from mclf_jax.data.embeddings import cluster, read_embeddings
from mclf_jax.data.sampling import weights
from mclf_jax.data.views import pretext
from mclf_jax.train import train
from tests.data.labelled import labelled
from tests.tiny import tiny_config

SPLITS = {"train": range(20), "unlabelled": range(20, 40), "valid": range(40, 50)}


def written(path, names, vectors):
    np.savez(path, paths=np.array(names), embeddings=np.asarray(vectors, np.float32))
    return path


def source():
    return labelled(np.arange(60) % 3, splits=SPLITS | {"test": range(50, 60)})


def test_items_are_found_by_the_end_of_their_path(tmp_path):
    names = ["/music/rock/a.mp3", "/music/jazz/a.mp3", "b.mp3", "/music/other.mp3"]
    path = written(tmp_path / "e.npz", names, np.arange(8).reshape(4, 2))
    found = read_embeddings(path, item_ids=["jazz/a.mp3", "b.mp3", "c.mp3", "rock/a.mp3"])
    np.testing.assert_array_equal(found, [[2, 3], [4, 5], [np.nan, np.nan], [0, 1]])
    with pytest.raises(ValueError, match="two embeddings of 'a.mp3': /music/rock/a.mp3 and /music"):
        read_embeddings(path, item_ids=["a.mp3"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"paths": ["a"]}, "which holds no 'paths' and 'embeddings'"),
        ({"paths": ["a"], "embeddings": np.ones(3)}, r"paths are \(1,\) and embeddings \(3,\)"),
        ({"paths": ["a"], "embeddings": [[np.nan]]}, "not finite in .*embeddings"),
        ({"paths": ["z"], "embeddings": [[1.0]]}, "none of the 1 items: one is called 'a', and th"),
        ({"paths": [], "embeddings": np.ones((0, 2))}, "has no embeddings"),
    ],
)
def test_files_that_are_none(tmp_path, content, message):
    np.savez(tmp_path / "e.npz", **content)
    with pytest.raises(ValueError, match=message):
        read_embeddings(tmp_path / "e.npz", item_ids=["a"])
    with pytest.raises(ValueError, match="there is no such file; make it: mclf embed"):
        read_embeddings(tmp_path / "f.npz", item_ids=["a"])


def test_embeddings_take_the_place_of_labels(tmp_path):
    vectors = np.random.default_rng(0).standard_normal((60, 4))
    vectors[:30] = vectors[0] + 0.01 * vectors[:30]  # many that are alike
    path = written(tmp_path / "e.npz", [f"DIR/item {i}" for i in range(1, 60)], vectors[1:])
    seen = pretext.apply(source(), "embedding", path=path, num_clusters=5)
    info = seen.info
    assert info.task == "regression" and len(info.labels) == 4
    used = np.concatenate([info.splits["train"], info.splits["valid"]])
    assert set(used.tolist()) == set(range(1, 40)) and len(info.splits["valid"]) == 4
    assert "1 without an embedding" in info.notes[-1] and "in 5 clusters" in info.notes[-1]
    expected = vectors[used] / np.linalg.norm(vectors[used], axis=1, keepdims=True)
    np.testing.assert_allclose(seen.labels[used], expected, atol=1e-6)
    assert np.isnan(seen.labels[40:]).all()
    clusters = np.array(info.columns["embedding_cluster"])
    assert set(clusters[used]) == set("01234") and set(clusters[40:]) == {""}
    # Clusters are drawn equally often, and with them the few songs that are unlike all others.
    songs = info.splits["train"]
    share = weights(seen, songs, by="embedding_cluster")
    of_cluster = [share[clusters[songs] == name].sum() for name in "01234"]
    np.testing.assert_allclose(of_cluster, 0.2)
    assert np.mean(songs < 30) > 0.7 and share[songs < 30].sum() < 0.5


def test_fewer_clusters_than_asked_for_where_songs_are_few():
    vectors = np.eye(3)[[0, 0, 1, 2, 0]]
    found = cluster(np.vstack([vectors, np.full(3, np.nan)]), train=np.arange(4), num_clusters=9)
    assert found[0] == found[1] == found[4] and len(set(found)) == 4 and found[5] == -1


@pytest.mark.slow
def test_distillation_lowers_the_distance_on_songs_that_are_held_out(tmp_path):
    """Of songs whose loudness is their number, and a teacher that hears it."""
    songs = data.build("songs", sample_rate_hz=1000, count=60)
    turn = np.log(np.arange(1, 61) / 21) / np.log(60 / 21) * np.pi  # half a circle for train
    names = [songs.item_id(i) for i in range(60)]
    path = written(tmp_path / "e.npz", names, np.stack([np.cos(turn), np.sin(turn)], axis=1))
    config = tiny_config(train__num_steps=80, eval__every_steps=20, optim__ema_decay=0.0)
    config.data.args.count = 60
    config.data.target = "embedding"
    with config.unlocked():
        config.data.target_args = {"path": str(path), "num_clusters": 5, "valid_fraction": 0.3}
    config.data.sampling = "embedding_cluster"
    config.objective.distance = "cosine"
    config.model.args.dropout_rate = 0.0
    config.optim.learning_rate = 3e-3
    train(config, workdir=tmp_path / "run")
    lines = map(json.loads, (tmp_path / "run" / "metrics.jsonl").read_text().splitlines())
    losses = [line["loss"] for line in lines if line["kind"] == "valid"]
    seen = pretext.apply(songs, "embedding", **config.data.target_args)
    mean = seen.labels[seen.info.splits["train"]].mean(axis=0)
    of_mean = 1 - seen.labels[seen.info.splits["valid"]] @ mean / np.linalg.norm(mean)
    assert losses[-1] < 0.5 * losses[0] and losses[-1] < 0.3 * of_mean.mean()
