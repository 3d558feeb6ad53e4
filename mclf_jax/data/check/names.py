"""Label names that look like synonyms or like opposites, held against how they are used."""

import dataclasses
import difflib
import functools
import itertools
import re
from collections.abc import Mapping

import numpy as np
from scipy import sparse

from mclf_jax.data.base.targets import rows_of
from mclf_jax.data.check.finding import Finding, by_size, plural
from mclf_jax.data.check.labels import Counts

# Words of tags that say the same; every name is spelled with the first of them.
_SAME_WORDS = (
    "vocal voice vocalist singer singing sung",
    "female woman women girl lady",
    "male man men guy",
    "synthesizer synth synthesiser",
    "rnb rb",
)
_FIRST_WORD = {word: words.split()[0] for words in _SAME_WORDS for word in words.split()}
# Words that add nothing to another: "female" and "female voice" are said of the same songs.
_EMPTY_WORDS = frozenset(("vocal", "music", "sound", "song"))
_NEGATIONS = frozenset(("no", "not", "non", "without"))
_OPPOSITES = (
    "female male, fast slow, loud quiet, loud soft, happy sad, major minor, instrumental vocal, "
    "acoustic electronic"
)
_OPPOSITE_PAIRS = frozenset(frozenset(pair.split()) for pair in _OPPOSITES.split(","))
_finding = functools.partial(Finding, "label names")
_MIN_STEM = 5  # letters in which one name is the beginning of another
_MAX_ENDING = 3
_MIN_RATIO = 0.9
_TOGETHER = 0.8  # Jaccard index, from which two labels are nearly one
_MIN_ITEMS = 10
_CONTRADICTION = 0.02  # of the rarer label


@dataclasses.dataclass(frozen=True)
class Pair:
    """Two labels, by position, and how they are used."""

    first: int  # positions in the labels
    second: int
    # "synonyms", "opposites", "narrower" (the first is a kind of the second) or "together".
    kind: str
    why: str  # what in the names says so
    both: int  # items with both labels
    rarer: int  # items of the rarer label
    jaccard: float  # items with both, of those with either
    # Cosine of the other labels that they come with, 0 to 1; NaN without any. Synonyms of which
    # annotators pick one rarely come together, but come with the same others.
    context: float


def pairs(counts: Counts, *, parents: Mapping[str, str]) -> tuple[Pair, ...]:
    """All pairs of labels that their names or their use make suspicious.

    Args:
        counts: of the labels.
        parents: known hierarchy, whose pairs are not suspicious.
    """
    together = counts.together
    number = together.diagonal()
    association = _association(together, max(1, counts.sizes.sum()))
    found = []
    for a, b in itertools.combinations(range(len(counts.labels)), 2):
        if b == a + 1:
            with_first = together[[a]].toarray()[0]
        one, two = counts.labels[a], counts.labels[b]
        if parents.get(one) == two or parents.get(two) == one:
            continue
        both = with_first[b]
        either = number[a] + number[b] - both
        jaccard = float(both / either) if either else 0.0
        kind, why = relation(one, two)
        if not kind and jaccard >= _TOGETHER and both >= _MIN_ITEMS:
            kind, why = "together", "nearly always together"
        if not kind:
            continue
        if kind == "narrower" and len(_words(one)) < len(_words(two)):
            a, b = b, a
        rarer, context = int(min(number[a], number[b])), _context(association, a, b)
        found.append(Pair(a, b, kind, why, int(both), rarer, jaccard, context))
    return tuple(found)


def relation(one: str, two: str) -> tuple[str, str]:
    """Kind of the pair (see `Pair.kind`) and why, from the names alone; "" where there is none."""
    category_one, _, name_one = one.rpartition("---")  # as MTG-Jamendo: "genre---rock"
    category_two, _, name_two = two.rpartition("---")
    words_one, words_two = _words(name_one), _words(name_two)
    plain_one, plain_two = words_one - _NEGATIONS, words_two - _NEGATIONS
    same = plain_one == plain_two
    if bool(words_one & _NEGATIONS) != bool(words_two & _NEGATIONS):
        return ("opposites", "one negates the other") if same else ("", "")
    only_one, only_two = plain_one - plain_two, plain_two - plain_one
    differing = only_one | only_two
    for words in (differing - _EMPTY_WORDS, differing):
        if only_one and only_two and words in _OPPOSITE_PAIRS:
            return "opposites", f"{' and '.join(sorted(words))} exclude each other"
    if category_one != category_two and not same:
        return "", ""
    if same:
        return "synonyms", "the same words in another form"
    if differing <= _EMPTY_WORDS:
        return "synonyms", f"{'/'.join(sorted(differing))} adds nothing"
    if len(plain_one) == len(plain_two) == 1 and _alike(*plain_one, *plain_two):
        return "synonyms", "spelled nearly the same"
    if bool(only_one) != bool(only_two):
        return "narrower", f"{', '.join(sorted(differing))} says more"
    return "", ""


@functools.cache
def _words(name: str) -> frozenset[str]:
    """Words in lower case and singular, synonyms by their first form."""
    name = name.lower().replace("'", "").replace("&", "")
    found = set()
    for word in re.findall(r"\w+", name.replace("_", " ")):
        if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
            word = word[:-1]
        found.add(_FIRST_WORD.get(word, word))
    return frozenset(found)


def _alike(one: str, two: str) -> bool:
    if re.search(r"\d", one + two):
        return False  # the 80s are not the 90s
    shorter, longer = sorted((one, two), key=len)
    if len(shorter) < _MIN_STEM:
        return False
    if longer.startswith(shorter) and len(longer) - len(shorter) <= _MAX_ENDING:
        return True
    same_start = one[0] == two[0]
    return same_start and difflib.SequenceMatcher(None, one, two).ratio() >= _MIN_RATIO


def _association(together: sparse.csr_array, num_items: int) -> sparse.csr_array:
    """Positive pointwise mutual information of each pair of labels, [K, K]."""
    number, found = together.diagonal(), together.astype(np.float64)
    expected = number[rows_of(together)] * number[together.indices] / num_items
    found.data = np.log2(np.maximum(found.data / expected, 1))
    return found


def _context(association: sparse.csr_array, a: int, b: int) -> float:
    x, y = np.delete(association[[a, b]].toarray(), [a, b], axis=1)
    norm = float(np.linalg.norm(x) * np.linalg.norm(y))
    return float(x @ y) / norm if norm else float("nan")


def check(counts: Counts, found: tuple[Pair, ...], *, task: str) -> list[Finding]:
    """The pairs in words."""
    alike, excluding, kinds, same = (
        [pair for pair in found if pair.kind == kind]
        for kind in ("synonyms", "opposites", "narrower", "together")
    )
    findings = [_finding("passed", "no two labels look like synonyms")]
    if alike:
        text = f"{plural(len(alike), 'pair')} of labels look like synonyms"
        if task == "multi_label":
            apart = sum(pair.both < 0.5 * pair.rarer for pair in alike)
            text += (
                f"; {apart} of them come together in less than half of the rarer one's items, as "
                "where each annotator picked one word: a song then counts as a negative of the "
                "word that was not picked, and a model loses by being right; merge them, or mask "
                "the other one"
            )
        lines = by_size((pair.rarer, _usage(counts, pair)) for pair in alike)
        findings = [_finding("warning", text, lines)]
    if task != "multi_label":
        return findings
    if excluding:
        findings.append(_opposites(counts, excluding))
    number = counts.together.diagonal()
    lines = by_size(
        (
            number[pair.first],
            f"{counts.labels[pair.first]!r} is a kind of {counts.labels[pair.second]!r} by its "
            f"name; {pair.both} of its {number[pair.first]} items have that label too",
        )
        for pair in kinds
        if number[pair.first] > pair.both
    )
    if lines:
        text = "whose name makes it a kind of another stand without that other one"
        findings.append(_finding("note", f"{plural(len(lines), 'label')} {text}", lines))
    if same:
        text = f"{plural(len(same), 'pair')} of labels nearly always come together"
        lines = by_size((pair.jaccard, _usage(counts, pair)) for pair in same)
        findings.append(_finding("note", text, lines))
    return findings


def _opposites(counts: Counts, excluding: list[Pair]) -> Finding:
    wrong = [pair for pair in excluding if pair.both and pair.both >= _CONTRADICTION * pair.rarer]
    text = f"{plural(len(excluding), 'pair')} of opposite labels"
    if not wrong:
        return _finding("passed", f"{text} hardly ever come together")
    text = (
        f"{len(wrong)} of {text} come together, {sum(pair.both for pair in wrong)} times: right "
        "for a duet or a change within the song, else an error"
    )
    lines = by_size(
        (
            pair.both,
            f"{_named(counts, pair)}: {pair.both} items have both, "
            f"{pair.both / pair.rarer:.1%} of the rarer one",
        )
        for pair in wrong
    )
    return _finding("warning", text, lines)


def _named(counts: Counts, pair: Pair) -> str:
    return f"{counts.labels[pair.first]!r} and {counts.labels[pair.second]!r} ({pair.why})"


def _usage(counts: Counts, pair: Pair) -> str:
    text = f"{_named(counts, pair)}: {pair.both} of the rarer one's {pair.rarer} items have both"
    if np.isfinite(pair.context):
        text += f", other labels alike by {pair.context:.2f}"
    return text
