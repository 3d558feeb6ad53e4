"""The nearest songs by cosine of embeddings: among few exactly, among very many by an index."""

import contextlib
import os
from typing import Any

import numpy as np

from mclf_jax.catalogue import rows
from mclf_jax.catalogue.folder import Catalogue
from mclf_jax.common import files, progress

EXACT_BELOW = 100_000
"""So many songs are compared with in a second; among more, usearch finds nearly the same ones."""
_INDEX = "index.usearch"


def directions(embeddings: np.ndarray) -> np.ndarray:
    """Embeddings [N, D] made as long as 1."""
    return embeddings / np.maximum(np.linalg.norm(embeddings, axis=1, keepdims=True), 1e-12)


def nearest(catalogue: Catalogue, embedding: np.ndarray, *, count: int) -> dict[str, Any]:
    """The songs nearest to an embedding [D], the nearest one first.

    From `EXACT_BELOW` songs on an index of usearch is asked, which is approximate. It is made at
    the first question, and kept in the folder once the catalogue is complete.

    Returns:
        {"method": "exact" or "usearch", "songs": [{"path", "duration_s", "score": the cosine}]}.

    Raises:
        ImportError: usearch is needed and not installed.
    """
    sizes = [each["songs"] for each in rows.tell(catalogue)]
    if sum(sizes) < EXACT_BELOW:
        return {"method": "exact", "songs": _exact(catalogue, embedding, count=count)}
    found = _index(catalogue, num_songs=sum(sizes)).search(directions(embedding[None])[0], count)
    ends = np.cumsum(sizes)
    done, songs = catalogue.done(), []
    for key, distance in zip(found.keys.tolist(), found.distances.tolist(), strict=True):
        place = int(np.searchsorted(ends, key, side="right"))
        table = next(rows.read(catalogue, ("path", "duration_s"), numbers=[done[place]]))
        row = table.slice(key - int(ends[place]) + sizes[place], 1).to_pylist()[0]
        songs.append({**row, "score": 1 - distance})
    return {"method": "usearch", "songs": songs}


def _exact(catalogue: Catalogue, embedding: np.ndarray, *, count: int) -> list[dict[str, Any]]:
    """Shard by shard, so that memory is that of one."""
    best: list[dict[str, Any]] = []
    (direction,) = directions(embedding[None])
    for table in rows.read(catalogue, ("path", "duration_s", "embedding")):
        if not len(table):
            continue
        cosines = directions(rows.embeddings_of(table)) @ direction
        for i in np.argsort(-cosines, kind="stable")[:count].tolist():
            row = table.select(["path", "duration_s"]).slice(i, 1).to_pylist()[0]
            best.append({**row, "score": float(cosines[i])})
        best = sorted(best, key=lambda song: -song["score"])[:count]
    return best


def _index(catalogue: Catalogue, *, num_songs: int) -> Any:
    """Of usearch, with the number of its row, counted over all shards, as key of each song."""
    try:
        from usearch.index import Index
    except ImportError as error:
        raise ImportError(
            f"{catalogue.folder} has {num_songs} songs, and from {EXACT_BELOW} on similar ones are "
            f"found by usearch: pip install 'mclf-jax[catalogue]' ({error})"
        ) from error
    complete = not catalogue.not_done() and "://" not in os.fspath(catalogue.folder)
    place = catalogue.folder / _INDEX
    if complete and place.exists():
        with files.naming_damage(place):
            index = Index.restore(os.fspath(place), view=True)
        if index is not None and len(index) == num_songs:
            return index
    progress.say(f"an index of {num_songs} songs is made, once")
    index, count = None, 0
    with progress.bar(total=num_songs, title="index", unit="song") as bar:
        for table in rows.read(catalogue, ("embedding",)):
            if not len(table):
                continue
            vectors = rows.embeddings_of(table)
            index = index or Index(ndim=vectors.shape[1], metric="cos", dtype="f32")
            index.add(np.arange(count, count + len(vectors)), directions(vectors))
            count += len(vectors)
            bar.update(len(vectors))
    if complete:
        with contextlib.suppress(OSError), files.replacing(place) as temporary:
            index.save(os.fspath(temporary))
    return index
