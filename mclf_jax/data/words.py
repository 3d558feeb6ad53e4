"""What is said of songs in words: their labels or columns of a manifest, as vectors."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mclf_jax.common import checks
from mclf_jax.common.text.vectors import vectors_of
from mclf_jax.data.base import targets as target_lib
from mclf_jax.data.base.source import Source
from mclf_jax.data.catalogue.items import UNLABELLED

if TYPE_CHECKING:
    from scipy import sparse

LABELS = "labels"
_FIELD = "objective.args.words"
_SEPARATOR = "|"


@dataclasses.dataclass(frozen=True, eq=False)
class Words:
    """Phrases of N songs.

    Attributes:
        phrases: U different ones.
        vectors: float32 [U, E], of length 1.
        said: [N, U] with a 1 stored where a phrase is said of a song.
        dropout: the share of a song's phrases that an example leaves out.
        numbers: int64 [U], drawn for the phrases; sums of them tell sets of phrases apart.
    """

    phrases: tuple[str, ...]
    vectors: np.ndarray
    said: sparse.csr_array
    dropout: float
    numbers: np.ndarray

    def any(self, songs: np.ndarray) -> np.ndarray:
        """Bool [n]: whether something is said of some songs."""
        return np.diff(self.said.indptr)[songs] > 0

    def of_song(self, index: int, rng: np.random.Generator | None = None) -> dict[str, np.ndarray]:
        """What an example has of a song.

        Args:
            index: of the song.
            rng: draws which of its phrases are kept, at least one; all are when not given.

        Returns:
            "words" float32 [E], the mean of its phrases at length 1, or 0 where nothing is said;
            and "words_id" int32, the same of all examples with the same phrases.
        """
        phrases = self.said.indices[slice(*self.said.indptr[index : index + 2])]
        if rng is not None and len(phrases) > 1 and self.dropout:
            kept = rng.random(len(phrases)) >= self.dropout
            kept[rng.integers(len(phrases))] |= not kept.any()
            phrases = phrases[kept]
        total = self.vectors[phrases].sum(axis=0)
        return {
            "words": total / np.float32(max(np.linalg.norm(total), 1e-12)),
            # Modulo 2^32, as sums of drawn numbers collide no more often than the numbers.
            "words_id": np.uint32(self.numbers[phrases].sum() % 2**32).astype(np.int32),
        }


def words_of(
    source: Source,
    *,
    words: Sequence[str],
    unseen: Sequence[str],
    dropout: float,
    text_encoder: str,
    text_size: int,
) -> Words:
    """What is said of the songs of a data set.

    Args:
        source: of which.
        words: where it stands: "labels", or columns of `Info.columns`, whose cells hold phrases
            with `|` between them.
        unseen: phrases that are never shown, to see later whether they are understood.
        dropout: see `Words`.
        text_encoder, text_size: of `common.text.vectors.vectors_of`.

    Raises:
        ValueError: there is no such column, labels are numbers, a phrase of `unseen` is said of no
            song, or nothing is said of the songs of train.
    """
    info = source.info
    number: dict[str, int] = {}
    rows: list[set[int]] = [set() for _ in range(len(source))]
    for name in words:
        checks.choice(_FIELD, name, (LABELS, *info.columns))
        for row, phrases in zip(rows, _phrases(source, name), strict=True):
            row.update(number.setdefault(phrase, len(number)) for phrase in phrases)
    for phrase in unseen:
        if phrase not in number:
            raise ValueError(
                f"objective.args.unseen has {phrase!r}, which is said of no song of {info.name}; "
                f"there are {checks.few(list(number))}"
            )
    kept = [phrase for phrase in number if phrase not in set(unseen)]
    new = {number[phrase]: position for position, phrase in enumerate(kept)}
    found = [sorted(new[old] for old in row if old in new) for row in rows]
    splits = [items for split, items in info.splits.items() if split in ("train", UNLABELLED)]
    if not any(found[int(song)] for items in splits for song in items):
        columns = ", ".join(info.columns) or "none"
        raise ValueError(
            f"{_FIELD} is {tuple(words)}, and nothing stands there for the songs to train on; "
            f"{info.name} has {len(info.labels)} labels and the columns {columns}"
        )
    from scipy import sparse

    counts = np.cumsum([0, *map(len, found)])
    indices = np.array([phrase for row in found for phrase in row], np.int64)
    return Words(
        phrases=tuple(kept),
        vectors=vectors_of(kept, encoder=text_encoder, size=text_size),
        said=sparse.csr_array(
            (np.ones(len(indices), np.int8), indices, counts), shape=(len(found), len(kept))
        ),
        dropout=dropout,
        numbers=np.random.default_rng(0).integers(2**32, size=len(kept)),
    )


def _phrases(source: Source, name: str) -> list[list[str]]:
    """Of each song."""
    info = source.info
    if name != LABELS:
        cells = (cell.split(_SEPARATOR) for cell in info.columns[name])
        return [[text for part in parts if (text := part.strip())] for parts in cells]
    if info.task == "regression":
        raise ValueError(
            f"{_FIELD} has {LABELS!r}, and those of {info.name} are numbers; name columns with "
            f"words: {', '.join(info.columns) or 'there are none'}"
        )
    has = target_lib.positives(source.targets, num_labels=len(info.labels))
    hidden = set(np.asarray(info.splits.get(UNLABELLED, ()), np.int64).tolist())
    return [
        [] if song in hidden else [info.labels[k] for k in has.indices[slice(*ends)]]
        for song, ends in enumerate(zip(has.indptr[:-1], has.indptr[1:], strict=True))
    ]
