"""Songs along time: which are drawn, and what of."""

import dataclasses

import numpy as np
import pytest

from mclf_jax.figures.taggram import plot_along
from mclf_jax.report.scores import write_scores_page
from mclf_jax.report.songs.along import along, surest
from tests.report.parsed import Page
from tests.reports import partial, report_of


def taggram_of(item, count=10):
    if item == "song 3.wav":
        raise OSError("truncated")
    scores = np.linspace(0, 1, 4 * count).reshape(4, count)
    return {"times_s": np.array([1.0, 3, 5, 7]), "scores": scores, "window_s": 2.0}


@pytest.mark.parametrize("task", ["single_label", "multi_label"])
def test_the_surest_and_the_worst_are_drawn(task):
    report = report_of(task)
    if task == "single_label":
        report.scores[3] = np.eye(10)[(report.targets[3] + 1) % 10]  # as wrong as can be
        report.scores[4] = np.eye(10)[report.targets[4]]
    else:
        report.scores[3], report.scores[4] = 1 - report.targets[3], report.targets[4]
    found = along(report, taggram_of=taggram_of)
    assert [song["kind"] for song in found] == ["surest", "surest", "worst", "worst"]
    assert found[0]["item"] == "song 4.wav" and found[2]["item"] == "song 3.wav"
    assert found[2]["why"] == "no picture: OSError: truncated"
    (axes,) = found[0]["figure"].axes
    assert len(axes.get_yticks()) == 6
    assert not set(surest(report, count=99)) & {3}


def test_of_parts_of_files_nothing_is_heard():
    report = report_of("single_label", num_labels=2, num_songs=12)
    items = [f"{'abc'[n % 3]}.wav#t={10 * (n // 3)},{10 * (n // 3) + 10}" for n in range(12)]
    report = dataclasses.replace(report, items=tuple(items))
    report.scores[:] = np.eye(2)[report.targets]
    report.scores[1::3] = report.scores[1::3, ::-1]  # b.wav is all wrong
    found = along(report, taggram_of=None)
    assert [song["kind"] for song in found] == ["surest", "surest", "worst"]
    assert found[2]["item"] == "b.wav" and found[2]["figure"].axes[0].get_xlim() == (0, 40)


def test_where_there_is_nothing_to_draw(tmp_path):
    assert along(report_of("regression"), taggram_of=taggram_of) == []
    assert along(report_of("single_label"), taggram_of=None) == []
    nothing = partial("multi_label", num_songs=8, share=1.0)
    assert along(nothing, taggram_of=taggram_of) == []
    how = {"num_labels": 2, "num_songs": 12}
    reports = [report_of("single_label", split=split, **how) for split in ("test", "valid")]
    page = Page(
        write_scores_page(
            tmp_path, reports=reports, taggram_of=lambda i: taggram_of(i, 2)
        ).read_text()
    )
    assert page.text.count("Along time") == 1  # the network is heard for the first split alone


def test_true_labels_come_first_and_shapes_are_checked():
    labels = [f"label {k}" for k in range(10)]
    taggram = taggram_of("") | {"labels": labels}
    figure = plot_along(taggram, truth={"label 2": [(0, 4)]}, max_labels=3)
    names = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert names == ["label 2", "label 9", "label 8"]
    with pytest.raises(ValueError, match="must be"):
        plot_along(taggram | {"labels": labels[:3]}, truth={})
