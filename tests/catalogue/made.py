"""A catalogue made of numbers, as if a network had heard songs."""

import dataclasses

import numpy as np

from mclf_jax.catalogue import rows
from mclf_jax.catalogue.folder import Network, begin

NETWORK = Network(
    fingerprint="f" * 64,
    run=("/runs/mine",),
    how={},
    task="multi_label",
    labels=("rock", "vocals", "path"),
    thresholds={"rock": 0.3},
)
SCORES = {  # "path" is a label too
    "/songs/a/1.wav": (0.9, 0.1, 0.2),
    "/songs/a/2.wav": (0.4, 0.6, 0.2),
    "/songs/b/1.wav": (0.35, 0.45, 0.9),
    "/songs/b/3.wav": (0.2, 0.2, 0.9),
    "/songs/c.wav": (0.6, 0.05, 0.1),
}
SKIPPED = "/songs/bad.wav"


def network(**changes):
    return dataclasses.replace(NETWORK, **changes)


def embedding_of(path):
    return np.array([np.cos(SCORES[path][0]), np.sin(SCORES[path][0]), 0.0], np.float32) * 7


def make(folder, *, network=NETWORK, shards="all"):
    """The catalogue of `SCORES` in shards of two songs, or only the first of these."""
    catalogue = begin(folder, [*SCORES, SKIPPED], network=network, songs_per_shard=2)
    for number in catalogue.not_done()[: None if shards == "all" else shards]:
        heard = {
            path: {
                "duration_s": 2.5,
                "scores": np.array(SCORES[path][: len(network.labels)], np.float32),
                "embedding": embedding_of(path),
            }
            if path in SCORES
            else {"reason": "the file is empty (0 bytes)"}
            for path in catalogue.paths(number)
        }
        catalogue.shard(number).write_bytes(rows.pack(heard, network=network))
    return catalogue
