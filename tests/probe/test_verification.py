"""The same artist or not: limits of the scores, and which songs count."""

import numpy as np

from mclf_jax.probe.verification import verify
from mclf_jax.shallow.embeddings import Embeddings

ARTISTS = np.repeat(["a", "b", "c", "", "d"], 4)


def _embeddings(vectors, *, windows=3):
    """So many windows of each song, around its vector."""
    noise = np.random.default_rng(0).standard_normal((windows, *vectors.shape))
    noise -= noise.mean(axis=0)
    rows = (vectors + noise).swapaxes(0, 1).reshape(-1, vectors.shape[1])
    return Embeddings(np.repeat(np.arange(len(vectors)), windows), rows.astype("f4"))


def test_artists_apart_and_at_random():
    songs, axes = np.arange(16), np.eye(5)[np.repeat(np.arange(5), 4)]
    lengths = np.random.default_rng(1).uniform(1, 9, (20, 1))
    apart = verify(_embeddings(lengths * axes), ARTISTS, songs)
    # Twelve songs of a known artist among those asked for: the last artist is not.
    assert apart["num_pairs"] == 66
    assert apart["roc_auc"] > 0.999 and apart["equal_error_rate"] < 0.001
    # No two songs of an artist are alike, but a quarter of all others are.
    unlike = verify(_embeddings(np.eye(4)[np.arange(20) % 4], windows=1), ARTISTS, songs)
    assert unlike["roc_auc"] == 0.375
    rng = np.random.default_rng(2)
    many = np.repeat([str(i) for i in range(40)], 5)
    chance = verify(_embeddings(rng.standard_normal((200, 30))), many, np.arange(200))
    assert abs(chance["roc_auc"] - 0.5) < 0.07 and abs(chance["equal_error_rate"] - 0.5) < 0.07


def test_songs_that_could_not_be_read_are_in_no_pair():
    vectors = np.eye(5)[np.repeat(np.arange(5), 4)]
    whole = _embeddings(vectors, windows=1)
    read = Embeddings(np.delete(whole.songs, 2), np.delete(whole.vectors, 2, axis=0))
    assert verify(read, ARTISTS, np.arange(8))["num_pairs"] == 21
    one = verify(whole, ARTISTS, np.arange(4))
    assert np.isnan(one["roc_auc"]) and one["num_pairs"] == 6
    assert np.isnan(verify(whole, ARTISTS, np.array([0]))["equal_error_rate"])
