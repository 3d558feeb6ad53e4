"""Figures of an evaluation show its numbers."""

import numpy as np
import pytest

from mclf_jax.figures import scores
from tests.reports import NAN, partial, report_of


def test_curve_figures():
    report = report_of("multi_label", num_labels=20)
    areas = {k: report.per_label[k]["pr_auc"] for k in report.labels}
    for draw, x, y in (
        (scores.roc_curves, "false positive rate", "true positive rate"),
        (scores.pr_curves, "recall", "precision"),
    ):
        figure = draw(report.scores, report.targets, labels=report.labels, areas=areas)
        (axes,) = figure.axes
        assert (axes.get_xlabel(), axes.get_ylabel()) == (x, y)
        names = [t.get_text() for t in figure.legends[0].get_texts()]
        assert names[0].startswith("mean of 19: ")  # label 1 has no positive
        assert len(names) == 7


def test_drawn_precision_has_the_area_of_average_precision():
    report = report_of("multi_label", labels=("a", "undefined"), num_songs=300)
    ap = report.per_label["a"]["pr_auc"]
    areas = {"a": ap, "undefined": float("nan")}
    figure = scores.pr_curves(report.scores, report.targets, labels=report.labels, areas=areas)
    mean, single = figure.axes[0].lines
    assert mean.get_ydata()[1:].mean() == pytest.approx(ap, abs=0.01)
    recall, precision = single.get_data()
    assert (np.diff(recall) * precision[1:]).sum() == pytest.approx(ap, abs=1e-6)


def test_labels_that_begin_with_an_underscore_are_in_the_legend():
    report = report_of("multi_label", labels=("_hidden", "never", "a", "b"))
    areas = {k: report.per_label[k]["roc_auc"] for k in report.labels}
    figure = scores.roc_curves(report.scores, report.targets, labels=report.labels, areas=areas)
    names = [text.get_text().partition(":")[0] for text in figure.legends[0].get_texts()]
    assert sorted(names) == ["_hidden", "a", "b", "mean of 3"]


@pytest.mark.slow
def test_bars_and_matrix_and_scatter():
    report = report_of("multi_label", num_labels=130)
    figure = scores.per_label_bars(report.per_label, num_songs=60)
    axes = figure.axes
    assert [a.get_title("left") for a in axes] == ["PR-AUC", "ROC-AUC"]
    assert figure.get_supxlabel() == "the 60 best and the 60 worst of 129 labels"
    widths = [bar.get_width() for bar in axes[0].patches]
    assert widths == sorted(widths, reverse=True)
    (axes,) = scores.confusion_matrix(np.array([[3, 1], [0, 2]]), ["x", "y"]).axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted", "true")
    assert [t.get_text() for t in axes.texts] == ["3", "1", "2"]
    report = report_of("regression", num_labels=14)
    r2 = {k: report.per_label[k]["r2"] for k in report.labels}
    drawn = scores.regression_scatter(report.scores, report.targets, labels=report.labels, r2=r2)
    axes = drawn.axes
    assert len(axes) == 12
    assert (axes[0].get_xlabel(), axes[0].get_ylabel()) == ("true", "predicted")
    assert f"{max(r2.values()):.3f}" in axes[0].get_title("left")


def test_figures_are_over_what_was_observed():
    report = partial("multi_label", labels=("a", "b", "c", "never"))
    seen = report.observed[:, 0]
    areas = {label: report.per_label[label]["roc_auc"] for label in report.labels}
    for draw in (scores.roc_curves, scores.pr_curves):
        both = draw(report.scores, report.targets, labels=report.labels, areas=areas)
        only = areas | dict.fromkeys(("b", "c"), NAN)
        one = draw(report.scores[seen], report.targets[seen], labels=report.labels, areas=only)
        expected = one.axes[0].lines[1].get_xydata()  # after the mean
        drawn = [line.get_xydata() for line in both.axes[0].lines]
        assert any(np.array_equal(line, expected) for line in drawn)
    (axes, _) = scores.per_label_bars(report.per_label, num_songs=60).axes
    chance = sorted(segment[0][0] for segment in axes.collections[0].get_segments())
    expected = [
        np.nanmean(report.targets[:, k])
        for k, label in enumerate(report.labels)
        if np.isfinite(report.per_label[label]["pr_auc"])
    ]
    np.testing.assert_allclose(chance, sorted(expected))
    numbers = partial("regression", labels=("a", "never"))
    r2 = {label: numbers.per_label[label]["r2"] for label in numbers.labels}
    drawn = scores.regression_scatter(numbers.scores, numbers.targets, labels=numbers.labels, r2=r2)
    dots = [len(axes.collections[0].get_offsets()) for axes in drawn.axes]
    assert dots == [numbers.observed[:, 0].sum(), 0]
    assert drawn.axes[1].get_title("left") == "never: R² undefined"


def test_confidence_has_words_for_ticks_and_a_dot_where_the_error_is_kept():
    bins = [{"low": k / 10, "high": (k + 1) / 10, "count": 4 + 300 * k, "said": k / 10 + 0.05}
            | {"true": k / 10} for k in range(3, 10)]  # fmt: skip
    drawn = scores.reliability_diagram({"before": bins, "after": bins[2:]})
    drawn.canvas.draw()
    ticks = [text.get_text() for text in drawn.axes[1].get_yticklabels()]
    assert "1,000" in ticks and not any("$" in text for text in ticks)
    curve = {"coverage": np.array([0.2, 0.5, 1.0]), "risk": np.array([0.0, 0.04, 0.3])}
    drawn = scores.risk_over_coverage({"after": curve}, risk=0.05)
    dots = [line for line in drawn.axes[0].lines if line.get_marker() == "o"]
    assert [list(map(float, dot.get_xydata()[0])) for dot in dots] == [[0.5, 0.04]]
