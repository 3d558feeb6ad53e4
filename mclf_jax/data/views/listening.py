"""Who listened to what: item vectors of collaborative filtering, from a table of plays."""

import dataclasses
import math
import os
from array import array
from collections.abc import Collection
from pathlib import Path

import numpy as np

from mclf_jax.common.text import tables

COLUMNS = ("user", "item", "count")


@dataclasses.dataclass(frozen=True)
class Listening:
    """Plays of items by users.

    Attributes:
        item_ids: of the I items.
        users: int32 [P], from 0.
        items: int32 [P], positions in `item_ids`.
        counts: float32 [P], how often.
    """

    item_ids: tuple[str, ...]
    users: np.ndarray
    items: np.ndarray
    counts: np.ndarray


def read_listening(path: str | os.PathLike, *, leave_out: Collection[str] = ()) -> Listening:
    """The rows of a table, comma-separated in .csv, tab-separated in .tsv and .txt.

    A header names the columns `COLUMNS` in any order, beside which there may be others; without
    one, where the third cell of the first line is a number, they are the first three (as in the
    Taste Profile of the Million Song Dataset).

    Args:
        path: of the file, UTF-8.
        leave_out: items of which no row is used.

    Raises:
        ValueError: no such file, not such a table, or a count that is no positive number.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise ValueError(
            f"data.target_args.path is {path}, and there is no such file; it must be a table of"
            " plays, such as plays.csv with the columns user, item and count"
        )
    users: dict[str, int] = {}
    ids: dict[str, int] = {}
    of_user, of_item, counts = array("i"), array("i"), array("f")
    dialect = tables.CSV if path.suffix == ".csv" else tables.TSV
    columns, width = (0, 1, 2), 0
    for line, row in tables.read_cells(path, dialect=dialect):
        if not width:
            width = len(row)
            if width < 3 or not _is_number(row[2]):
                columns = _columns(row, path, dialect)
                continue
        if len(row) != width:
            raise ValueError(
                f"{path}, line {line}: {len(row)} cells, not {width} as above; got {row}"
            )
        user, item, text = (row[c] for c in columns)
        if item in leave_out:
            continue
        count = float(text) if _is_number(text) else -1.0
        if not (0 < count < math.inf):
            raise ValueError(f"{path}, line {line}: count is {text!r}, not a positive number")
        of_user.append(users.setdefault(user, len(users)))
        of_item.append(ids.setdefault(item, len(ids)))
        counts.append(count)
    return Listening(
        item_ids=tuple(ids),
        users=np.array(of_user, np.int32),
        items=np.array(of_item, np.int32),
        counts=np.array(counts, np.float32),
    )


def item_factors(
    listening: Listening,
    *,
    num_factors: int,
    confidence: float = 2.0,
    epsilon: float = 1e-6,
    regularization: float = 0.01,
    num_iterations: int = 15,
    seed: int = 0,
) -> np.ndarray:
    """Item vectors of weighted matrix factorisation, float32 [I, num_factors].

    Hu, Koren and Volinsky (2008, "Collaborative Filtering for Implicit Feedback Datasets"), as van
    den Oord, Dieleman and Schrauwen (2013) used it for songs: a user likes what was played, with
    confidence 1 + a log(1 + count / e), and everything else not, with confidence 1. Alternating
    least squares by the package `implicit`; the result depends on the seed and neither on threads
    nor on time.

    Args:
        listening: of `read_listening`.
        num_factors: at most as many as users and as items.
        confidence, epsilon: a and e; those of the code that Dieleman published (`wmf`).
        regularization: weight of the squared length of all vectors.
        num_iterations: over users and items in turn.
        seed: of the vectors at the start.

    Raises:
        ImportError: `implicit` is not installed.
        ValueError: too many factors.
    """
    try:
        from implicit.cpu.als import AlternatingLeastSquares
    except ImportError as error:
        raise ImportError(
            "data.target 'listening' needs the package implicit: pip install 'mclf-jax[listening]'"
        ) from error
    from scipy.sparse import csr_matrix
    from threadpoolctl import threadpool_limits

    num_users, num_items = len(np.unique(listening.users)), len(listening.item_ids)
    if not 1 <= num_factors <= min(num_users, num_items):
        raise ValueError(
            f"data.target_args.num_factors is {num_factors}; with plays of {num_items} items by"
            f" {num_users} users it must be from 1 to {min(num_users, num_items)}"
        )
    # Rows of one user and one item are added up.
    plays = csr_matrix((listening.counts, (listening.users, listening.items)), dtype=np.float32)
    plays.data = (1 + confidence * np.log1p(plays.data / epsilon)).astype(np.float32)
    # The package has threads of its own; those of BLAS would only be in their way.
    with threadpool_limits(1, user_api="blas"):
        factorisation = AlternatingLeastSquares(
            factors=num_factors,
            regularization=regularization,
            iterations=num_iterations,
            random_state=seed,
        )
        factorisation.fit(plays, show_progress=False)
    return np.asarray(factorisation.item_factors, np.float32)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _columns(header: list[str], path: Path, dialect: tables.Dialect) -> tuple[int, ...]:
    names = [name.strip() for name in header]
    if missing := [name for name in COLUMNS if name not in names]:
        raise ValueError(
            f"{path} has no column {', '.join(missing)}; it has {', '.join(names) or 'nothing'}"
            + tables.separated_by(header, dialect=dialect)
        )
    if twice := [name for name in COLUMNS if names.count(name) > 1]:
        raise ValueError(f"{path} has the column {', '.join(twice)} twice; got {', '.join(names)}")
    return tuple(names.index(name) for name in COLUMNS)
