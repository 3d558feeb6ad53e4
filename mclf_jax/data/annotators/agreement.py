"""How far annotators agree: Cohen's kappa of each two of them, and the mean over pairs.

Kappa is the agreement beyond what chance would give: 1 for full agreement, 0 for chance. Where two
annotators said the same one thing of everything it is undefined: NaN, which no mean counts.
"""

import dataclasses
import itertools
import math
from collections.abc import Sequence

from mclf_jax.data.annotators.annotations import Annotations


@dataclasses.dataclass(frozen=True)
class Agreed:
    """On one label, or of two annotators.

    Attributes:
        of: the label, or both annotators.
        num_items: that somebody gave the label to; that both annotated.
        agreement: share of the items of two annotators of which they say the same. Of a label,
            the mean over pairs of annotators; of a pair, with tags, the mean over tags.
        cohen_kappa: likewise.
    """

    of: str
    num_items: int
    agreement: float
    cohen_kappa: float


@dataclasses.dataclass(frozen=True)
class Agreement:
    """Of a whole table.

    Attributes:
        num_items: with two annotators or more; the others say nothing on agreement.
        agreement, cohen_kappa: mean over pairs of annotators.
        labels: of each label, against all others.
        pairs: of each two annotators with an item in common.
    """

    num_items: int
    agreement: float
    cohen_kappa: float
    labels: tuple[Agreed, ...]
    pairs: tuple[Agreed, ...]


def agreement(annotations: Annotations) -> Agreement:
    """Agreement on the whole, on each label and of each two annotators."""
    items_of: dict[str, set[str]] = {}
    for item, said in annotations.votes.items():
        for annotator in said:
            items_of.setdefault(annotator, set()).add(item)
    pairs, of_label = [], {label: [] for label in annotations.labels}
    for pair in itertools.combinations(sorted(items_of), 2):
        if not (common := sorted(items_of[pair[0]] & items_of[pair[1]])):
            continue
        one, other = ([annotations.votes[item][who] for item in common] for who in pair)
        compared = []
        for label in annotations.labels:
            compared.append(_compare([label in said for said in one], [label in s for s in other]))
            of_label[label].append(compared[-1])
        if annotations.task == "single_label":
            compared = [_compare([min(said) for said in one], [min(said) for said in other])]
        pairs.append(Agreed(", ".join(pair), len(common), *_means(compared)))
    shared = [set().union(*said.values()) for said in annotations.votes.values() if len(said) > 1]
    whole, kappa = _means([(pair.agreement, pair.cohen_kappa) for pair in pairs])
    labels = [
        Agreed(label, sum(label in said for said in shared), *_means(compared))
        for label, compared in of_label.items()
    ]
    return Agreement(len(shared), whole, kappa, tuple(labels), tuple(pairs))


def describe(found: Agreement) -> str:
    """A table for people: the whole, labels from the least agreed upon, pairs of annotators."""

    def table(title: str, rows: Sequence[Agreed]) -> list[str]:
        lines = ["", f"{title:<30}{'items':>8}{'agreement':>12}{'kappa':>9}"]
        numbers = "{0.of:<30}{0.num_items:>8}{0.agreement:>12.3f}{0.cohen_kappa:>9.3f}"
        return lines + [numbers.format(row) for row in rows]

    def least_agreed_first(row: Agreed) -> tuple[bool, float]:
        return math.isnan(row.cohen_kappa), row.cohen_kappa

    lines = [
        f"{found.num_items} items with two annotators or more: agreement {found.agreement:.3f},"
        f" Cohen's kappa {found.cohen_kappa:.3f}, means over pairs of annotators",
        *table("label", sorted(found.labels, key=least_agreed_first)),
        *table("annotators", found.pairs),
    ]
    return "\n".join(lines)


def _compare(one: Sequence, other: Sequence) -> tuple[float, float]:
    """Share of items of which two say the same, and Cohen's kappa."""
    from sklearn.metrics import cohen_kappa_score

    same = sum(a == b for a, b in zip(one, other, strict=True)) / len(one)
    # scikit-learn divides by zero there, with a warning of one kind or another.
    constant = len({*one, *other}) < 2
    return same, math.nan if constant else float(cohen_kappa_score(one, other))


def _means(rows: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Of both columns, without NaN."""
    columns = [[row[k] for row in rows if not math.isnan(row[k])] for k in (0, 1)]
    return tuple(math.fsum(some) / len(some) if some else math.nan for some in columns)
