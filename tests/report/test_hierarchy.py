"""The report of labels in a tree."""

import json
import re

import numpy as np

from mclf_jax.evaluation.result import load_report
from tests.report.test_scores import _written
from tests.reports import in_a_tree, report_of


def test_a_report_saved_before_there_were_trees_loads(tmp_path):
    path = report_of("multi_label").save(tmp_path)
    fields = json.loads(path.read_text())
    del fields["parents"]
    for values in fields["per_label"].values():
        del values["observed"]
    path.write_text(json.dumps(fields))
    report = load_report(tmp_path, "test")
    assert report.parents == {}
    assert "<h3>Labels</h3>" in _written(tmp_path, [report])[0]


def test_a_tree_is_shown_with_its_levels(tmp_path):
    report = in_a_tree()
    source, page = _written(tmp_path, [report])
    section = source.split("<h3>Hierarchy</h3>")[1].split("<h3>")[0]
    assert "95 %: 0.123 to 0.456" in section
    assert f"{report.metrics['f1_hierarchical']:.3f}" in section
    assert "f1_hierarchical" not in source and "hierarchical</span>" not in source
    # Each label stands below its parent, by the order of the labels.
    tree = re.findall(r"<td>\u2003*label (\d)", section.split("The tree of labels")[1])
    assert "".join(tree) == "0139452678"
    assert "<td>label 0" in section and "<td>\u2003label 3" in section
    top = [report.per_label[f"label {k}"]["pr_auc"] for k in range(3)]
    assert f"{np.nanmean(top):.3f}" in section.split("1 (top)")[1].split("</tr>")[0]
