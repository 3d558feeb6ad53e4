"""The traps that the tutorial warns of in GTZAN, MagnaTagATune, MSD and MTG-Jamendo, each checked.

Won, Spijkervet and Choi, 2021, "Music Classification: Beyond Supervised Learning, Towards
Real-world Applications", chapter 3; Sturm, 2013, "The GTZAN dataset: its contents, its faults".
"""

import collections
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from mclf_jax.data.base.source import Source
from mclf_jax.data.catalogue.items import SPLITS, UNLABELLED
from mclf_jax.data.check.duplicates import KINDS, Duplicates
from mclf_jax.data.check.finding import Finding, by_size, plural
from mclf_jax.data.check.labels import Counts, Labels, divergence, labels_per_item
from mclf_jax.data.check.leakage import crossing, split_of, splits_of
from mclf_jax.data.check.measure import Measured
from mclf_jax.data.check.names import Pair

_TOPIC = "traps"
_LONG_TAIL = 0.01  # of the items: rarer labels are the tail
_FAULT_FILTERED = {"train": (442, 443), "valid": (197,), "test": (290,)}
_WON_2020 = {"train": 15244, "valid": 1529, "test": 4332}
_RANDOM_MSD = {"train": 201680, "valid": 11774, "test": 28435}
_FEWER = 0.02  # of a published split, that may be missing
_PREVIEW_S = (25.0, 65.0)


class Evidence(NamedTuple):
    """What the other checks have gathered."""

    labels: Labels  # of the labelled items
    counts: Counts  # of labels
    pairs: Sequence[Pair]  # suspicious pairs of labels
    audio: Sequence[Measured | str] | None  # what the items are like, None if not listened to
    duplicates: Duplicates | None  # None if not listened to


def check(source: Source, evidence: Evidence) -> list[Finding]:
    """The checks of the data set with this name; none for others."""
    checks = _CHECKS.get(source.info.name, ())
    return [
        Finding(_TOPIC, *found) for look in checks if (found := look(source, evidence)) is not None
    ]


Found = tuple[str, str] | tuple[str, str, tuple[str, ...]] | None
Look = Callable[[Source, Evidence], Found]


def _sizes(source: Source) -> dict[str, int]:
    return {name: len(source.info.splits.get(name, ())) for name in SPLITS}


def _listed(sizes: dict[str, int]) -> str:
    return " / ".join(str(size) for size in sizes.values())


def _artists(source: Source) -> dict[str, collections.Counter] | None:
    """The songs of each artist by split; None where nobody has two: those are not artists."""
    info = source.info
    artists = info.columns.get("artist") or (info.groups if info.group_kind == "artist" else ())
    splits = splits_of(info, artists)
    return None if len(splits) == sum(found.total() for found in splits.values()) else splits


# GTZAN


def _gtzan_split(source: Source, _: Evidence) -> Found:
    sizes = _sizes(source)
    if all(sizes[name] in allowed for name, allowed in _FAULT_FILTERED.items()):
        return "passed", f"the split has the sizes of the fault-filtered one ({_listed(sizes)})"
    return (
        "warning",
        f"the split is {_listed(sizes)}, not the fault-filtered one (443 / 197 / 290): repetitions,"
        " mislabelled and distorted excerpts are in it, and scores near 100 % mean nothing",
    )


def _gtzan_corrupt(source: Source, _: Evidence) -> Found:
    name = "jazz.00054"
    inside = [i for i in range(len(source)) if name in source.item_id(i)]
    if inside:
        return "warning", f"{name}, corrupt as distributed, is in the data set"
    return "passed", f"{name}, corrupt as distributed, is left out"


def _gtzan_artists(source: Source, _: Evidence) -> Found:
    splits = _artists(source)
    if splits is None:
        return (
            "warning",
            "artists repeat heavily in GTZAN and none is named here, so that no artist is in two "
            "splits rests on the published lists alone; any other split leaks",
        )
    across = tuple(sorted(crossing(splits)))
    text = f"{len(across)} of {len(splits)} artists are in more than one split"
    return ("warning" if across else "passed"), text, across


def _gtzan_repetitions(source: Source, evidence: Evidence) -> Found:
    if evidence.duplicates is None:
        return None
    clusters = evidence.duplicates.clusters
    items = sum(map(len, clusters))
    if not clusters:
        return "passed", "no excerpt is there twice, as several are in the full thousand"
    lines = tuple(" = ".join(source.item_id(i) for i in cluster) for cluster in clusters)
    return "warning", f"{len(clusters)} recordings are repeated, in {items} excerpts", lines


def _gtzan_quality(source: Source, evidence: Evidence) -> Found:
    """Quality varies on purpose and is not annotated: whether it goes along with the genre."""
    heard = _heard(evidence)
    by_label = collections.defaultdict(list)
    for row, item in enumerate(evidence.labels.items.tolist()):
        if item in heard:
            label = source.info.labels[int(evidence.labels.targets[row])]
            by_label[label].append(heard[item].band_hz)
    if len(by_label) < 2:
        return None
    medians = {label: float(np.median(found)) for label, found in by_label.items()}
    low, high = min(medians, key=medians.__getitem__), max(medians, key=medians.__getitem__)
    spread = np.percentile(np.concatenate(list(by_label.values())), [5, 95])
    return (
        "note",
        f"audio quality varies and is not annotated: excerpts reach up to {spread[0]:.0f} to "
        f"{spread[1]:.0f} Hz (5 % to 95 %), in the median from {medians[low]:.0f} Hz ({low}) to "
        f"{medians[high]:.0f} Hz ({high})",
    )


# MagnaTagATune


def _mtat_split(source: Source, _: Evidence) -> Found:
    sizes = _sizes(source)
    close = all(0 <= size - sizes[name] <= _FEWER * size for name, size in _WON_2020.items())
    if close:
        return "passed", f"the split has the sizes of Won et al. 2020 ({_listed(sizes)})"
    return (
        "warning",
        f"the split is {_listed(sizes)}, not that of Won et al. 2020 ({_listed(_WON_2020)}): "
        "papers use several splits, whose scores cannot be compared",
    )


def _mtat_tracks(source: Source, _: Evidence) -> Found:
    """Clips of one track are nearly one recording: they must stay together."""
    info = source.info
    columns = [info.columns[name] for name in ("artist", "album", "title") if name in info.columns]
    if len(columns) == 3:
        tracks = [" / ".join(parts) if all(parts) else "" for parts in zip(*columns, strict=True)]
    elif info.group_kind in ("track", "album", "artist"):
        tracks = info.groups
    else:
        return "warning", "it is not known which clips are of one track: do not split at random"
    splits = splits_of(info, tracks)
    several = sum(found.total() > 1 for found in splits.values())
    text = f"{len(splits)} tracks (or albums), {several} of them with several clips"
    if across := crossing(splits):
        lines = by_size((found.total(), track) for track, found in across.items())
        return "warning", f"{text}, and {len(across)} in more than one split", lines
    return "passed", f"{text}, none in more than one split"


def _mtat_synonyms(source: Source, evidence: Evidence) -> Found:
    alike = [pair for pair in evidence.pairs if pair.kind == "synonyms"]
    if not alike:
        return "passed", "no two tags are synonyms"
    rare = sum(pair.both < 0.5 * pair.rarer for pair in alike)
    return (
        "warning",
        f"tags are weak labels with synonyms: {plural(len(alike), 'pair')}, of which {rare} share "
        "less than half of the rarer one's clips (see label names); a tag that is missing was "
        "often just not said",
    )


def _mtat_untagged(source: Source, evidence: Evidence) -> Found:
    per_item = labels_per_item(source.info, evidence.labels)
    untagged = int((per_item == 0).sum())
    if untagged:
        share = untagged / len(per_item)
        return (
            "warning",
            f"{untagged} clips ({share:.1%}) have none of the tags; papers differ in whether they "
            "train and test on them, which changes the average precision",
        )
    return "passed", "every clip has at least one of the tags"


# Million Song Dataset


def _msd_artists(source: Source, _: Evidence) -> Found:
    sizes, splits = _sizes(source), _artists(source)
    random = all(0 <= n - sizes[name] <= 0.1 * n for name, n in _RANDOM_MSD.items())
    said = (
        f"; the sizes ({_listed(sizes)}) are near those of the split drawn at random"
        f" ({_listed(_RANDOM_MSD)}), which has artists in several splits"
    ) * random
    if splits is None:
        return "warning", f"artists are not known here, so artist leakage was not looked for{said}"
    across = by_size((found.total(), artist) for artist, found in crossing(splits).items())
    text = f"{len(across)} of {len(splits)} artists are in more than one split{said}"
    return ("warning" if across or random else "passed"), text, across


def _msd_tail(source: Source, evidence: Evidence) -> Found:
    share = evidence.counts.positives.sum(axis=0) / max(1, evidence.counts.sizes.sum())
    order = np.argsort(-share, kind="stable")
    tail = int((share < _LONG_TAIL).sum())
    most, least = order[0], order[-1]
    text = (
        f"listeners' tags are noisy and in a long tail: {source.info.labels[most]!r} is "
        f"{share[most] / max(share[least], 1e-9):.0f} times as frequent as "
        f"{source.info.labels[least]!r}, {tail} of {len(share)} labels are below 1 % of the songs"
    )
    return ("warning" if tail else "note"), text


def _msd_audio(source: Source, evidence: Evidence) -> Found:
    """Everybody's crawl of the previews is another one."""
    heard = _heard(evidence)
    missing = sum(reason.startswith("no such file") for _, reason in source.info.skipped)
    total = len(source) + missing
    text = f"{missing} of {total} listed songs ({missing / max(1, total):.1%}) have no audio"
    if not heard:
        return ("warning" if missing else "note"), text
    seconds = np.array([found.duration_s for found in heard.values()])
    odd = int(((seconds < _PREVIEW_S[0]) | (seconds > _PREVIEW_S[1])).sum())
    rates = collections.Counter(found.sample_rate_hz for found in heard.values())
    listed = ", ".join(f"{rate} Hz {n / len(heard):.0%}" for rate, n in rates.most_common(4))
    text += (
        f"; {odd} previews are not 30 to 60 s long (all: {seconds.min():.1f} to "
        f"{seconds.max():.1f} s); rates {listed}"
    )
    return ("warning" if missing or odd or len(rates) > 1 else "passed"), text


def _msd_student(source: Source, _: Evidence) -> Found:
    """Songs for training without labels, of artists that are not tested."""
    info, where = source.info, split_of(source.info)
    unlabelled = info.splits.get(UNLABELLED, ())
    if not len(unlabelled) or info.group_kind != "artist":
        return None
    tested = {info.groups[i] for i, name in where.items() if name in ("valid", "test")}
    shared = sum(info.groups[i] in tested for i in unlabelled)
    text = f"{shared} of {len(unlabelled)} unlabelled songs are by artists of valid or test"
    return ("warning" if shared else "passed"), text


# MTG-Jamendo


def _jamendo_genres(source: Source, evidence: Evidence) -> Found:
    prefix = "genre---"
    at = [k for k, name in enumerate(source.info.labels) if name.startswith(prefix)]
    if not at:
        return None
    total = evidence.counts.positives.sum(axis=0)
    ranked = sorted(at, key=lambda k: -total[k])
    size = max(1, evidence.counts.sizes.sum())
    first = ", ".join(
        f"{source.info.labels[k].removeprefix(prefix)} {total[k] / size:.1%}" for k in ranked[:5]
    )
    unusual = not {source.info.labels[k] for k in ranked[:2]} <= {"genre---pop", "genre---rock"}
    text = f"the most frequent genres are {first}"
    if unusual:
        text += (
            "; in most data sets, and in what people listen to, they are pop and rock: a score "
            "here says little about such a collection"
        )
    return ("warning" if unusual else "passed"), text


def _jamendo_mismatch(source: Source, evidence: Evidence) -> Found:
    """Whether the splits are of one distribution, label by label."""
    counts = evidence.counts
    if not {"train", "test"} <= set(counts.splits):
        return None
    a, b = counts.splits.index("train"), counts.splits.index("test")
    share = counts.share()
    enough = (share[a] > 0) & (share[b] > 0)
    ratio = np.where(enough, share[b] / np.maximum(share[a], 1e-9), 1.0)
    far = np.flatnonzero((ratio > 1.5) | (ratio < 1 / 1.5))
    lines = by_size(
        (abs(np.log(ratio[k])), f"{counts.labels[k]}: {ratio[k]:.2f} times as frequent in test")
        for k in far
    )
    bits = float(divergence(counts.positives[a], counts.positives[b]))
    text = (
        f"{len(far)} of {len(counts.labels)} labels are 1.5 times more or less frequent in test "
        f"than in train ({bits:.4f} bits of Jensen-Shannon divergence): thresholds and priors from "
        "train do not hold there"
    )
    return ("warning", text, lines) if len(far) else ("passed", text)


def _jamendo_artists(source: Source, _: Evidence) -> Found:
    splits = splits_of(source.info, source.info.groups)
    across = tuple(crossing(splits))
    songs = [found.total() for found in splits.values()]
    text = (
        f"{len(across)} of {len(splits)} {source.info.group_kind}s are in more than one split; the "
        f"one with most songs has {max(songs, default=0) / max(1, sum(songs)):.1%} of them"
    )
    return ("warning" if across else "passed"), text, across


def _jamendo_copies(source: Source, evidence: Evidence) -> Found:
    if evidence.duplicates is None:
        return None
    same = [match for match in evidence.duplicates.matches if match.kind in KINDS[:2]]
    lines = tuple(f"{source.item_id(m.first)} = {source.item_id(m.second)}" for m in same)
    text = f"{plural(len(same), 'song')} uploaded twice with the same audio"
    return ("warning" if same else "passed"), text, lines


def _heard(evidence: Evidence) -> dict[int, Measured]:
    return {i: m for i, m in enumerate(evidence.audio or ()) if isinstance(m, Measured)}


_CHECKS: dict[str, tuple[Look, ...]] = {
    "gtzan": (_gtzan_split, _gtzan_corrupt, _gtzan_artists, _gtzan_repetitions, _gtzan_quality),
    "magnatagatune": (_mtat_split, _mtat_tracks, _mtat_synonyms, _mtat_untagged),
    "msd": (_msd_artists, _msd_tail, _msd_audio, _msd_student),
    "mtg_jamendo": (_jamendo_genres, _jamendo_mismatch, _jamendo_artists, _jamendo_copies),
}
