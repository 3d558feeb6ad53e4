"""`mclf.plot` of reports."""

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
