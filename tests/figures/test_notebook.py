"""`mclf.plot` of reports."""

import numpy as np
import pytest
from matplotlib.figure import Figure

import mclf_jax as mclf
from tests.reports import report_of


def test_reports_are_drawn_by_name():
    drawn = {
        "single_label": ("confusion", "roc", "pr", "bars", "reliability"),
        "multi_label": ("roc", "pr", "bars", "reliability"),
        "regression": ("scatter",),
    }
    for task, names in drawn.items():
        report = report_of(task, num_labels=3, num_songs=20)
        for name in names:
            assert isinstance(getattr(mclf.plot, name)(report), Figure)
        for name in {"confusion", "roc", "scatter"} - set(names):
            with pytest.raises(ValueError, match="the task of the report is"):
                getattr(mclf.plot, name)(report)
    assert {"waveform", "spectrogram", "taggram", "along"} <= set(mclf.plot.__all__)


def test_labels_of_a_data_set_and_which_come_together():
    tags = mclf.data.build(
        "synthetic", task="instruments", num_songs=30, song_s=1, sample_rate_hz=8000
    )
    (axes,) = mclf.plot.labels(tags).axes
    names = [text.get_text() for text in axes.get_yticklabels()]
    assert sorted(names) == sorted(tags.info.labels)
    train = tags.targets[tags.info.splits["train"]]
    row = names.index("bass")
    (bar,) = [p for p in axes.containers[0] if abs(p.get_y() + p.get_height() - row) < 0.31]
    assert bar.get_width() == pytest.approx(100 * train[:, tags.info.labels.index("bass")].mean())
    (axes,) = mclf.plot.together(tags).axes
    assert axes.get_xlabel() == "has this too"
    styles = mclf.data.build("synthetic", num_songs=30, song_s=1, sample_rate_hz=8000)
    assert len(mclf.plot.labels(styles).axes[0].containers) == 3
    with pytest.raises(ValueError, match="the task of the data set is 'single_label'"):
        mclf.plot.together(styles)


def test_bands_of_two_scales():
    scales = {name: mclf.features.LogMel(n_mels=16, mel_scale=name) for name in ("htk", "slaney")}
    (axes,) = mclf.plot.mel_bands(scales).axes
    for line, settings in zip(axes.lines, scales.values(), strict=True):
        assert np.array_equal(line.get_ydata(), mclf.features.mel_frequencies_hz(settings))


@pytest.mark.parametrize("task", ["single_label", "multi_label"])
def test_what_a_threshold_does(task):
    report = report_of(task, num_labels=3, num_songs=40)
    label = report.labels[-1]
    (axes,) = mclf.plot.thresholds(report, label).axes
    drawn = {line.get_label(): line.get_xydata() for line in axes.lines}
    targets = np.eye(3)[report.targets] if task == "single_label" else report.targets
    place = np.abs(drawn["recall"][:, 0] - 0.4).argmin()
    how = {"thresholds": drawn["recall"][place, 0], "average": "none"}
    for name, function in (("precision", mclf.metrics.precision), ("recall", mclf.metrics.recall)):
        found = function(report.scores, targets, **how)[-1]
        assert drawn[name][place, 1] == pytest.approx(found)
    with pytest.raises(ValueError, match="label is 'banjo'"):
        mclf.plot.thresholds(report, "banjo")
