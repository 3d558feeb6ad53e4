"""Artists that are tagged alike: clusters of what people say of their songs."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from sklearn.cluster import KMeans
from sklearn.feature_extraction.text import TfidfTransformer
from threadpoolctl import threadpool_limits

from mclf_jax.data.base import targets as target_lib
from mclf_jax.data.base.source import Source
from mclf_jax.data.base.targets import Targets

_SEPARATOR = "|"
_TAGS_IN_A_NAME = 3


@dataclasses.dataclass(frozen=True)
class Clusters:
    """Which artist is in which cluster.

    Attributes:
        of_artist: {artist: cluster}, without artists that have no tag.
        names: of the clusters, the largest first: a number, and the tags that weigh most.
        untagged: how many artists have no tag.
    """

    of_artist: dict[str, int]
    names: tuple[str, ...]
    untagged: int


def tags_of(source: Source, tags: str) -> tuple[tuple[str, ...], Targets]:
    """Names of K tags and what every item has of each, [N, K].

    Args:
        source: of which.
        tags: "label" for its labels, or a column of words with "|" between them.

    Raises:
        ValueError: the labels are numbers, or there is no such column.
    """
    info = source.info
    if tags == "label":
        if info.task == "regression":
            raise ValueError(
                f"labels of {info.name} are numbers, not tags: data.target_args.tags must be one of"
                f" its columns, {', '.join(info.columns) or 'of which there is none'}"
            )
        if info.task == "single_label":
            of_item = ((0, {int(label): 1}) for label in source.targets)
            return info.labels, target_lib.tags(of_item, num_labels=len(info.labels))
        return info.labels, source.targets
    if tags not in info.columns:
        allowed = ", ".join(("label", *info.columns))
        raise ValueError(
            f"data.target_args.tags is {tags!r}, which {info.name} does not have; allowed:"
            f" {allowed}"
        )
    of_item = [
        {word.strip() for word in cell.split(_SEPARATOR)} - {""} for cell in info.columns[tags]
    ]
    names = tuple(sorted(set().union(*of_item)))
    position = {name: k for k, name in enumerate(names)}
    rows = ((0, {position[word]: 1 for word in words}) for words in of_item)
    return names, target_lib.tags(rows, num_labels=len(names))


def cluster_artists(
    artists: np.ndarray, tags: Targets, *, names: Sequence[str], num_groups: int, seed: int
) -> Clusters:
    """k-means over the TF-IDF weights of artists' mean tag vectors.

    An artist is a document of which the tags are the words, and as often as they are given. Weights
    have unit length, so clusters are of what artists are tagged with and not of how much.

    Args:
        artists: str [P], of each item.
        tags: [P, K], how much an item has of each tag; NaN where nobody looked.
        names: of the K tags.
        num_groups: how many clusters.
        seed: of the centres that k-means starts from.

    Raises:
        ValueError: fewer artists that differ in their tags than clusters.
    """
    of_whom, artist = np.unique(artists, return_inverse=True)
    sums = np.zeros((2, len(of_whom), tags.shape[1]))
    first = 0
    for block in target_lib.blocks(tags):
        of_block = artist[first : first + len(block)]
        np.add.at(sums[0], of_block, np.nan_to_num(block))
        np.add.at(sums[1], of_block, ~np.isnan(block))
        first += len(block)
    mean = sums[0] / np.maximum(sums[1], 1)
    tagged = mean.any(axis=1)
    of_whom, mean = of_whom[tagged], mean[tagged]
    weights = TfidfTransformer().fit_transform(mean).toarray() if len(mean) else mean
    different = len(np.unique(weights.round(6), axis=0))
    if not 2 <= num_groups <= different:
        raise ValueError(
            f"data.target_args.num_groups is {num_groups}; it must be from 2 to {different}, which"
            " is how many artists differ in their tags"
        )
    # One thread adds up in one order, and clusters are the same on every machine.
    with threadpool_limits(1):
        fitted = KMeans(num_groups, n_init=10, random_state=seed).fit(weights)
    order = np.argsort(-np.bincount(fitted.labels_, minlength=num_groups), kind="stable")
    number = np.argsort(order)[fitted.labels_]
    return Clusters(
        of_artist=dict(zip(of_whom.tolist(), number.tolist(), strict=True)),
        names=tuple(_name(i, fitted.cluster_centers_[k], names) for i, k in enumerate(order)),
        untagged=int((~tagged).sum()),
    )


def _name(number: int, centre: np.ndarray, names: Sequence[str]) -> str:
    heaviest = np.argsort(-centre, kind="stable")[:_TAGS_IN_A_NAME]
    return f"{number}: {', '.join(names[int(k)] for k in heaviest if centre[k] > 0)}"
