"""The report of labels that are partly unknown, and of labels in a tree."""

import dataclasses
import json
import re
from types import SimpleNamespace

import numpy as np
import pytest

from mclf_jax import metrics
from mclf_jax.evaluation.result import Report, load_report
from mclf_jax.figures import plots
from mclf_jax.report import mistakes
from mclf_jax.report.listen import _label
from tests.report.test_scores import _report, _written

NAN = np.nan
PARENTS = {f"label {k}": f"label {k // 3}" for k in range(3, 10)}  # 0 to 2 are at the top


def _partial(task, *, share=0.4, **arguments):
    whole = _report(task, **arguments)
    rng = np.random.default_rng(3)
    targets = np.where(rng.random(whole.targets.shape) < share, NAN, whole.targets)
    targets[:, -1] = NAN
    targets[5] = NAN
    found = metrics.compute(task, whole.scores, targets, labels=whole.labels)
    return dataclasses.replace(
        whole,
        targets=targets,
        metrics=found.values,
        per_label=found.per_label,
        undefined=found.undefined,
    )


def _in_a_tree():
    report = _partial("multi_label")
    tree = {"labels": report.labels, "parents": PARENTS}
    added = metrics.hierarchical(report.scores, report.targets, **tree)
    interval = {"f1_hierarchical": {"low": 0.123, "high": 0.456}}
    return dataclasses.replace(
        report,
        metrics=report.metrics | added,
        intervals=report.intervals | interval,
        parents=PARENTS,
    )


@pytest.mark.parametrize(("task", "num_labels"), [("multi_label", 10), ("regression", 3)])
def test_the_page_says_how_much_was_observed(tmp_path, task, num_labels):
    report = _partial(task, num_labels=num_labels)
    source, page = _written(tmp_path, [report])
    text = page.text
    seen = int(np.isfinite(report.targets).sum())
    assert f"{seen} of {60 * num_labels}" in text and "Labels observed" in text
    assert f" of {num_labels} labels observed" in text
    assert "observed" in source.split("All numbers by label")[1].split("</thead>")[0]
    assert "nan" not in text.lower()
    assert "Hierarchy" not in text


def test_a_complete_report_says_nothing_of_it(tmp_path):
    source, _ = _written(tmp_path, [_report("multi_label")])
    assert "observed" not in source and "Hierarchy" not in source


def test_nothing_observed_at_all(tmp_path):
    for task in ("multi_label", "regression"):
        report = _partial(task, share=2, num_labels=3)
        assert not report.observed.any()
        _, page = _written(tmp_path, [report])
        text = page.text
        assert "None: no label was observed." in text and "0 of 180" in text


@pytest.mark.parametrize("task", ["multi_label", "regression"])
def test_round_trip(tmp_path, task):
    report = dataclasses.replace(_partial(task), parents=PARENTS)
    report.save(tmp_path)
    json.loads((tmp_path / "test.json").read_text(), parse_constant=pytest.fail)  # no NaN
    loaded = load_report(tmp_path, "test")
    for field in dataclasses.fields(Report):
        np.testing.assert_equal(getattr(loaded, field.name), getattr(report, field.name))
    np.testing.assert_array_equal(loaded.observed, ~np.isnan(report.targets))
    assert _report("single_label").observed.all()


def test_a_report_saved_before_there_were_trees_loads(tmp_path):
    path = _report("multi_label").save(tmp_path)
    fields = json.loads(path.read_text())
    del fields["parents"]
    for values in fields["per_label"].values():
        del values["observed"]
    path.write_text(json.dumps(fields))
    report = load_report(tmp_path, "test")
    assert report.parents == {}
    assert "<h3>Labels</h3>" in _written(tmp_path, [report])[0]


def test_tags_that_nobody_looked_for_are_no_mistake():
    report = dataclasses.replace(
        _report("multi_label", labels="abc", num_songs=4),
        scores=np.array([[0.9, 0.1, 0.6], [0.2, 0.8, 0.7], [0.9, 0.9, 0.9], [0.5, 0.5, 0.4]]),
        targets=np.array([[NAN, 0, 1], [1, NAN, 0], [NAN, NAN, NAN], [NAN, 1, NAN]]),
    )
    found = mistakes.worst(report, count=9)
    # Mean cross-entropies: (-ln .9 - ln .6) / 2, (-ln .2 - ln .3) / 2 and -ln .5.
    assert [mistake.index for mistake in found] == [1, 3, 0]  # of song 2 nobody knows anything
    assert found[0] == mistakes.Mistake(
        1,
        true=(("a", 0.2),),
        predicted=(("b", 0.8), ("c", 0.7), ("a", 0.2)),
        unobserved=("b",),
    )
    assert found[1].unobserved == ("a", "c")


def test_numbers_that_nobody_gave_are_no_mistake():
    report = dataclasses.replace(
        _report("regression", labels="ab", num_songs=4),
        scores=np.array([[0.0, 9.0], [1.0, 5.0], [5.0, 2.0], [7.0, 7.0]]),
        targets=np.array([[0.0, NAN], [1.0, 2.0], [2.0, 2.0], [NAN, NAN]]),
    )
    found = mistakes.worst(report, count=9)
    # "b" is always 2: no variance, so its unit is 1. Song 1: (0 + 9) / 2; song 2: 9 / (2/3) / 2.
    assert [mistake.index for mistake in found] == [2, 1, 0]
    assert found[1].true == (("b", 2.0), ("a", 1.0))
    assert found[2].true == (("a", 0.0),) and found[2].predicted == (("a", 0.0),)


def test_figures_are_over_what_was_observed():
    report = _partial("multi_label", labels=("a", "b", "c", "never"))
    seen = report.observed[:, 0]
    areas = {label: report.per_label[label]["roc_auc"] for label in report.labels}
    for draw in (plots.roc_curves, plots.pr_curves):
        both = draw(report.scores, report.targets, labels=report.labels, areas=areas)
        only = areas | dict.fromkeys(("b", "c"), NAN)
        one = draw(report.scores[seen], report.targets[seen], labels=report.labels, areas=only)
        expected = one.axes[0].lines[1].get_xydata()  # after the mean
        drawn = [line.get_xydata() for line in both.axes[0].lines]
        assert any(np.array_equal(line, expected) for line in drawn)
    (axes, _) = plots.per_label_bars(report.per_label, num_songs=60).axes
    chance = sorted(segment[0][0] for segment in axes.collections[0].get_segments())
    expected = [
        np.nanmean(report.targets[:, k])
        for k, label in enumerate(report.labels)
        if np.isfinite(report.per_label[label]["pr_auc"])
    ]
    np.testing.assert_allclose(chance, sorted(expected))
    numbers = _partial("regression", labels=("a", "never"))
    r2 = {label: numbers.per_label[label]["r2"] for label in numbers.labels}
    drawn = plots.regression_scatter(numbers.scores, numbers.targets, labels=numbers.labels, r2=r2)
    dots = [len(axes.collections[0].get_offsets()) for axes in drawn.axes]
    assert dots == [numbers.observed[:, 0].sum(), 0]
    assert drawn.axes[1].get_title("left") == "never: R² undefined"


def test_a_tree_is_shown_with_its_levels(tmp_path):
    report = _in_a_tree()
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


def test_what_is_said_of_a_song_before_listening():
    labels = [np.array([NAN, 1.0]), np.array([NAN, 0.0])]
    info = SimpleNamespace(task="multi_label", labels=("a", "b"))
    parts = SimpleNamespace(source=SimpleNamespace(info=info, label=labels.__getitem__))
    assert [_label(parts, index) for index in range(2)] == ["b", "no label"]
    info.task = "regression"
    assert _label(parts, 0) == "a unknown, b 1"
