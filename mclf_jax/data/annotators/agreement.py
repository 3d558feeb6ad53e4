"""How far annotators agree: pairwise with Cohen's kappa, all together with Fleiss'.

Kappa is the agreement beyond what chance would give: 1 for full agreement, 0 for chance. Of a label
that nobody, or everybody, always chose it is undefined: NaN.
"""

import dataclasses
import itertools
import math

import numpy as np

from mclf_jax.data.annotators.annotations import Annotations


@dataclasses.dataclass(frozen=True)
class LabelAgreement:
    """One label against all others, or one tag.

    Attributes:
        label: its name.
        num_items: that somebody gave it to, among those with two annotators or more.
        agreement: share of pairs of annotators of an item who say the same of it.
        fleiss_kappa: of that it is there.
    """

    label: str
    num_items: int
    agreement: float
    fleiss_kappa: float


@dataclasses.dataclass(frozen=True)
class PairAgreement:
    """Two annotators.

    Attributes:
        annotators: their names.
        num_items: that both annotated.
        agreement: share of these on which they say the same; with tags, mean over tags.
        cohen_kappa: with tags, mean over tags of which it is defined.
    """

    annotators: tuple[str, str]
    num_items: int
    agreement: float
    cohen_kappa: float


@dataclasses.dataclass(frozen=True)
class Agreement:
    """Of a whole table.

    Attributes:
        num_items: with two annotators or more; the others say nothing on agreement.
        agreement: share of pairs of annotators of an item who say the same; with tags, mean over
            tags.
        fleiss_kappa: with tags, mean over tags of which it is defined.
        labels: of each label, in order.
        pairs: of each two annotators with an item in common.
    """

    num_items: int
    agreement: float
    fleiss_kappa: float
    labels: tuple[LabelAgreement, ...]
    pairs: tuple[PairAgreement, ...]


def agreement(annotations: Annotations) -> Agreement:
    """Agreement on the whole, on each label and of each two annotators."""
    votes = [said for said in annotations.votes.values() if len(said) > 1]
    # How many annotators of an item [N, 1] gave it a label [N, K].
    num_raters = np.array([len(said) for said in votes], np.int64).reshape(-1, 1)
    given = np.zeros((len(votes), len(annotations.labels)), np.int64)
    position = {label: k for k, label in enumerate(annotations.labels)}
    for item, said in enumerate(votes):
        for names in said.values():
            given[item, [position[name] for name in names]] += 1
    labels = []
    for label, column in zip(annotations.labels, given.T, strict=True):
        binary = np.stack([column, num_raters[:, 0] - column], axis=1)
        labels.append(
            LabelAgreement(
                label=label,
                num_items=int(np.count_nonzero(column)),
                agreement=_observed(binary),
                fleiss_kappa=fleiss_kappa(binary),
            )
        )
    if annotations.task == "single_label":
        observed, kappa = _observed(given), fleiss_kappa(given)
    else:
        observed = _mean([label.agreement for label in labels])
        kappa = _mean([label.fleiss_kappa for label in labels])
    return Agreement(
        num_items=len(votes),
        agreement=observed,
        fleiss_kappa=kappa,
        labels=tuple(labels),
        pairs=_pairs(annotations),
    )


def describe(found: Agreement) -> str:
    """A table for people: the whole, labels from the least agreed upon, pairs of annotators."""
    lines = [
        f"{found.num_items} items with two annotators or more: agreement {found.agreement:.3f},"
        f" Fleiss' kappa {found.fleiss_kappa:.3f}",
        "",
        f"{'label':<30}{'items':>8}{'agreement':>12}{'Fleiss':>9}",
    ]
    lines += [
        f"{row.label:<30}{row.num_items:>8}{row.agreement:>12.3f}{row.fleiss_kappa:>9.3f}"
        for row in sorted(found.labels, key=_least_agreed_first)
    ]
    lines += ["", f"{'annotators':<30}{'items':>8}{'agreement':>12}{'Cohen':>9}"]
    lines += [
        f"{', '.join(row.annotators):<30}{row.num_items:>8}{row.agreement:>12.3f}"
        f"{row.cohen_kappa:>9.3f}"
        for row in found.pairs
    ]
    return "\n".join(lines)


def fleiss_kappa(counts: np.ndarray) -> float:
    """Fleiss, 1971, "Measuring nominal scale agreement among many raters", Psychological Bulletin.

    Items may have different numbers of raters, of which the agreement of an item and the share
    of a category are then taken; with one number for all it is the paper's.

    Args:
        counts: int [N, C], how many raters put item n into category c. Items with fewer than two
            raters are left out.

    Returns:
        Kappa; NaN without any item, or where all is one category.
    """
    counts = np.asarray(counts)
    counts = counts[counts.sum(axis=1) > 1]
    if not len(counts):
        return math.nan
    shares = counts.sum(axis=0) / counts.sum()
    by_chance = (shares**2).sum()
    if np.count_nonzero(shares) < 2:
        return math.nan
    return float((_observed(counts) - by_chance) / (1 - by_chance))


def _observed(counts: np.ndarray) -> float:
    """Mean over items of the share of pairs of raters that agree."""
    num_raters = counts.sum(axis=1)
    if not len(counts):
        return math.nan
    agreeing = (counts * (counts - 1)).sum(axis=1) / (num_raters * (num_raters - 1))
    return float(agreeing.mean())


def _pairs(annotations: Annotations) -> tuple[PairAgreement, ...]:
    from sklearn.metrics import cohen_kappa_score

    items_of: dict[str, set[str]] = {}
    for item, said in annotations.votes.items():
        for annotator in said:
            items_of.setdefault(annotator, set()).add(item)
    pairs = []
    for first, second in itertools.combinations(sorted(items_of), 2):
        common = sorted(items_of[first] & items_of[second])
        if not common:
            continue
        says = [[annotations.votes[item][who] for item in common] for who in (first, second)]
        if annotations.task == "single_label":
            columns = [[[min(names) for names in side] for side in says]]
        else:
            columns = [
                [[tag in names for names in side] for side in says] for tag in annotations.labels
            ]
        same = [np.mean([a == b for a, b in zip(*sides, strict=True)]) for sides in columns]
        kappas = []
        for one, other in columns:
            # scikit-learn divides by zero there, with a warning of one kind or another
            constant = len({*one, *other}) < 2
            kappas.append(math.nan if constant else float(cohen_kappa_score(one, other)))
        pairs.append(
            PairAgreement(
                annotators=(first, second),
                num_items=len(common),
                agreement=float(np.mean(same)),
                cohen_kappa=_mean(kappas),
            )
        )
    return tuple(pairs)


def _least_agreed_first(row: LabelAgreement) -> tuple[bool, float]:
    return math.isnan(row.fleiss_kappa), row.fleiss_kappa


def _mean(values: list[float]) -> float:
    defined = [value for value in values if not math.isnan(value)]
    return math.fsum(defined) / len(defined) if defined else math.nan
