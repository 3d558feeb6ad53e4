"""Embeddings of songs from a file of `mclf embed`: which song has which, and which are alike."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mclf_jax.common import checks


def read_embeddings(path: str | os.PathLike, *, item_ids: Sequence[str]) -> np.ndarray:
    """Those of N items, float32 [N, D]; NaN where the file has none of an item.

    Args:
        path: an .npz with "paths", str [n], and "embeddings", [n, D]: of `mclf embed`, or from
            elsewhere.
        item_ids: what the items are called. An item has the embedding of the path that is its name,
            or that ends with it after a slash: DIR/rock/a.mp3 is rock/a.mp3.

    Raises:
        ValueError: there is no such file, it holds something else, numbers that are not finite, two
            paths that end with the name of an item, or no item at all.
    """
    path = Path(path).expanduser()
    field = "data.target_args.path"
    if not path.is_file():
        raise ValueError(
            f"{field} is '{path}', and there is no such file; make it: mclf embed RUN DIR --out"
            " embeddings.npz"
        )
    try:
        with np.load(path, allow_pickle=False) as found:
            paths, vectors = found["paths"], found["embeddings"].astype(np.float32)
    except (KeyError, ValueError, OSError, AttributeError) as error:
        raise ValueError(
            f"{field} is '{path}', which holds no 'paths' and 'embeddings' ({error}); make it: mclf"
            " embed RUN DIR --out embeddings.npz"
        ) from error
    if paths.ndim != 1 or vectors.ndim != 2 or len(paths) != len(vectors):
        raise ValueError(
            f"{path}: paths are {paths.shape} and embeddings {vectors.shape}; they must be [n] and"
            " [n, D]"
        )
    checks.finite(str(path), {"embeddings": vectors})
    rows = _rows([str(one).replace(os.sep, "/") for one in paths], item_ids, where=str(path))
    if not (rows >= 0).any():
        raise ValueError(
            f"{path} has none of the {len(rows)} items: one is called {item_ids[0]!r}, and there"
            f" one {str(paths[0])!r}"
            if len(paths) and len(rows)
            else f"{path} has no embeddings"
        )
    missing = np.full(vectors.shape[1], np.nan, np.float32)
    return np.where(rows[:, None] >= 0, vectors[rows], missing)


def _rows(paths: Sequence[str], item_ids: Sequence[str], *, where: str) -> np.ndarray:
    """The row of each item, -1 where there is none."""
    ends: dict[int, dict[str, list[int]]] = {}
    rows = np.full(len(item_ids), -1)
    for item, name in enumerate(item_ids):
        depth = name.count("/") + 1
        if depth not in ends:
            of_depth = ends[depth] = {}
            for row, path in enumerate(paths):
                of_depth.setdefault("/".join(path.split("/")[-depth:]), []).append(row)
        named = ends[depth].get(name.lstrip("/"), [])
        named = [row for row in named if paths[row] == name] or named
        if len(named) > 1:
            raise ValueError(
                f"{where} has two embeddings of {name!r}: {paths[named[0]]} and {paths[named[1]]}"
            )
        rows[item] = named[0] if named else -1
    return rows


def cluster(
    vectors: np.ndarray, *, train: np.ndarray, num_clusters: int, seed: int = 0
) -> np.ndarray:
    """Which cluster of k-means each vector is in, int [N], -1 where it is NaN.

    Args:
        vectors: [N, D]; only their directions count.
        train: rows that the clusters are made of.
        num_clusters: K; fewer where there are not so many different vectors.
        seed: of the centres that it starts from.
    """
    from sklearn.cluster import MiniBatchKMeans
    from threadpoolctl import threadpool_limits

    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    count = min(num_clusters, len(np.unique(unit[train], axis=0)))
    # One thread adds up in one order, and clusters are the same on every machine.
    with threadpool_limits(1):
        fitted = MiniBatchKMeans(count, n_init=3, random_state=seed).fit(unit[train])
        known = np.isfinite(unit).all(axis=1)
        found = np.full(len(unit), -1)
        found[known] = fitted.predict(unit[known])
    return found
