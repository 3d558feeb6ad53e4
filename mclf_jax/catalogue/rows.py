"""The rows of a shard as a Parquet file, which pandas, DuckDB and the like read as well."""

import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from mclf_jax.catalogue.folder import Catalogue, Network
from mclf_jax.common import files, walk

_OWN = ("path", "duration_s", "embedding", "model")
_SKIPPED = b"mclf_skipped"


def check_installed() -> None:
    """Raise an ImportError that says what to install unless pyarrow is there."""
    _pyarrow()


def column_of(label: str) -> str:
    """The column of a label's scores: its name, with " (label)" where another column has it."""
    return f"{label} (label)" if label in _OWN else label


def pack(heard: Mapping[str, Mapping[str, Any]], *, network: Network) -> bytes:
    """A Parquet file of songs, in their order.

    Columns are path, duration_s, a float32 for each label, embedding (a list of float32) and model,
    the network's fingerprint. Songs with a "reason" are no rows: the file's metadata have them, so
    that what was skipped cannot be lost, or told twice.

    Args:
        heard: path -> {"duration_s", "scores": [K], "embedding": [D]} or {"reason"}; no "scores" of
            a network without labels.
        network: that heard them.
    """
    pa, pq = _pyarrow()
    good = {path: found for path, found in heard.items() if "reason" not in found}
    skipped = [[walk.shown(p), f["reason"]] for p, f in heard.items() if "reason" in f]
    scores = np.zeros((len(good), len(network.labels)), np.float32)
    for row, found in zip(scores, good.values(), strict=True):
        row[:] = found.get("scores", ())
    columns = {
        "path": pa.array([walk.shown(path) for path in good], pa.string()),
        "duration_s": pa.array([found["duration_s"] for found in good.values()], pa.float64()),
        **{
            column_of(label): pa.array(scores[:, k], pa.float32())
            for k, label in enumerate(network.labels)
        },
        "embedding": pa.array(
            [found["embedding"] for found in good.values()], pa.list_(pa.float32())
        ),
        "model": pa.array([network.fingerprint] * len(good), pa.string()),
    }
    table = pa.table(columns, metadata={_SKIPPED: json.dumps(skipped).encode()})
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return buffer.getvalue()


def read(
    catalogue: Catalogue, columns: Sequence[str], *, numbers: Sequence[int] | None = None
) -> Iterator[Any]:
    """A pyarrow.Table with these columns of each shard that is done, or of these `numbers`.

    Raises:
        ValueError: one of them is damaged.
    """
    for number in catalogue.done() if numbers is None else numbers:
        yield _of_shard(catalogue, number, lambda file: file.read(columns=list(columns)))


def embeddings_of(table: Any) -> np.ndarray:
    """Float32 [N, D] of the column "embedding"."""
    flat = table["embedding"].combine_chunks().flatten().to_numpy()
    return flat.reshape(len(table), -1) if len(table) else np.zeros((0, 0), np.float32)


def tell(catalogue: Catalogue) -> Iterator[dict[str, Any]]:
    """{"number", "songs": how many rows, "skipped": [[path, reason]]} of each shard."""

    def told(file: Any) -> dict[str, Any]:
        skipped = json.loads((file.schema_arrow.metadata or {}).get(_SKIPPED, b"[]"))
        return {"songs": file.metadata.num_rows, "skipped": skipped}

    for number in catalogue.done():
        yield {"number": number, **_of_shard(catalogue, number, told)}


def _of_shard(catalogue: Catalogue, number: int, use: Callable[[Any], Any]) -> Any:
    _, pq = _pyarrow()
    path = catalogue.shard(number)
    with files.naming_damage(path), path.open("rb") as handle, pq.ParquetFile(handle) as file:
        return use(file)


def _pyarrow() -> Any:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise ImportError(
            f"a catalogue needs pyarrow: pip install 'mclf-jax[catalogue]' ({error})"
        ) from error
    return pyarrow, pyarrow.parquet
