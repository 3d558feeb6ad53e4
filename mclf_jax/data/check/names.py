"""Label names that look like synonyms or like opposites, held against how they are used."""

import dataclasses
import difflib
import itertools
import re
from collections.abc import Mapping

import numpy as np

from mclf_jax.data.check.finding import Finding, by_size, plural
from mclf_jax.data.check.labels import Counts

# Words of tags that say the same; every name is spelled with the first of them.
_SAME_WORDS = {
    "vocal": ("voice", "vocalist", "singer", "singing", "sung"),
    "female": ("woman", "women", "girl", "lady"),
    "male": ("man", "men", "guy"),
    "synthesizer": ("synth", "synthesiser"),
    "rnb": ("rb",),
}
_FIRST_WORD = {word: first for first, words in _SAME_WORDS.items() for word in words}
# Words that add nothing to another: "female" and "female voice" are said of the same songs.
_EMPTY_WORDS = frozenset(("vocal", "music", "sound", "song"))
_NEGATIONS = frozenset(("no", "not", "non", "without"))
_OPPOSITES = (
    ("female", "male"),
    ("fast", "slow"),
    ("loud", "quiet"),
    ("loud", "soft"),
    ("happy", "sad"),
    ("major", "minor"),
    ("instrumental", "vocal"),
    ("acoustic", "electronic"),
)
_OPPOSITE_PAIRS = frozenset(map(frozenset, _OPPOSITES))
_MIN_STEM = 5  # letters in which one name is the beginning of another
_MAX_ENDING = 3
_MIN_RATIO = 0.9
_TOGETHER = 0.8  # Jaccard index, from which two labels are nearly one
_MIN_ITEMS = 10
_CONTRADICTION = 0.02  # of the rarer label


@dataclasses.dataclass(frozen=True)
class Pair:
    """Two labels, by position, and how they are used.

    Attributes:
        first, second: positions in the labels.
        kind: "synonyms", "opposites", "narrower" (the first is a kind of the second) or
            "together".
        why: what in the names says so.
        both: items with both labels.
        rarer: items of the rarer label.
        jaccard: items with both, of those with either.
        lift: how much more frequent the pair is than if the labels were independent.
        context: cosine of the other labels that they come with, 0 to 1; NaN without any. Synonyms
            of which annotators pick one rarely come together, but come with the same others.
    """

    first: int
    second: int
    kind: str
    why: str
    both: int
    rarer: int
    jaccard: float
    lift: float
    context: float


def pairs(counts: Counts, *, parents: Mapping[str, str]) -> tuple[Pair, ...]:
    """All pairs of labels that their names or their use make suspicious.

    Args:
        counts: of the labels.
        parents: known hierarchy, whose pairs are not suspicious.
    """
    together = counts.together.astype(np.float64)
    number = np.diag(together)
    num_items = max(1, counts.sizes.sum())
    association = _association(together, num_items)
    found = []
    for a, b in itertools.combinations(range(len(counts.labels)), 2):
        one, two = counts.labels[a], counts.labels[b]
        if parents.get(one) == two or parents.get(two) == one:
            continue
        both, either = together[a, b], number[a] + number[b] - together[a, b]
        jaccard = both / either if either else 0.0
        kind, why = relation(one, two)
        if not kind and jaccard >= _TOGETHER and both >= _MIN_ITEMS:
            kind, why = "together", "nearly always together"
        if not kind:
            continue
        if kind == "narrower" and len(_words(one)) < len(_words(two)):
            a, b = b, a
        expected = number[a] * number[b] / num_items
        found.append(
            Pair(
                first=a,
                second=b,
                kind=kind,
                why=why,
                both=int(both),
                rarer=int(min(number[a], number[b])),
                jaccard=float(jaccard),
                lift=float(both / expected) if expected else 0.0,
                context=_context(association, a, b),
            )
        )
    return tuple(found)


def relation(one: str, two: str) -> tuple[str, str]:
    """Kind of the pair (see `Pair.kind`) and why, from the names alone; "" where there is none."""
    category_one, _, name_one = one.rpartition("---")  # as MTG-Jamendo: "genre---rock"
    category_two, _, name_two = two.rpartition("---")
    words_one, words_two = _words(name_one), _words(name_two)
    negated_one, negated_two = words_one & _NEGATIONS, words_two & _NEGATIONS
    plain_one, plain_two = words_one - _NEGATIONS, words_two - _NEGATIONS
    if bool(negated_one) != bool(negated_two):
        if plain_one == plain_two:
            return "opposites", "one negates the other"
        return "", ""
    only_one, only_two = plain_one - plain_two, plain_two - plain_one
    meaning = frozenset(only_one - _EMPTY_WORDS | only_two - _EMPTY_WORDS)
    if meaning in _OPPOSITE_PAIRS and only_one and only_two:
        return "opposites", f"{' and '.join(sorted(meaning))} exclude each other"
    if frozenset(only_one | only_two) in _OPPOSITE_PAIRS and only_one and only_two:
        return "opposites", f"{' and '.join(sorted(only_one | only_two))} exclude each other"
    if category_one != category_two and plain_one != plain_two:
        return "", ""
    if plain_one == plain_two:
        return "synonyms", "the same words in another form"
    if not meaning:
        return "synonyms", f"{'/'.join(sorted(only_one | only_two))} adds nothing"
    joined_one, joined_two = "".join(sorted(plain_one)), "".join(sorted(plain_two))
    if len(plain_one) == len(plain_two) == 1 and _alike(joined_one, joined_two):
        return "synonyms", "spelled nearly the same"
    if bool(only_one) != bool(only_two):
        return "narrower", f"{', '.join(sorted(only_one | only_two))} says more"
    return "", ""


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


def _association(together: np.ndarray, num_items: int) -> np.ndarray:
    """Positive pointwise mutual information of each pair of labels, [K, K]."""
    number = np.diag(together)
    expected = np.outer(number, number) / num_items
    ratio = np.divide(together, expected, out=np.zeros_like(together), where=expected > 0)
    return np.log2(np.maximum(ratio, 1))


def _context(association: np.ndarray, a: int, b: int) -> float:
    others = np.ones(len(association), bool)
    others[[a, b]] = False
    x, y = association[a, others], association[b, others]
    norm = float(np.linalg.norm(x) * np.linalg.norm(y))
    return float(x @ y) / norm if norm else float("nan")


def check(counts: Counts, found: tuple[Pair, ...], *, task: str) -> list[Finding]:
    """The pairs in words."""
    findings = _synonyms(counts, found, task=task)
    if task == "multi_label":
        findings += [*_opposites(counts, found), *_narrower(counts, found)]
        findings += _together(counts, found)
    return findings


def _synonyms(counts: Counts, found: tuple[Pair, ...], *, task: str) -> list[Finding]:
    alike = [pair for pair in found if pair.kind == "synonyms"]
    if not alike:
        return [Finding("label names", "passed", "no two labels look like synonyms")]
    apart = sum(pair.both < 0.5 * pair.rarer for pair in alike)
    text = f"{plural(len(alike), 'pair')} of labels look like synonyms"
    if task == "multi_label":
        text += (
            f"; {apart} of them come together in less than half of the rarer one's items, as where "
            "each annotator picked one word: a song then counts as a negative of the word that was "
            "not picked, and a model loses by being right; merge them, or mask the other one"
        )
    lines = by_size((pair.rarer, f"{_named(counts, pair)}: {_usage(pair)}") for pair in alike)
    return [Finding("label names", "warning", text, lines)]


def _opposites(counts: Counts, found: tuple[Pair, ...]) -> list[Finding]:
    excluding = [pair for pair in found if pair.kind == "opposites"]
    wrong = [pair for pair in excluding if pair.both and pair.both >= _CONTRADICTION * pair.rarer]
    if not excluding:
        return []
    if not wrong:
        text = f"{plural(len(excluding), 'pair')} of opposite labels hardly ever come together"
        return [Finding("label names", "passed", text)]
    items = sum(pair.both for pair in wrong)
    text = (
        f"{len(wrong)} of {plural(len(excluding), 'pair')} of opposite labels come together, "
        f"{items} times: right for a duet or a change within the song, else an error"
    )
    lines = by_size(
        (
            pair.both,
            f"{_named(counts, pair)}: {pair.both} items have both, "
            f"{pair.both / pair.rarer:.1%} of the rarer one",
        )
        for pair in wrong
    )
    return [Finding("label names", "warning", text, lines)]


def _narrower(counts: Counts, found: tuple[Pair, ...]) -> list[Finding]:
    kinds = [pair for pair in found if pair.kind == "narrower"]
    number = np.diag(counts.together)
    without = [pair for pair in kinds if number[pair.first] > pair.both]
    if not without:
        return []
    lines = by_size(
        (
            number[pair.first],
            f"{counts.labels[pair.first]!r} is a kind of {counts.labels[pair.second]!r} by its "
            f"name; {pair.both} of its {number[pair.first]} items have that label too",
        )
        for pair in without
    )
    text = (
        f"{plural(len(without), 'label')} whose name makes it a kind of another stand without that "
        "other one"
    )
    return [Finding("label names", "note", text, lines)]


def _together(counts: Counts, found: tuple[Pair, ...]) -> list[Finding]:
    same = [pair for pair in found if pair.kind == "together"]
    if not same:
        return []
    lines = by_size((pair.jaccard, f"{_named(counts, pair)}: {_usage(pair)}") for pair in same)
    text = f"{plural(len(same), 'pair')} of labels nearly always come together"
    return [Finding("label names", "note", text, lines)]


def _named(counts: Counts, pair: Pair) -> str:
    return f"{counts.labels[pair.first]!r} and {counts.labels[pair.second]!r} ({pair.why})"


def _usage(pair: Pair) -> str:
    text = f"{pair.both} of the rarer one's {pair.rarer} items have both"
    if np.isfinite(pair.context):
        text += f", other labels alike by {pair.context:.2f}"
    return text
