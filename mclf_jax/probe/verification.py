"""The same artist or not, of two songs by artists whom a network never heard."""

from collections.abc import Mapping

import numpy as np
from ml_collections import ConfigDict

from mclf_jax.data.base.source import Info
from mclf_jax.data.views.artists import artists_of
from mclf_jax.evaluation.windows import average
from mclf_jax.shallow.embeddings import Embeddings


def verify(embeddings: Embeddings, artists: np.ndarray, songs: np.ndarray) -> dict[str, float]:
    """How well the cosine of two songs says whether they are by one artist.

    Over all pairs of songs, each of which is the mean of its windows.

    Args:
        embeddings: of songs, others too.
        artists: str, of every song of the data set; "" is unknown, and such songs are left out.
        songs: indices of those to compare, that could be read.

    Returns:
        "roc_auc"; "equal_error_rate", of pairs that are wrongly taken for one artist's and of
        those that are missed, at the threshold where both are as frequent; and "num_pairs". Scores
        are NaN where all pairs are by one artist, or none is.
    """
    from sklearn.metrics import roc_auc_score, roc_curve

    songs = np.intersect1d(songs, embeddings.songs)
    songs = songs[artists[songs] != ""]
    chosen = np.isin(embeddings.songs, songs)
    rows = {"index": np.searchsorted(songs, embeddings.songs[chosen])}
    rows["vectors"] = embeddings.vectors[chosen]
    vectors = average([rows], "vectors", num_songs=len(songs))["means"]
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    first, second = np.triu_indices(len(songs), k=1)
    same = artists[songs[first]] == artists[songs[second]]
    if not len(same) or same.all() or not same.any():
        return {"roc_auc": np.nan, "equal_error_rate": np.nan, "num_pairs": len(same)}
    cosines = (vectors @ vectors.T)[first, second]
    false_alarms, hits, _ = roc_curve(same, cosines)
    nearest = np.abs(false_alarms - (1 - hits)).argmin()
    return {
        "roc_auc": float(roc_auc_score(same, cosines)),
        "equal_error_rate": float((false_alarms[nearest] + 1 - hits[nearest]) / 2),
        "num_pairs": len(same),
    }


def describe(found: Mapping[str, Embeddings], *, trained: ConfigDict, info: Info) -> list[str]:
    """A sentence for the notes of a probe, if its run was trained to know artists.

    Args:
        found: embeddings by encoder.
        trained: config of the run.
        info: of its data set with its own splits, of which the test artists are new to it.
    """
    if trained.data.target != "artist":
        return []
    artists = artists_of(info, by=trained.data.target_args.get("by", "group"))
    songs = np.asarray(info.splits.get("test", ()), np.int64)
    scores = {name: verify(embeddings, artists, songs) for name, embeddings in found.items()}
    if any(np.isnan(values["roc_auc"]) for values in scores.values()):
        return []
    parts = [
        f"{name}: ROC-AUC {values['roc_auc']:.3f}, equal error rate"
        f" {values['equal_error_rate']:.3f}"
        for name, values in scores.items()
    ]
    pairs = next(iter(scores.values()))["num_pairs"]
    return [
        f"By the cosine of two test songs, the same artist or not ({pairs} pairs of artists never"
        f" heard): {'; '.join(parts)}."
    ]
