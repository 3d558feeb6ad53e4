"""Audio files as a data set: whatever a catalogue lists and can be decoded."""

import dataclasses
import hashlib
import json
from collections.abc import Sequence

import numpy as np

from mclf_jax.audio import decode
from mclf_jax.data.base.source import Info, Kept
from mclf_jax.data.base.targets import Targets
from mclf_jax.data.catalogue.items import FRACTIONS, UNLABELLED, Catalogue, Item
from mclf_jax.data.catalogue.plan import Plan, first, first_reasons, plan
from mclf_jax.data.sources import scan


@dataclasses.dataclass(frozen=True)
class Files(Kept):
    """Audio files; plain data, so that worker processes get a copy cheaply.

    Attributes:
        info: labels, splits and what was left out.
        files: of each item, on disk.
        item_ids: of each item.
        targets: see `Plan`.
        starts: int64 [N], the first sample in the file at `info.sample_rate_hz`.
        lengths: int64 [N], samples at `info.sample_rate_hz`.
        plain: bool [N], files that need not be looked through before a window of them is decoded,
            see `decode.read_audio`; None: all others are.
    """

    info: Info
    files: tuple[str, ...]
    item_ids: tuple[str, ...]
    targets: Targets = dataclasses.field()
    starts: np.ndarray
    lengths: np.ndarray
    plain: np.ndarray | None = None

    def read(self, index: int, *, start_sample: int, num_samples: int) -> np.ndarray:
        left = max(0, self.num_samples(index) - start_sample)
        return decode.read_audio(
            self.files[index],
            sample_rate_hz=self.info.sample_rate_hz,
            start_sample=int(self.starts[index]) + start_sample,
            num_samples=min(num_samples, left),
            layout="plain" if self.plain is not None and self.plain[index] else "unknown",
        )

    def num_samples(self, index: int) -> int:
        return int(self.lengths[index])


def open_catalogue(
    catalogue: Catalogue,
    *,
    sample_rate_hz: int,
    min_duration_s: float = 0.125,
    silent_label: str = "silence",
    seed: int = 0,
    split_rule: str = "hash",
    split_fractions: Sequence[float] = FRACTIONS,
    progress: str = "auto",
) -> Files:
    """Decodes each file of a catalogue once (`scan`), and makes it a data set.

    Args:
        catalogue: what a reader found.
        sample_rate_hz: of the audio that is read.
        min_duration_s: shorter files are left out.
        silent_label: files silent to the last sample are left out, except under this label, whose
            meaning that is.
        seed: of splits that are made here, see `plan`.
        split_rule, split_fractions: of these splits, see `plan`.
        progress: "auto", "on" or "off", while files are decoded.

    Raises:
        ValueError: nothing is usable, or see `plan`.
    """
    notes = list(catalogue.notes)
    results = scan.scan(
        [item.file for item in catalogue.items],
        sample_rate_hz=sample_rate_hz,
        min_duration_s=min_duration_s,
        progress=progress,
    )
    items, sizes, starts, lengths, silent = [], [], [], [], []
    parts, loud, plain = [], [], []
    skipped = list(catalogue.skipped)
    for item, result in zip(catalogue.items, results, strict=True):
        start, length = part_of_file(item, length=result.num_samples, sample_rate_hz=sample_rate_hz)
        if result.reason == scan.SILENT and silent_label in item.labels:
            silent.append(item.item_id)
        elif result.reason is not None:
            skipped.append((item.item_id, result.reason))
            continue
        elif start and length < min_duration_s * sample_rate_hz:
            whole_s = result.num_samples / sample_rate_hz
            skipped.append(
                (item.item_id, f"at {item.start_s:g} s of {whole_s:.3f} s there is nothing left")
            )
            continue
        items.append(item)
        sizes.append(result.num_bytes)
        starts.append(start)
        lengths.append(length)
        plain.append(result.is_plain)
        if result.part:
            parts.append((item.item_id, result.part))
        if said := decode.too_loud(result.peak):
            loud.append((item.item_id, said))
    if silent:
        notes.append(
            f"{scan.SILENT}, but kept because the label is {silent_label!r}: {len(silent)} of"
            f" {len(items)} files, such as {silent[0]}"
        )
    notes += part_notes(parts, loud, total=len(items))
    if not items:
        title = catalogue.facts.title
        raise ValueError(f"nothing in {title} is usable: {first_reasons(skipped)}")
    if catalogue.labels is None and (lost := _lost_labels(catalogue.items, items)):
        notes.append(f"labels without any usable file, left out: {', '.join(lost)}")
    usable = dataclasses.replace(
        catalogue, items=tuple(items), skipped=tuple(sorted(skipped)), notes=tuple(notes)
    )
    planned = plan(usable, seed=seed, split_rule=split_rule, split_fractions=split_fractions)
    fingerprint = _fingerprint(
        usable, planned, sizes, sample_rate_hz=sample_rate_hz, min_duration_s=min_duration_s
    )
    return Files(
        info=make_info(
            usable,
            planned,
            sample_rate_hz=sample_rate_hz,
            fingerprint=fingerprint,
            parts=tuple(sorted(parts)),
        ),
        files=tuple(item.file for item in items),
        item_ids=tuple(item.item_id for item in items),
        targets=planned.targets,
        starts=np.array(starts, np.int64),
        lengths=np.array(lengths, np.int64),
        plain=np.array(plain, bool),
    )


def part_notes(
    parts: Sequence[tuple[str, str]], loud: Sequence[tuple[str, str]], *, total: int
) -> list[str]:
    """Sentences for `Info.notes` on (item, reason) of what is used in part or far too loud."""
    said = (("used in part", parts), ("far outside -1..1", loud))
    return [
        f"{what}: {len(found)} of {total} files, such as {found[0][0]} ({found[0][1]})"
        for what, found in said
        if found
    ]


def make_info(
    catalogue: Catalogue,
    planned: Plan,
    *,
    sample_rate_hz: int,
    fingerprint: str,
    parts: tuple[tuple[str, str], ...] = (),
) -> Info:
    """What a source of the planned items of a catalogue tells its users."""
    facts, items = catalogue.facts, planned.items
    licences = sorted({item.licence for item in items} - {""})
    columns = sorted({name for item in items for name in item.columns})
    return Info(
        name=facts.name,
        task=catalogue.task,
        labels=planned.labels,
        sample_rate_hz=sample_rate_hz,
        splits=planned.splits,
        groups=tuple(item.group or item.item_id for item in items),
        version=facts.version,
        fingerprint=fingerprint,
        licence=first(licences, separator="; ") or facts.licence,
        skipped=catalogue.skipped,
        notes=planned.notes,
        citation=facts.citation,
        url=facts.url,
        faults=facts.faults,
        parents=catalogue.parents,
        group_kind=facts.group,
        columns={name: tuple(item.columns.get(name, "") for item in items) for name in columns},
        parts=parts,
    )


def part_of_file(item: Item, *, length: int, sample_rate_hz: int) -> tuple[int, int]:
    """First sample and number of samples of an item in its file of `length` samples."""
    start = round(item.start_s * sample_rate_hz)
    left = max(0, length - start)
    if item.duration_s is None:
        return start, left
    return start, min(left, round(item.duration_s * sample_rate_hz))


def _lost_labels(before: tuple[Item, ...], after: list[Item]) -> list[str]:
    def names(items) -> set[str]:
        return {name for item in items if item.split != UNLABELLED for name in item.labels}

    return sorted(names(before) - names(after))


def _fingerprint(catalogue: Catalogue, planned: Plan, sizes: Sequence[int], **settings) -> str:
    """Of what the items are, with files of `sizes` bytes.

    Not of times of change, so that a copy has the same.
    """
    split_of = {i: split for split, found in planned.splits.items() for i in found.tolist()}
    settings |= {"task": catalogue.task, "labels": planned.labels}
    digest = hashlib.sha256(f"[{json.dumps(settings, sort_keys=True)}, [".encode())
    for i, item in enumerate(planned.items):
        fields = (
            item.item_id,
            sizes[i],
            item.labels,
            item.values,
            split_of[i],
            item.group,
            *((item.start_s, item.duration_s) if item.duration_s is not None else ()),
            *((item.observed,) if item.observed is not None else ()),
        )
        digest.update(f"{', ' * (i > 0)}{json.dumps(fields)}".encode())
    digest.update(b"]]")
    return digest.hexdigest()
