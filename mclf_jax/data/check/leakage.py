"""Groups, and recordings, that are in more than one split: what makes scores too good."""

import collections
from collections.abc import Mapping, Sequence

from mclf_jax.data.base.source import Info, Source
from mclf_jax.data.catalogue.items import SPLITS, UNLABELLED
from mclf_jax.data.check.duplicates import KINDS, Duplicates, Match
from mclf_jax.data.check.finding import Finding, by_size, plural
from mclf_jax.data.check.labels import label_text

IDENTITIES = ("artist", "album", "track", "song", "title", "composer", "performer", "video")
"""Columns, also as `..._id`, whose values should not cross splits."""

# Verdict, what there are so many of, and the rest of the sentence.
_MEANINGS = {
    "leak": (
        "leak",
        "recording",
        "in more than one split: models are tested on what they were trained or chosen on",
    ),
    "repetition": ("note", "recording", "more than once in one split or without labels"),
    "passage across": (
        "warning",
        "pair",
        "of items in two splits share a passage, such as a sample",
    ),
    "passage": ("note", "pair", "of items in one split share a passage, such as a sample"),
}


def split_of(info: Info) -> dict[int, str]:
    """The split of each item."""
    return {int(i): name for name, indices in info.splits.items() for i in indices}


def splits_of(info: Info, values: Sequence[str]) -> dict[str, collections.Counter]:
    """Of each value but "", which is of none: how many items it has in each labelled split."""
    where = split_of(info)
    found: dict[str, collections.Counter] = collections.defaultdict(collections.Counter)
    for i, value in enumerate(values):
        if value and where.get(i) in SPLITS:
            found[value][where[i]] += 1
    return found


def crossing(splits: Mapping[str, collections.Counter]) -> dict[str, collections.Counter]:
    """Those of `splits_of` that are in more than one split."""
    return {value: found for value, found in splits.items() if len(found) > 1}


def check_groups(info: Info) -> list[Finding]:
    """Whether each group, and each artist, album or track that is known, is in one split."""
    found = [_check_values(info, info.groups, kind=info.group_kind, verdict="leak")]
    for name, values in info.columns.items():
        kind = name.lower().removesuffix("_id").removesuffix("_name")
        if kind not in IDENTITIES or kind == info.group_kind:
            continue
        if kind in ("title", "track", "song"):  # many songs are called "Intro"
            artists = info.columns.get("artist", info.groups)
            values = [f"{a} / {v}" if v else "" for a, v in zip(artists, values, strict=True)]
        found.append(_check_values(info, values, kind=name, verdict="warning"))
    if len(info.splits.get(UNLABELLED, ())):
        found.append(_check_unlabelled(info))
    return found


def _check_values(info: Info, values: Sequence[str], *, kind: str, verdict: str) -> Finding:
    splits = splits_of(info, values)
    across = crossing(splits)
    if not across:
        if len(splits) == sum(found.total() for found in splits.values()):
            text = f"nothing is known of which items belong together ({kind}: each has its own)"
            return Finding("leakage", "note", text)
        text = f"none of {len(splits)} groups ({kind}) is in more than one split"
        return Finding("leakage", "passed", text)
    parts = []
    for name in ("valid", "test"):
        if shared := sum(found[name] for found in across.values()):
            parts.append(f"{shared} items of {name} ({shared / len(info.splits[name]):.1%})")
    text = (
        f"{len(across)} of {len(splits)} groups ({kind}) in more than one split, with "
        f"{' and '.join(parts)}: a model can score there by knowing the {kind}"
    )
    lines = by_size(
        (
            found.total(),
            f"{value}: " + ", ".join(f"{name} {found[name]}" for name in SPLITS if found[name]),
        )
        for value, found in across.items()
    )
    return Finding("leakage", verdict, text, lines)


def _check_unlabelled(info: Info) -> Finding:
    """Training without labels hears the unlabelled items, so they must not be the tested ones."""
    of_split = {name: {info.groups[i] for i in indices} for name, indices in info.splits.items()}
    tested = of_split.get("valid", set()) | of_split.get("test", set())
    shared = sorted(of_split[UNLABELLED] & tested)
    if not shared:
        text = f"no group ({info.group_kind}) of the unlabelled items is in valid or test"
        return Finding("leakage", "passed", text)
    text = (
        f"{plural(len(shared), 'group')} ({info.group_kind}) of the unlabelled items are in valid "
        "or test too: training without labels would hear what is tested"
    )
    return Finding("leakage", "warning", text, tuple(shared))


def check_duplicates(source: Source, found: Duplicates) -> list[Finding]:
    """What the matches mean: leaks across splits, contradictions, or mere repetition."""
    where = split_of(source.info)
    whole = [match for match in found.matches if match.kind != KINDS[3]]
    best = {item: match for match in whole[::-1] for item in (match.first, match.second)}
    lines: dict[str, list[str]] = {meaning: [] for meaning in _MEANINGS}
    for cluster in found.clusters:
        items = " = ".join(_place(source, i, where) for i in cluster[:6])
        more = f" and {len(cluster) - 6} more" if len(cluster) > 6 else ""
        meaning = "leak" if _cross(cluster, where) else "repetition"
        lines[meaning].append(f"{items}{more}: {_how(best[cluster[-1]])}")
    for match in found.matches:
        if match.kind == KINDS[3]:
            pair = (match.first, match.second)
            items = " and ".join(_place(source, i, where) for i in pair)
            meaning = "passage across" if _cross(pair, where) else "passage"
            lines[meaning].append(f"{items}: {_how(match)}")
    findings = [
        Finding("duplicates", verdict, f"{plural(len(lines[meaning]), noun)} {text}", some)
        for meaning, (verdict, noun, text) in _MEANINGS.items()
        if (some := tuple(lines[meaning]))
    ]
    findings += _contradictions(source, found, where)
    if not findings:
        findings = [Finding("duplicates", "passed", "no recording is there twice")]
    return [*findings, *_limits(source, found)]


def _cross(items: Sequence[int], where: Mapping[int, str]) -> bool:
    return len({where.get(i) for i in items} & set(SPLITS)) > 1


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


def _place(source: Source, index: int, where: Mapping[int, str]) -> str:
    return f"{source.item_id(index)} [{where.get(index, 'no split')}]"


def _how(match: Match) -> str:
    if match.kind in KINDS[:2]:
        return match.kind
    text = f"{match.kind}, {match.shared_s:.1f} s with a similarity of {match.similarity:.2f}"
    return f"{text}, {match.offset_s:+.1f} s apart" if abs(match.offset_s) >= 0.1 else text
