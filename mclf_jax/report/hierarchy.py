"""Labels in a tree, as rows of a table: the means of each level, and every label in its place.

These are the numbers of the labels one by one; only `metrics.HIERARCHICAL` know of the tree.
"""

import numpy as np

from mclf_jax.evaluation.result import Report
from mclf_jax.metrics.hierarchy import depths
from mclf_jax.report.page import number

_COLUMNS = ("pr_auc", "roc_auc", "f1")


def levels(report: Report) -> list[list]:
    """Level, labels, positives, and the means of PR-AUC, ROC-AUC and F1, from the top down."""
    depth = depths(report.labels, report.parents)
    rows = []
    for level in range(depth.max() + 1):
        values = [report.per_label[report.labels[k]] for k in np.flatnonzero(depth == level)]
        name = f"{level + 1}{' (top)' * (level == 0)}"
        row = [name, len(values), sum(int(each["support"]) for each in values)]
        for column in _COLUMNS:
            defined = [each[column] for each in values if np.isfinite(each[column])]
            row.append(number(np.mean(defined) if defined else np.nan))
        rows.append(row)
    return rows


def tree(report: Report) -> list[list]:
    """Label, positives, PR-AUC, ROC-AUC and F1; each label indented under the one above it."""
    place = {label: k for k, label in enumerate(report.labels)}
    depth = depths(report.labels, report.parents)

    def path(label: str) -> list[int]:
        above = path(report.parents[label]) if label in report.parents else []
        return [*above, place[label]] if label in place else above

    rows = []
    for label in sorted(report.labels, key=path):
        values = report.per_label[label]
        cells = [number(values[column], "–") for column in _COLUMNS]
        indent = "\u2003" * int(depth[place[label]])  # a wide space, which HTML keeps
        rows.append([indent + label, int(values["support"]), *cells])
    return rows
