"""What every data set gives to the pipeline: items by index, and what they are."""

import abc
import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import TypedDict

import numpy as np

from mclf_jax.data.base.targets import Targets

TASKS = ("single_label", "multi_label", "regression")


class Example(TypedDict):
    """One item as the pipeline passes it on, before batching.

    audio: float32 [T], mono, at `Info.sample_rate_hz`.
    label: int32 [] for `single_label`, float32 [K] for `multi_label` and `regression`; a label
        that nobody looked for is NaN, neither there nor absent.
    valid: float32 [], 0 on padding rows.
    index: int32 [], the position in the source.
    """

    audio: np.ndarray
    label: np.ndarray
    valid: np.ndarray
    index: np.ndarray


@dataclasses.dataclass(frozen=True)
class Info:
    """What a user should know of a data set before training on it.

    Attributes:
        name: the name under which `data.build` finds it.
        task: one of `TASKS`.
        labels: the K label names in the order of the model's outputs.
        sample_rate_hz: rate of the audio that the source yields.
        splits: item indices of each split ("train", "valid", "test", "unlabelled").
        groups: for each item the artist, album or track that must not cross splits.
        version: of the data set.
        fingerprint: hex digest of everything that decides what the items are.
        licence: of the audio.
        skipped: (path, reason) of everything that was found and left out.
        notes: sentences worth printing once, such as "splits were made by group".
        citation, url: whom to credit, and where to get the data set.
        faults: what one should know before trusting a score on it, a sentence each.
        parents: of labels in a hierarchy, {label: parent}; an item has its labels' ancestors too.
        group_kind: what groups are: "artist", "album", "track", ...
        columns: what else is known of each item, by name, "" where it is not.
        parts: (path, reason) of everything of which only a part can be used.
        unit: of regression (scale, offset) of each of the K numbers, if targets were made small to
            learn them: a target times the scale, plus the offset, is the number that the data have.
    """

    name: str
    task: str
    labels: tuple[str, ...]
    sample_rate_hz: int
    splits: Mapping[str, np.ndarray]
    groups: tuple[str, ...]
    version: str
    fingerprint: str
    licence: str
    skipped: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    citation: str = ""
    url: str = ""
    faults: tuple[str, ...] = ()
    parents: Mapping[str, str] = dataclasses.field(default_factory=dict)
    group_kind: str = "group"
    columns: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    parts: tuple[tuple[str, str], ...] = ()
    unit: tuple[tuple[float, float], ...] = ()


class Source(abc.ABC):
    """Random access to songs; picklable, because worker processes get a copy.

    Attributes:
        info: what they are.
        labels: read-only int32 [N] for `single_label`, float32 [N, K] for the other tasks. The
            package itself looks at `targets`, which may be much smaller.
        item_ids: path or track id of each, for people.
    """

    info: Info
    labels: np.ndarray
    item_ids: Sequence[str]

    @functools.cached_property
    def targets(self) -> Targets:
        """The labels as they are kept; a source of many tags has them sparse, see `Kept`."""
        return self.labels

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: int) -> Example:
        """The whole song."""
        return Example(
            audio=self.read(index, start_sample=0, num_samples=self.num_samples(index)),
            label=self.targets[index],
            valid=np.float32(1),
            index=np.int32(range(len(self))[index]),
        )

    @abc.abstractmethod
    def read(self, index: int, *, start_sample: int, num_samples: int) -> np.ndarray:
        """Float32 [<= num_samples] of the song, decoding nothing else; shorter at its end.

        Raises:
            AudioError: the audio cannot be read (`mclf_jax.audio.decode`).
        """

    @abc.abstractmethod
    def num_samples(self, index: int) -> int:
        """Length of the song at `info.sample_rate_hz`, without decoding it."""

    def item_id(self, index: int) -> str:
        """Path or track id, for people."""
        return self.item_ids[index]


class Kept(Source):
    """A source that keeps `targets` and makes an array of its `labels` for whoever asks for them.

    A dataclass of it says `targets: Targets = dataclasses.field()`, or would take that of `Source`
    for the default.
    """

    @functools.cached_property
    def labels(self) -> np.ndarray:
        return read_only(self.targets[:])


def read_only(array: np.ndarray) -> np.ndarray:
    """The same array, which nobody can change any more: sources share their labels."""
    array.flags.writeable = False
    return array
