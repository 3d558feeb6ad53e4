"""The part of the page on labels in a tree: near misses, each level, and every label in its place.

K labels. The numbers of levels and labels are those of the labels one by one; only the values of
`metrics.HIERARCHICAL` know of the tree.
"""

import math
from collections.abc import Iterator

import numpy as np

from mclf_jax.evaluation.result import Report
from mclf_jax.figures import plots
from mclf_jax.metrics import HIERARCHICAL
from mclf_jax.metrics.hierarchy import depths
from mclf_jax.report.markup import card, escape, folded, interval_text, number, table

_COLUMNS = ("pr_auc", "roc_auc", "f1")


def hierarchy_section(report: Report) -> str:
    """HTML, empty for a report whose labels have no parents."""
    if not report.parents:
        return ""
    cards = []
    for name in HIERARCHICAL:
        if name in report.metrics:
            title = plots.title_of(name.removesuffix("_hierarchical")).capitalize()
            below = interval_text(report.intervals.get(name))
            cards.append(card(title, number(report.metrics[name]), below=below))
    note = (
        "With a label come all labels above it, in the truth as in the prediction, so the right "
        "branch counts even where its end is wrong (hierarchical precision and recall, "
        "Kiritchenko et al. 2006). Below, each label is judged alone."
    )
    return (
        f'<h3>Hierarchy</h3><p class="note">{note}</p><div class="cards">{"".join(cards)}</div>'
        f'<div class="panel">{_levels(report)}</div>{_tree(report)}'
    )


def _levels(report: Report) -> str:
    depth = depths(report.labels, report.parents)
    rows = []
    for level in range(depth.max() + 1):
        values = [
            report.per_label[label]
            for label, d in zip(report.labels, depth, strict=True)
            if d == level
        ]
        support = sum(int(each["support"]) for each in values)
        means = [number(_mean([each[column] for each in values])) for column in _COLUMNS]
        rows.append([f"{level + 1}{' (top)' * (level == 0)}", str(len(values)), str(support)])
        rows[-1] += means
    head = ["level", "labels", "positives", *(f"{plots.title_of(c)}, macro" for c in _COLUMNS)]
    return table(head, rows, numbers_from=1)


def _tree(report: Report) -> str:
    rows = []
    for label, depth in _in_order(report):
        values = report.per_label[label]
        cells = [number(values[column], undefined="–") for column in _COLUMNS]
        indented = f'<span style="padding-left:{1.4 * depth:.1f}em">{escape(label)}</span>'
        rows.append([indented, str(int(values["support"])), *cells])
    head = ["label", "positives", *(plots.title_of(c) for c in _COLUMNS)]
    return folded("The tree of labels", table(head, rows, numbers_from=1))


def _in_order(report: Report) -> Iterator[tuple[str, int]]:
    """Each label after the one above it, with its depth."""
    place = {label: k for k, label in enumerate(report.labels)}
    depth = depths(report.labels, report.parents)

    def path(label: str) -> list[int]:
        above = path(report.parents[label]) if label in report.parents else []
        return [*above, place[label]] if label in place else above

    for label in sorted(report.labels, key=path):
        yield label, int(depth[place[label]])


def _mean(values: list[float]) -> float:
    defined = [value for value in values if math.isfinite(value)]
    return float(np.mean(defined)) if defined else math.nan
