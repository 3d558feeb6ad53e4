"""Songs of an index that sound like another one: the nearest by cosine of their embeddings."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from mclf_jax.catalogue.nearest import directions
from mclf_jax.common import checks, files


@dataclasses.dataclass(frozen=True, eq=False)
class Index:
    """Songs with their directions.

    Attributes:
        titles: N names of files, without their folders, which are nobody's business.
        directions: float32 [N, D] of length 1.
    """

    titles: tuple[str, ...]
    directions: np.ndarray


def read_index(path: str | Path) -> Index:
    """The index of a file of `mclf embed`.

    Raises:
        ValueError: it is damaged, or none.
    """
    arrays = files.load_arrays(Path(path), ("paths", "embeddings"))
    paths, embeddings = arrays["paths"], np.asarray(arrays["embeddings"], np.float32)
    if embeddings.ndim != 2 or len(paths) != len(embeddings):
        raise ValueError(f"{path} has {len(paths)} paths and embeddings {embeddings.shape}")
    checks.finite(str(path), {"embeddings": embeddings})
    return Index(tuple(Path(p).name for p in paths.tolist()), directions(embeddings))


def nearest(index: Index, embedding: np.ndarray, *, count: int = 5) -> list[dict[str, Any]]:
    """[{"title", "score"}] of the songs nearest to an embedding [D], the cosine as score."""
    cosines = index.directions @ directions(embedding[None])[0]
    best = np.argsort(-cosines, kind="stable")[:count]
    return [{"title": index.titles[i], "score": float(cosines[i])} for i in best]
