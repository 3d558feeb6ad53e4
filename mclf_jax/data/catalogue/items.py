"""What a data set says about itself before any audio is decoded: items, labels, splits, facts."""

import dataclasses
from collections.abc import Mapping

SPLITS = ("train", "valid", "test")
UNLABELLED = "unlabelled"

FRACTIONS = (0.7, 0.15, 0.15)
"""Of train, valid and test, where no split is given."""


@dataclasses.dataclass(frozen=True, slots=True)
class Item:
    """One recording, or a part of one.

    Attributes:
        item_id: under which people know it; unique in the data set.
        file: where it is on disk.
        labels: names; empty where there are none.
        observed: names of the labels that somebody looked for, where that is not all of them;
            the others are unknown, neither there nor absent. For tags.
        values: targets of regression, NaN where not annotated; empty where there are none.
        split: "train", "valid", "test", "unlabelled", or "" where none is given.
        group: artist, album or track that must not be in two splits; "" where none is given.
        licence: of this recording, where it is not that of the whole set.
        start_s, duration_s: which part of the file; all of it when not given.
        columns: anything else that is known, such as {"year": "1997"}.
        line: in the file it comes from; 0 without one.
    """

    item_id: str
    file: str
    labels: tuple[str, ...] = ()
    observed: tuple[str, ...] | None = None
    values: tuple[float, ...] = ()
    split: str = ""
    group: str = ""
    licence: str = ""
    start_s: float = 0.0
    duration_s: float | None = None
    columns: Mapping[str, str] = dataclasses.field(default_factory=dict)
    line: int = 0

    @property
    def is_part(self) -> bool:
        """Whether it is less than its file."""
        return self.start_s > 0 or self.duration_s is not None

    @property
    def is_labelled(self) -> bool:
        """Whether there is anything to learn from it with supervision."""
        annotated = self.labels or self.values or self.observed is not None
        return self.split != UNLABELLED and bool(annotated)


@dataclasses.dataclass(frozen=True)
class Facts:
    """What is published about a data set; the table of `mclf data list`.

    Attributes:
        name: under which `data.build` finds it.
        title: as its authors call it.
        contents: in a line, such as "1,000 excerpts of 30 s, ten genres".
        tasks: one of `data.base.source.TASKS` for each variant that the reader offers, by the
            variant's name, the default first.
        splits: number of items of each split, by variant, as published; of what is in the
            metadata, before unreadable audio is left out.
        group: what must not cross splits: "artist", "album", "track", "song", "instrument".
        version: of what was published.
        licence: of the audio.
        citation: authors, title, venue, year.
        url: where to get it.
        faults: what one should know before trusting a score, a sentence each.
    """

    name: str
    title: str
    contents: str = ""
    tasks: Mapping[str, str] = dataclasses.field(default_factory=dict)
    splits: Mapping[str, Mapping[str, int]] = dataclasses.field(default_factory=dict)
    group: str = "track"
    version: str = "unversioned"
    licence: str = "unknown"
    citation: str = ""
    url: str = ""
    faults: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Catalogue:
    """All items of a data set, read from its metadata alone.

    Attributes:
        facts: what is published about it.
        task: one of `data.base.source.TASKS`.
        items: in an order that does not depend on the file system.
        labels: the K names in the order of the model's outputs; None for those of the usable
            items, sorted.
        parents: of labels in a hierarchy, {label: parent}; items carry their ancestors too.
        skipped: (item, reason) of everything that is left out already.
        notes: sentences worth printing once.
        split_hint: what a user can do about splits that cannot be made.
    """

    facts: Facts
    task: str
    items: tuple[Item, ...]
    labels: tuple[str, ...] | None = None
    parents: Mapping[str, str] = dataclasses.field(default_factory=dict)
    skipped: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    split_hint: str = ""
