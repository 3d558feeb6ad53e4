"""Few-shot episodes: N classes, K songs of each to learn them from, others to be asked about.

The protocol of Vinyals et al., 2016, "Matching Networks for One Shot Learning", with one thing
more: no artist or track is on both sides, because recognising it is not recognising the class.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import TypedDict

import numpy as np

_TRIES = 200


class Episode(TypedDict):
    """classes: int [N]; support: int [N, K] and query: int [N, Q], item indices, by class."""

    classes: np.ndarray
    support: np.ndarray
    query: np.ndarray


@dataclasses.dataclass(frozen=True)
class Episodes:
    """Episodes by number; each depends on its number and the settings alone.

    Attributes:
        items: for each usable class, and each group in it, the items.
        num_ways, num_shots, num_queries: classes, and songs of each, in an episode.
        num_episodes: after which iteration ends; any other number can be asked for too.
        seed: of all draws.
    """

    items: dict[int, dict[str, tuple[int, ...]]]
    num_ways: int
    num_shots: int
    num_queries: int
    num_episodes: int
    seed: int

    def __len__(self) -> int:
        return self.num_episodes

    def __iter__(self) -> Iterator[Episode]:
        return (self[number] for number in range(self.num_episodes))

    def __getitem__(self, number: int) -> Episode:
        """Episode `number`, from 0.

        Raises:
            ValueError: groups reach over so many classes that no draw puts them on one side.
        """
        rng = np.random.default_rng([self.seed, number])
        for _ in range(_TRIES):
            classes = rng.choice(sorted(self.items), self.num_ways, replace=False)
            sides = self._sides(classes.tolist(), rng)
            if sides is not None:
                support, query = sides
                return Episode(classes=classes, support=support, query=query)
        raise ValueError(
            f"no episode {number} in {_TRIES} draws: too many groups are in several classes to keep"
            f" support and query apart. Lower num_ways ({self.num_ways}), num_shots"
            f" ({self.num_shots}) or num_queries ({self.num_queries}), or give no groups"
        )

    def _sides(
        self, classes: list[int], rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray] | None:
        """Support [N, K] and query [N, Q]; None where this draw of groups gives too few."""
        in_support: dict[str, bool] = {}
        chosen = []
        for label in classes:
            groups = sorted(self.items[label])
            groups = [groups[g] for g in rng.permutation(len(groups))]
            # Where an earlier class put a group it stays. Then support is filled, the rest asks.
            groups.sort(key=lambda group: group not in in_support)
            support, query = [], []
            for group in groups:
                side = in_support.setdefault(group, len(support) < self.num_shots)
                (support if side else query).extend(self.items[label][group])
            if len(support) < self.num_shots or len(query) < self.num_queries:
                return None
            chosen.append(
                (
                    rng.choice(support, self.num_shots, replace=False),
                    rng.choice(query, self.num_queries, replace=False),
                )
            )
        support, query = zip(*chosen, strict=True)
        return np.stack(support), np.stack(query)


def episodes(
    labels: np.ndarray,
    groups: Sequence[str] | None = None,
    *,
    num_ways: int,
    num_shots: int,
    num_queries: int,
    seed: int,
    num_episodes: int = 600,
    indices: np.ndarray | None = None,
) -> Episodes:
    """Episodes from the items of a data set.

    Classes with too few items, or too few groups to have both sides, are never drawn.

    Args:
        labels: int [N].
        groups: [N], what must not be in both support and query, in whatever class; None for
            items one by one.
        num_ways: classes of an episode.
        num_shots: support items of each class.
        num_queries: query items of each class.
        seed: of all draws, not negative.
        num_episodes: how many there are to iterate over; 600 are usual.
        indices: items that may be drawn, such as of a split; None for all.

    Raises:
        ValueError: fewer usable classes than `num_ways`, numbers below 1, or labels that are not
            one of many.
    """
    labels = np.asarray(labels)
    if labels.ndim != 1:
        raise ValueError(f"episodes need one label for each item, [N], got shape {labels.shape}")
    sizes = {"num_ways": num_ways, "num_shots": num_shots, "num_queries": num_queries}
    if wrong := {name: value for name, value in sizes.items() if value < 1}:
        raise ValueError(f"num_ways, num_shots and num_queries must be at least 1, got {wrong}")
    items: dict[int, dict[str, tuple[int, ...]]] = {}
    for item in np.arange(len(labels)) if indices is None else np.asarray(indices):
        group = str(item) if groups is None else groups[item]
        of_class = items.setdefault(int(labels[item]), {})
        of_class[group] = (*of_class.get(group, ()), int(item))
    usable = {
        label: of_class
        for label, of_class in items.items()
        if _can_be_parted([len(g) for g in of_class.values()], num_shots, num_queries)
    }
    if len(usable) < num_ways:
        raise ValueError(
            f"num_ways is {num_ways}, but {len(usable)} of {len(items)} classes have {num_shots}"
            f" items and {num_queries} others{'' if groups is None else ' of other groups'}: lower"
            " num_ways, num_shots or num_queries"
        )
    return Episodes(
        items=usable,
        num_ways=num_ways,
        num_shots=num_shots,
        num_queries=num_queries,
        num_episodes=num_episodes,
        seed=seed,
    )


def _can_be_parted(sizes: list[int], num_shots: int, num_queries: int) -> bool:
    """Whether some of the groups have `num_shots` items, and the others `num_queries`."""
    sums = 1  # bit n: some of the groups have n items together
    for size in sizes:
        sums |= sums << size
    most = sum(sizes) - num_queries
    return any(sums >> total & 1 for total in range(num_shots, most + 1))
