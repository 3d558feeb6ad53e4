"""Groups, and recordings, that are in more than one split: what makes scores too good."""

import collections
from collections.abc import Sequence

from mclf_jax.data.base.source import Info, Source
from mclf_jax.data.catalogue.items import SPLITS, UNLABELLED
from mclf_jax.data.check.duplicates import KINDS, Duplicates, Match
from mclf_jax.data.check.finding import Finding, by_size, plural
from mclf_jax.data.check.labels import label_text

IDENTITIES = ("artist", "album", "track", "song", "title", "composer", "performer", "video")
"""Columns, also as `..._id`, whose values should not cross splits."""


def split_of(info: Info) -> dict[int, str]:
    """The split of each item."""
    return {int(i): name for name, indices in info.splits.items() for i in indices}


def check_groups(info: Info) -> list[Finding]:
    """Whether each group, and each artist, album or track that is known, is in one split."""
    where = split_of(info)
    found = [_crossing(info, where, info.groups, kind=info.group_kind, verdict="leak")]
    for name, values in info.columns.items():
        kind = name.lower().removesuffix("_id").removesuffix("_name")
        if kind not in IDENTITIES or kind == info.group_kind:
            continue
        if kind in ("title", "track", "song"):  # many songs are called "Intro"
            artists = info.columns.get("artist", info.groups)
            values = [f"{a} / {v}" if v else "" for a, v in zip(artists, values, strict=True)]
        found.append(_crossing(info, where, values, kind=name, verdict="warning"))
    found += _unlabelled(info, where)
    return found


def _crossing(
    info: Info, where: dict[int, str], values: Sequence[str], *, kind: str, verdict: str
) -> Finding:
    splits_of: dict[str, dict[str, int]] = collections.defaultdict(collections.Counter)
    for i, value in enumerate(values):
        if value and where.get(i) in SPLITS:
            splits_of[value][where[i]] += 1
    crossing = {value: found for value, found in splits_of.items() if len(found) > 1}
    sizes = {name: max(1, len(info.splits.get(name, ()))) for name in SPLITS}
    if not crossing:
        known = sum(bool(value) and where.get(i) in SPLITS for i, value in enumerate(values))
        if len(splits_of) == known:
            text = f"nothing is known of which items belong together ({kind}: each has its own)"
            return Finding("leakage", "note", text)
        text = f"none of {len(splits_of)} groups ({kind}) is in more than one split"
        return Finding("leakage", "passed", text)
    parts = []
    for name in ("valid", "test"):
        shared = sum(found[name] for found in crossing.values())
        if shared:
            parts.append(f"{shared} items of {name} ({shared / sizes[name]:.1%})")
    text = (
        f"{len(crossing)} of {len(splits_of)} groups ({kind}) in more than one split, with "
        f"{' and '.join(parts)}: a model can score there by knowing the {kind}"
    )
    lines = by_size(
        (
            sum(found.values()),
            f"{value}: " + ", ".join(f"{name} {found[name]}" for name in SPLITS if found[name]),
        )
        for value, found in crossing.items()
    )
    return Finding("leakage", verdict, text, lines)


def _unlabelled(info: Info, where: dict[int, str]) -> list[Finding]:
    """Training without labels hears the unlabelled items, so they must not be the tested ones."""
    if not len(info.splits.get(UNLABELLED, ())):
        return []
    unlabelled = {info.groups[i] for i, name in where.items() if name == UNLABELLED}
    tested = {info.groups[i] for i, name in where.items() if name in ("valid", "test")}
    shared = sorted(unlabelled & tested)
    if not shared:
        text = f"no group ({info.group_kind}) of the unlabelled items is in valid or test"
        return [Finding("leakage", "passed", text)]
    text = (
        f"{plural(len(shared), 'group')} ({info.group_kind}) of the unlabelled items are in valid "
        "or test too: training without labels would hear what is tested"
    )
    return [Finding("leakage", "warning", text, tuple(shared))]


def check_duplicates(source: Source, found: Duplicates) -> list[Finding]:
    """What the matches mean: leaks across splits, contradictions, or mere repetition."""
    info = source.info
    where = split_of(info)
    whole = [match for match in found.matches if match.kind != KINDS[3]]
    passages = [match for match in found.matches if match.kind == KINDS[3]]
    best = {}
    for match in whole:
        for item in (match.first, match.second):
            best.setdefault(item, match)
    leaking, inside = [], []
    for cluster in found.clusters:
        splits = {where.get(i) for i in cluster} & set(SPLITS)
        line = _cluster_text(source, cluster, where, best[cluster[-1]])
        (leaking if len(splits) > 1 else inside).append(line)
    findings = []
    if leaking:
        text = (
            f"{plural(len(leaking), 'recording')} in more than one split: models are tested on "
            "what they were trained or chosen on"
        )
        findings.append(Finding("duplicates", "leak", text, tuple(leaking)))
    if inside:
        text = f"{plural(len(inside), 'recording')} more than once in one split or without labels"
        findings.append(Finding("duplicates", "note", text, tuple(inside)))
    crossing = [match for match in passages if _crosses(match, where)]
    for some, verdict, what in (
        (crossing, "warning", "in two splits"),
        ([match for match in passages if match not in crossing], "note", "in one split"),
    ):
        if some:
            text = f"{plural(len(some), 'pair')} of items {what} share a passage, such as a sample"
            lines = tuple(_match_text(source, match, where) for match in some)
            findings.append(Finding("duplicates", verdict, text, lines))
    findings += _contradictions(source, found, where)
    if not findings:
        findings = [Finding("duplicates", "passed", "no recording is there twice")]
    return [*findings, *_limits(source, found)]


def _crosses(match: Match, where: dict[int, str]) -> bool:
    return len({where.get(match.first), where.get(match.second)} & set(SPLITS)) > 1


def _contradictions(source: Source, found: Duplicates, where: dict[int, str]) -> list[Finding]:
    """The same recording with other labels."""
    if source.info.task == "regression":
        return []
    lines = []
    for cluster in found.clusters:
        labelled = [i for i in cluster if where.get(i) in SPLITS]
        texts = {i: label_text(source, i, names=source.info.labels) for i in labelled}
        if len(set(texts.values())) > 1:
            lines.append("; ".join(f"{source.item_id(i)}: {t or 'none'}" for i, t in texts.items()))
    if not lines:
        return []
    text = f"{plural(len(lines), 'recording')} under different labels: at least one is wrong"
    if source.info.task == "multi_label":
        text = f"{plural(len(lines), 'recording')} with different labels in its copies"
    return [Finding("duplicates", "warning", text, tuple(lines))]


def _limits(source: Source, found: Duplicates) -> list[Finding]:
    notes = []
    if found.num_too_short:
        notes.append(
            f"{found.num_too_short} of {len(source)} items are too short or too sparse to compare "
            "(less than 3 s, or hardly a change in pitch): only exact copies of them were found"
        )
    if found.keep_one_in > 1:
        notes.append(
            f"so much audio that one landmark in {found.keep_one_in} was kept: copies of less than "
            f"about {3 * found.keep_one_in} s can have been missed"
        )
    return [Finding("duplicates", "note", text) for text in notes]


def _cluster_text(source: Source, cluster, where: dict[int, str], match: Match) -> str:
    items = " = ".join(f"{source.item_id(i)} [{where.get(i, 'no split')}]" for i in cluster[:6])
    more = f" and {len(cluster) - 6} more" if len(cluster) > 6 else ""
    return f"{items}{more}: {_how(match)}"


def _match_text(source: Source, match: Match, where: dict[int, str]) -> str:
    a, b = match.first, match.second
    return (
        f"{source.item_id(a)} [{where.get(a, 'no split')}] and {source.item_id(b)} "
        f"[{where.get(b, 'no split')}]: {_how(match)}"
    )


def _how(match: Match) -> str:
    if match.kind in KINDS[:2]:
        return match.kind
    text = f"{match.kind}, {match.shared_s:.1f} s with a similarity of {match.similarity:.2f}"
    return f"{text}, {match.offset_s:+.1f} s apart" if abs(match.offset_s) >= 0.1 else text
