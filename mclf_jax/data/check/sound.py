"""What the measured audio says: rates, lengths, silence, clipping, and formats that tell labels."""

import collections
from collections.abc import Callable, Sequence

import numpy as np

from mclf_jax.audio import decode
from mclf_jax.data.base.source import Info, Source
from mclf_jax.data.check.finding import Finding, by_size, plural
from mclf_jax.data.check.labels import Labels
from mclf_jax.data.check.measure import FULL_SCALE, SILENCE_DB, Measured

MAX_CLIPPED = 1e-3
"""Share of clipped samples, from which it is heard."""

MAX_SILENT = 0.5
MAX_OFFSET = 0.01
_OUTLIER = 8  # times longer or shorter than the median
_NARROW = 0.5  # of the highest frequency that the source yields
_GAIN = 0.1  # in accuracy, by which formats tell labels


def check_files(info: Info) -> list[Finding]:
    """What was left out when the data set was opened or is used in part, and what else was said."""
    findings = []
    for items, what in ((info.skipped, "left out"), (info.parts, "used in part")):
        if items:
            reasons = collections.Counter(_kind_of(reason) for _, reason in items)
            listed = ", ".join(f"{reason} ({n})" for reason, n in reasons.most_common(4))
            text = f"{plural(len(items), 'item')} {what}: {listed}"
            lines = tuple(f"{path}: {reason}" for path, reason in items)
            findings.append(Finding("files", "warning", text, lines))
    if not info.skipped:
        # A note may be on what is no item at all: seconds that were cut off, songs of no split.
        said = "no item was skipped" if info.parts or info.notes else "nothing was left out"
        findings.insert(0, Finding("files", "passed", said))
    return [*findings, *(Finding("files", "note", note) for note in info.notes)]


def _kind_of(reason: str) -> str:
    """What reasons have in common: what stands before figures and particulars."""
    return reason.partition(":")[0].partition(" (")[0].rstrip("0123456789. ")


def check_sound(source: Source, audio: Sequence[Measured | str], labels: Labels) -> list[Finding]:
    """What the audio of the items is like."""
    heard = {i: found for i, found in enumerate(audio) if isinstance(found, Measured)}
    broken = [f"{source.item_id(i)}: {found}" for i, found in enumerate(audio) if i not in heard]
    text = f"all {len(audio)} items decode"
    findings = [Finding("files", "passed", text)]
    if broken:
        text = f"{plural(len(broken), 'item')} of {len(audio)} cannot be decoded"
        findings = [Finding("files", "warning", text, tuple(broken))]
    if not heard:
        return findings
    return [
        *findings,
        _durations(source, heard),
        *_formats(source, heard),
        *_quality(source, heard),
        *_telling(source, heard, labels),
    ]


def _durations(source: Source, heard: dict[int, Measured]) -> Finding:
    seconds = np.array([found.duration_s for found in heard.values()])
    median = float(np.median(seconds))
    text = (
        f"{seconds.sum() / 3600:.2f} hours; items of {_s(seconds.min())} to {_s(seconds.max())}, "
        f"median {_s(median)}"
    )
    far = by_size(
        (abs(np.log(found.duration_s / median)), f"{source.item_id(i)}: {_s(found.duration_s)}")
        for i, found in heard.items()
        if not 1 / _OUTLIER <= found.duration_s / median <= _OUTLIER
    )
    if far:
        text += f"; {plural(len(far), 'item')} more than {_OUTLIER} times longer or shorter"
    return Finding("audio", "warning" if far else "note", text, far)


def _formats(source: Source, heard: dict[int, Measured]) -> list[Finding]:
    """Rates, channels and codecs of the files."""
    kinds = collections.Counter(_format(found) for found in heard.values())
    listed = ", ".join(f"{kind} ({count})" for kind, count in kinds.most_common(6))
    text = f"{plural(len(kinds), 'format')}: {listed}"
    if len(kinds) > 6:
        text += f" and {len(kinds) - 6} more"
    below = sum(found.sample_rate_hz < source.info.sample_rate_hz for found in heard.values())
    verdict = "note"
    if below:
        verdict = "warning"
        text += (
            f"; {below} below the {source.info.sample_rate_hz} Hz that the source yields, so their "
            "highest frequencies are empty"
        )
    return [Finding("audio", verdict, text)]


def _format(found: Measured) -> str:
    channels = {1: "mono", 2: "stereo"}.get(found.num_channels, f"{found.num_channels} channels")
    return " ".join(filter(None, (found.format, f"{found.sample_rate_hz} Hz", channels)))


def _quality(source: Source, heard: dict[int, Measured]) -> list[Finding]:
    highest_hz = source.info.sample_rate_hz / 2

    def listed(
        value: Callable[[Measured], float], is_bad: Callable[[Measured], bool], form: str
    ) -> tuple[str, ...]:
        return by_size(
            (value(found), f"{source.item_id(i)}: " + form.format(value(found)))
            for i, found in heard.items()
            if is_bad(found)
        )

    findings = []
    for lines, bad, good in (
        (
            listed(lambda m: m.silent_share, lambda m: m.silent_share >= MAX_SILENT, "{:.0%}"),
            f"of which half or more is silent (below {SILENCE_DB:g} dB of full scale)",
            "no item is silent for half of its length",
        ),
        (
            listed(lambda m: 100 * m.clipped, lambda m: m.clipped >= MAX_CLIPPED, "{:.2f} %"),
            f"clipped: more than {MAX_CLIPPED:.1%} of the samples in runs at {FULL_SCALE:g} or more"
            " of full scale",
            "no item is clipped",
        ),
        (
            listed(lambda m: m.peak, lambda m: bool(decode.too_loud(m.peak)), "up to {:.5g}"),
            "far outside -1..1, where full scale is 1: perhaps integers that were not divided by"
            " their largest value",
            "no item is far outside -1..1",
        ),
        (
            listed(lambda m: abs(m.dc_offset), lambda m: abs(m.dc_offset) >= MAX_OFFSET, "{:.3f}"),
            f"with a constant offset of {MAX_OFFSET:g} or more",
            "no item has a constant offset",
        ),
        (
            listed(
                lambda m: m.band_hz,
                lambda m: 0 < m.band_hz < _NARROW * min(highest_hz, m.sample_rate_hz / 2),
                "up to {:.0f} Hz",
            )[::-1],
            f"with nothing in the upper half of the band up to {highest_hz:g} Hz: recorded or "
            "encoded so, or low instruments",
            f"every item reaches into the upper half of the band up to {highest_hz:g} Hz",
        ),
    ):
        if lines:
            text = f"{plural(len(lines), 'item')} ({len(lines) / len(heard):.1%}) {bad}"
            findings.append(Finding("audio", "warning", text, lines))
        else:
            findings.append(Finding("audio", "passed", good))
    levels = np.array([found.level_db for found in heard.values() if found.peak > 0])
    if len(levels):
        low, high = np.percentile(levels, [5, 95])
        text = f"levels of {low:.1f} to {high:.1f} dB of full scale (5 % to 95 %)"
        findings.append(Finding("audio", "note", text))
    return findings


def _telling(source: Source, heard: dict[int, Measured], labels: Labels) -> list[Finding]:
    """Whether rate, channels and codec alone would classify the files."""
    if source.info.task != "single_label" or len({_format(m) for m in heard.values()}) < 2:
        return []
    known = [(row, i) for row, i in enumerate(labels.items.tolist()) if i in heard]
    if not known:
        return []
    label = np.array([labels.targets[row] for row, _ in known])
    kinds = np.unique([_format(heard[i]) for _, i in known], return_inverse=True)[1]
    table = np.zeros((kinds.max() + 1, len(source.info.labels)), int)
    np.add.at(table, (kinds, label), 1)
    by_format, by_chance = table.max(axis=1).sum() / len(known), np.bincount(label).max()
    by_chance = by_chance / len(known)
    text = (
        f"guessing the label from the file's format alone is right for {by_format:.1%} of the "
        f"items, without it for {by_chance:.1%}"
    )
    if by_format - by_chance >= _GAIN:
        text += ": a model can learn the codec and the rate instead of the music"
        return [Finding("audio", "warning", text)]
    return [Finding("audio", "passed", text)]


def _s(seconds: float) -> str:
    return f"{seconds:.3g} s" if seconds < 100 else f"{seconds / 60:.1f} min"
