"""What a check of a data set found: findings in words, the figures behind them, text and JSON."""

import dataclasses
import json
from collections.abc import Mapping

import numpy as np

from mclf_jax.data.check.duplicates import Duplicates
from mclf_jax.data.check.finding import VERDICTS, Finding
from mclf_jax.data.check.labels import Counts
from mclf_jax.data.check.measure import Measured

_MARKS = {"leak": "LEAK", "warning": "warning", "note": "note", "passed": "passed"}
_SHOWN = 5


@dataclasses.dataclass(frozen=True)
class CheckResult:
    """A checked data set.

    Attributes:
        name, version, fingerprint, licence, task: as in `Info`.
        splits: number of items of each split.
        num_skipped: items that were left out before.
        findings: in the order in which people should read them, by topic.
        item_ids: of each item, for positions elsewhere.
        counts: of labels, None for regression.
        audio: what each item's audio is like or why it cannot be decoded; None if not listened to.
        duplicates: None if the audio was not listened to.
    """

    name: str
    version: str
    fingerprint: str
    licence: str
    task: str
    splits: Mapping[str, int]
    num_skipped: int
    findings: tuple[Finding, ...]
    item_ids: tuple[str, ...]
    counts: Counts | None
    audio: tuple[Measured | str, ...] | None
    duplicates: Duplicates | None

    @property
    def leaks(self) -> tuple[Finding, ...]:
        return self._with("leak")

    @property
    def warnings(self) -> tuple[Finding, ...]:
        return self._with("warning")

    def _with(self, verdict: str) -> tuple[Finding, ...]:
        return tuple(found for found in self.findings if found.verdict == verdict)

    def summary(self) -> str:
        """One line."""
        counts = {verdict: len(self._with(verdict)) for verdict in VERDICTS}
        return (
            f"{counts['leak']} leak(s), {counts['warning']} warning(s), {counts['note']} note(s), "
            f"{counts['passed']} check(s) passed"
        )

    def text(self) -> str:
        """All findings, for a terminal."""
        splits = ", ".join(f"{name} {size}" for name, size in self.splits.items())
        lines = [
            f"{self.name} {self.version}: {len(self.item_ids)} items ({splits}), "
            f"{self.num_skipped} skipped, {self.task.replace('_', '-')}",
        ]
        topic = ""
        for found in self.findings:
            if found.topic != topic:
                topic = found.topic
                lines += ["", self.title_of(topic)]
            lines.append(f"  {_MARKS[found.verdict]:>7}  {found.message}")
            lines += [f"             {line}" for line in found.details[:_SHOWN]]
            if len(found.details) > _SHOWN:
                lines.append(f"             and {len(found.details) - _SHOWN} more")
        return "\n".join([*lines, "", self.summary()])

    def title_of(self, topic: str) -> str:
        """How a topic is called in print."""
        return f"known traps of {self.name}" if topic == "traps" else topic

    def to_dict(self) -> dict:
        """Everything that JSON can hold: findings whole, audio and matches by item id."""
        fields = ("name", "version", "fingerprint", "licence", "task", "num_skipped")
        found: dict = {name: getattr(self, name) for name in fields}
        found["splits"] = dict(self.splits)
        found["summary"] = self.summary()
        found["findings"] = [finding._asdict() for finding in self.findings]
        if self.counts is not None:
            found["labels"] = self.counts.to_dict()
        if self.audio is not None:
            found["audio"] = {
                item_id: {"error": heard} if isinstance(heard, str) else heard.to_dict()
                for item_id, heard in zip(self.item_ids, self.audio, strict=True)
            }
        if self.duplicates is not None:
            found["duplicates"] = [
                dataclasses.asdict(match)
                | {"first": self.item_ids[match.first], "second": self.item_ids[match.second]}
                for match in self.duplicates.matches
            ]
        return found

    def json(self) -> str:
        """`to_dict` as JSON."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False, default=_plain)


def _plain(value):
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")
