"""Pretext tasks for transfer learning: other targets for the songs of a data set.

What a song is called by, who plays it and who listens to it is known of far more songs than what it
sounds like, and a network that learns to tell it learns music on the way (tutorial, chapter 11).
Functions from a `Source` to a `Source`, as in `view`. Whatever they teach, the songs of the data
set's own valid and test splits, and everything by their artists, keep out of it. (All but "column",
which is a task of its own in these splits.)
"""

import inspect
import os
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from mclf_jax.common import checks
from mclf_jax.data.base import targets as target_lib
from mclf_jax.data.base.source import Source
from mclf_jax.data.catalogue.items import UNLABELLED
from mclf_jax.data.splits.grouped import split_by_group
from mclf_jax.data.views.artists import artists_of, deal_units, pool, units_of
from mclf_jax.data.views.base import derived
from mclf_jax.data.views.column import with_column

SCALINGS = ("standard", "unit")


def apply(source: Source, target: str, **arguments: Any) -> Source:
    """The source with a target of `TARGETS` in place of its labels.

    Args:
        source: of which.
        target: `config.data.target`; "" for the labels, which is `source` itself.
        **arguments: `config.data.target_args`, keyword arguments of the target's function.

    Raises:
        ValueError: an unknown target or argument, or one that does not suit the source.
    """
    checks.choice("data.target", target, ("", *TARGETS))
    if not target:
        if arguments:
            given = ", ".join(sorted(arguments))
            raise ValueError(f"data.target_args has {given}, but data.target is '': say which")
        return source
    function = TARGETS[target]
    known = dict(inspect.signature(function).parameters)
    known.pop("source")
    checks.arguments("data.target_args", arguments, known, of=target)
    return function(source, **arguments)


def with_artists(
    source: Source,
    *,
    by: str = "group",
    min_items: int = 2,
    unit: str = "",
    valid_fraction: float = 0.1,
    test_fraction: float = 0.1,
    seed: int = 0,
) -> Source:
    """Single-label: the artist (Park et al. 2017, "Representation Learning of Music Using
    Artist Labels").

    Items of "train" and "unlabelled" by artists who have enough of them, dealt to train, valid and
    test by album, or by track where albums are not known, so that every artist is in train and
    nobody is recognised by the sound of one album.

    Args:
        source: of which.
        by: "group", or a column of `info.columns` such as "artist".
        min_items: of an artist, at least 2.
        unit: what of an artist is dealt as a whole: "item", "group" or a column; "" for the album
            or the track, where one is known. See `artists.units_of`.
        valid_fraction, test_fraction: of these units, 0 for none.
        seed: of the dealing.

    Raises:
        ValueError: a setting out of range, or fewer than two artists.
    """
    info = source.info
    fractions = _fractions(valid_fraction, test_fraction)
    checks.at_least("data.target_args.min_items", min_items, 2)
    found = pool(info, artists_of(info, by=by))
    dealt_by = units_of(info, by=by, unit=unit)
    names, artist, counts = np.unique(found.artists, return_inverse=True, return_counts=True)
    names = names[counts >= min_items]
    if len(names) < 2:
        raise ValueError(
            f"{info.name} has {len(names)} artists (data.target_args.by is {by!r}, groups are by"
            f" {info.group_kind}) with {min_items} items or more that can be used; there must be"
            " two: lower min_items, or take another column"
        )
    enough = counts[artist] >= min_items
    items, artists = found.items[enough], found.artists[enough]
    dealt = deal_units(artists, dealt_by["units"][items], fractions=fractions, seed=seed)
    if empty := [split for split in fractions if not len(dealt[split])]:
        raise ValueError(
            f"nothing is left for {' and '.join(empty)}, because every artist keeps an album or"
            f" other unit ({dealt_by['name']}) in train: raise the fractions, set them to 0, or set"
            " data.target_args.unit to 'item'"
        )
    labels = np.zeros(len(source), np.int32)
    labels[items] = np.searchsorted(names, artists)
    too_few = f"{rare} of artists with fewer than {min_items}" if (rare := (~enough).sum()) else ""
    return _target(
        source,
        labels,
        splits={split: items[positions] for split, positions in dealt.items()},
        settings=["artist", by, min_items, dealt_by["name"], fractions, seed],
        what=f"labels are {len(names)} artists ({by}), dealt by {dealt_by['name']}",
        left_out=(found.note, too_few),
        task="single_label",
        labels_in_order=tuple(names.tolist()),
    )


def with_artist_groups(
    source: Source,
    *,
    num_groups: int,
    by: str = "group",
    tags: str = "label",
    valid_fraction: float = 0.1,
    test_fraction: float = 0.1,
    seed: int = 0,
) -> Source:
    """Single-label: the group of artists that a song's artist is in.

    Millions of artists become a few groups of similar ones. Kim, Won, Serra and Liem (2018,
    "Transfer Learning of Artist Group Factors to Musical Genre Classification") find groups by
    topic models (LDA) of several kinds of words about an artist. Here there is one kind, the tags
    of the artist's songs, weighted by TF-IDF, and groups are clusters of k-means.

    Valid and test are artists whom train does not have: their groups are told from their tags, and
    must be heard in songs of strangers.

    Args:
        source: of which; with `tags` "label" only songs of "train" say what an artist is like.
        num_groups: how many.
        by: "group", or a column of `info.columns` such as "artist".
        tags: "label", or a column of words with "|" between them.
        valid_fraction, test_fraction: of the items, 0 for none.
        seed: of clusters and splits.

    Raises:
        ValueError: a setting out of range, no tags, or fewer artists than groups.
    """
    from mclf_jax.data.views.artist_clusters import cluster_artists, tags_of

    info = source.info
    fractions = _fractions(valid_fraction, test_fraction)
    found = pool(info, artists_of(info, by=by))
    names, vectors = tags_of(source, tags)
    # Labels of unlabelled items are NaN or 0, which says nothing.
    tagged = np.full(len(found.items), True)
    if tags == "label":
        tagged = ~np.isin(found.items, np.asarray(info.splits.get(UNLABELLED, ()), np.int64))
    clusters = cluster_artists(
        found.artists[tagged],
        target_lib.take(vectors, found.items[tagged]),
        names=names,
        num_groups=num_groups,
        seed=seed,
    )
    group = np.array([clusters.of_artist.get(name, -1) for name in found.artists.tolist()])
    items, artists = found.items[group >= 0], found.artists[group >= 0]
    labels = np.zeros(len(source), np.int32)
    labels[items] = group[group >= 0]
    dealt = _deal_whole(artists, labels[items], fractions, seed=seed)
    lost = int((group < 0).sum())
    return _target(
        source,
        labels,
        splits={split: items[positions] for split, positions in dealt.items()},
        settings=["artist_group", by, tags, num_groups, fractions, seed],
        what=f"labels are {num_groups} groups of {len(clusters.of_artist)} artists ({by}) by their"
        f" tags ({tags})",
        left_out=(found.note, f"{lost} of artists without tags" if lost else ""),
        task="single_label",
        labels_in_order=clusters.names,
    )


def with_listening(
    source: Source,
    *,
    path: str | os.PathLike,
    key: str = "id",
    num_factors: int = 50,
    scaling: str = "standard",
    confidence: float = 2.0,
    regularization: float = 0.01,
    num_iterations: int = 15,
    valid_fraction: float = 0.1,
    test_fraction: float = 0.1,
    seed: int = 0,
) -> Source:
    """Regression onto item vectors of collaborative filtering (van den Oord, Dieleman and
    Schrauwen 2013, "Deep content-based music recommendation").

    Who listened to a song is told from its sound. Valid and test are by groups that train does not
    have, and no play of a song of the data set's own valid and test splits is looked at.

    Args:
        source: of which; labels are not used.
        path: of a table of user, item, count; see `listening.read_listening`.
        key: what items are called in it: "id" for `item_id`, or a column of `info.columns`.
        num_factors: size of the vectors.
        scaling: "standard", every factor with mean 0 and variance 1 over the training items, so
            that all count the same in a squared error; or "unit", vectors of length 1, for
            `objective.distance` "cosine" and retrieval by it.
        confidence, regularization, num_iterations: see `listening.item_factors`.
        valid_fraction, test_fraction: of the items, 0 for none.
        seed: of the factorisation and of the splits.

    Raises:
        ImportError: the package `implicit` is not installed.
        ValueError: a setting out of range, or no item of the table is in the data set.
    """
    from mclf_jax.data.views.listening import item_factors, read_listening

    info = source.info
    checks.choice("data.target_args.scaling", scaling, SCALINGS)
    fractions = _fractions(valid_fraction, test_fraction)
    found = pool(info, np.asarray(info.groups, dtype=str))
    keys = _keys(source, key)
    outside = np.setdiff1d(np.arange(len(source)), found.items)
    played = read_listening(path, leave_out={keys[i] for i in outside} - {""})
    position = {item: i for i, item in enumerate(played.item_ids)}
    row = np.array([position.get(keys[i], -1) for i in found.items], np.int64)
    if not (row >= 0).any():
        ours, theirs = keys[found.items[0]], next(iter(played.item_ids), "nothing")
        raise ValueError(
            f"none of the {len(found.items)} items of {info.name} that can be used is in {path}:"
            f" by data.target_args.key {key!r} one is called {ours!r}, and there one {theirs!r}"
        )
    vectors = item_factors(
        played,
        num_factors=num_factors,
        confidence=confidence,
        regularization=regularization,
        num_iterations=num_iterations,
        seed=seed,
    )
    items, row = found.items[row >= 0], row[row >= 0]
    dealt = _deal_whole(np.asarray(info.groups)[items], None, fractions, seed=seed)
    labels = np.full((len(source), num_factors), np.nan, np.float32)
    labels[items] = _scaled(vectors[row], scaling, train=dealt["train"])
    lost = len(found.items) - len(items)
    return _target(
        source,
        labels,
        splits={split: items[positions] for split, positions in dealt.items()},
        settings=["listening", key, num_factors, scaling, fractions, seed],
        what=f"labels are {num_factors} factors of {len(played.counts)} rows of plays of"
        f" {len(played.item_ids)} items by {len(np.unique(played.users))} users, scaled to"
        f" {scaling}",
        left_out=(found.note, f"{lost} without a play" if lost else ""),
        task="regression",
        labels_in_order=tuple(f"factor_{k}" for k in range(num_factors)),
    )


def with_embeddings(
    source: Source,
    *,
    path: str | os.PathLike,
    num_clusters: int = 50,
    valid_fraction: float = 0.1,
    test_fraction: float = 0.0,
    seed: int = 0,
) -> Source:
    """Regression onto the embeddings that another network gave songs (S-SONDO, 2026), whatever
    that is: distillation of an encoder whose weights need not be here.

    Vectors have length 1, for `objective.distance` "cosine". The column "embedding_cluster" says
    which are alike, for `data.sampling`. Valid and test are by groups that train does not have.

    Args:
        source: of which; labels are not used.
        path: of the embeddings, see `data.embeddings.read_embeddings`.
        num_clusters: of k-means over the embeddings of train.
        valid_fraction, test_fraction: of the items, 0 for none.
        seed: of clusters and splits.

    Raises:
        ValueError: a setting out of range, or the file has no embeddings of the items.
    """
    from mclf_jax.data.embeddings import cluster, read_embeddings

    info = source.info
    fractions = _fractions(valid_fraction, test_fraction)
    checks.whole("data.target_args.num_clusters", num_clusters, lowest=1)
    found = pool(info, np.asarray(info.groups, dtype=str))
    vectors = read_embeddings(path, item_ids=[source.item_id(i) for i in range(len(source))])
    items = found.items[np.isfinite(vectors[found.items]).all(axis=1)]
    if not len(items):
        raise ValueError(
            f"{path} has embeddings of valid and test of {info.name} alone, which are kept for"
            " later: embed the songs of train and unlabelled too"
        )
    dealt = _deal_whole(np.asarray(info.groups)[items], None, fractions, seed=seed)
    splits = {split: items[positions] for split, positions in dealt.items()}
    labels = np.full(vectors.shape, np.nan, np.float32)
    labels[items] = _scaled(vectors[items], "unit", train=dealt["train"])
    clusters = cluster(labels, train=splits["train"], num_clusters=num_clusters, seed=seed)
    names = tuple("" if number < 0 else str(number) for number in clusters)
    lost = len(found.items) - len(items)
    return _target(
        source,
        labels,
        splits=splits,
        settings=["embedding", num_clusters, fractions, seed],
        what=f"labels are embeddings of {vectors.shape[1]} numbers, in {clusters.max() + 1}"
        " clusters",
        left_out=(found.note, f"{lost} without an embedding" if lost else ""),
        task="regression",
        labels_in_order=tuple(f"embedding_{k}" for k in range(vectors.shape[1])),
        columns={**info.columns, "embedding_cluster": names},
    )


TARGETS: Mapping[str, Callable[..., Source]] = {
    "artist": with_artists,
    "artist_group": with_artist_groups,
    "embedding": with_embeddings,
    "listening": with_listening,
    "column": with_column,
}


def _fractions(valid_fraction: float, test_fraction: float) -> dict[str, float]:
    """Those above 0, by split."""
    given = {"valid": valid_fraction, "test": test_fraction}
    if min(given.values()) < 0 or sum(given.values()) >= 1:
        raise ValueError(
            f"data.target_args.valid_fraction is {valid_fraction} and test_fraction"
            f" {test_fraction}; they must not be negative, and below 1 together"
        )
    return {split: fraction for split, fraction in given.items() if fraction}


def _deal_whole(
    groups: np.ndarray, labels: np.ndarray | None, fractions: Mapping[str, float], *, seed: int
) -> dict[str, np.ndarray]:
    """Whole groups to splits."""
    shares = {"train": 1 - sum(fractions.values()), **fractions}
    return split_by_group(groups, labels, fractions=shares, seed=seed)


def _keys(source: Source, key: str) -> list[str]:
    if key == "id":
        return [source.item_id(i) for i in range(len(source))]
    if key not in source.info.columns:
        allowed = ", ".join(("id", *source.info.columns))
        raise ValueError(
            f"data.target_args.key is {key!r}, which {source.info.name} does not have; allowed:"
            f" {allowed}"
        )
    return list(source.info.columns[key])


def _scaled(vectors: np.ndarray, scaling: str, *, train: np.ndarray) -> np.ndarray:
    if scaling == "unit":
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors / np.maximum(lengths, 1e-12)
    spread = vectors[train].std(axis=0)
    return (vectors - vectors[train].mean(axis=0)) / np.where(spread > 0, spread, 1)


def _target(
    source: Source,
    labels: np.ndarray,
    *,
    splits: Mapping[str, np.ndarray],
    settings: list[Any],
    what: str,
    left_out: tuple[str, ...],
    **changes: Any,
) -> Source:
    counts = ", ".join(f"{split} {len(items)}" for split, items in splits.items())
    reasons = ", ".join(filter(None, left_out))
    note = f"pretext task: {what}: {counts}; the data set's own valid and test are not used"
    if reasons:
        note += f"; left out of the rest: {reasons}"
    return derived(
        source, labels, settings=settings, note=note, splits=splits, parents={}, **changes
    )
