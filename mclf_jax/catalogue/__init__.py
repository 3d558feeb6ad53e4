"""A catalogue: scores and embeddings of very many songs in one folder, to be searched in."""

from collections.abc import Sequence
from typing import Any

from mclf_jax.common.callable import make_callable


def catalogue(run: Any, paths: Sequence[str], *, out: str, **how: Any) -> dict[str, Any]:
    """Hear songs by a network, and keep what it says of them in a folder of Parquet files.

    Called again, it goes on where it was interrupted; nothing is done twice. `mclf.similar` and
    `mclf.search` read it.

    Args:
        run: as of `mclf.load`.
        paths: of audio files, in any order, on disk or on object storage (`gs://`, `s3://`).
        out: the folder.
        **how: of `catalogue.build.build`, which says what is returned and raised.
    """
    from mclf_jax.catalogue.build import build  # imports jax, which reading does without

    return build(run, paths, out=out, **how)


make_callable(__name__, catalogue)
