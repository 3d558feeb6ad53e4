"""The picture and the table of a taggram."""

import csv
import warnings

import matplotlib.image
import numpy as np
import pytest

import mclf_jax as mclf
from mclf_jax.figures.taggram import save_taggram


def taggram(num_windows, *, hop_s=1.5, window_s=3.0):
    return {
        "times_s": np.arange(num_windows) * hop_s + window_s / 2,
        "labels": ("guitar", "voice", "no voice"),
        "scores": np.random.default_rng(0).random((num_windows, 3)),
        "window_s": window_s,
    }


def time_axis(figure):
    figure.canvas.draw()
    axes = figure.axes[0]
    low, high = axes.get_xlim()
    shown = zip(axes.get_xticks(), axes.get_xticklabels(), strict=True)
    ticks = {at: label.get_text() for at, label in shown if low <= at <= high}
    return {"label": axes.get_xlabel(), "limits": (low, high), "ticks": ticks}


@pytest.mark.parametrize(
    ("num_windows", "label", "ticks"),
    [
        (1, "seconds", {0: "0", 1: "1", 2: "2", 3: "3"}),
        (40, "seconds", {0: "0", 10: "10", 60: "60"}),
        (119, "minutes:seconds", {0: "0:00", 30: "0:30", 150: "2:30"}),
        (1199, "minutes:seconds", {0: "0:00", 300: "5:00", 1800: "30:00"}),
        (4799, "minutes:seconds", {0: "0:00", 900: "15:00", 7200: "120:00"}),
    ],
)
def test_the_axis_is_the_song_from_its_start_to_its_end(num_windows, label, ticks):
    given = taggram(num_windows)
    axis = time_axis(mclf.plot_taggram(given))
    assert axis["label"] == label
    assert axis["limits"] == (0, (num_windows + 1) * 1.5)
    assert ticks.items() <= axis["ticks"].items()
    assert len(axis["ticks"]) <= 11


def test_columns_lie_where_their_windows_are():
    figure = mclf.plot_taggram(taggram(3))
    mesh = figure.axes[0].collections[0]
    edges = mesh.get_coordinates()[0, :, 0]
    np.testing.assert_allclose(edges, [0, 2.25, 3.75, 6])
    # of the label with the highest mean, which is drawn first
    scores = taggram(3)["scores"]
    first_row = mesh.get_array().reshape(3, 3)[0]
    np.testing.assert_allclose(first_row, scores[:, scores.mean(axis=0).argmax()])


def test_title_and_scores_below_zero():
    given = taggram(4)
    given["scores"] = given["scores"] - 0.5  # a regression has such
    figure = mclf.plot_taggram(given, title="one\ntwo $3$")
    axes, bar = figure.axes
    assert axes.get_title(loc="left") == "one two $3$"
    assert bar.get_ylim() == (given["scores"].min(), given["scores"].max())


def test_save(tmp_path):
    given = taggram(4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        saved = save_taggram(given, tmp_path / "new", name="no. 5", title="第五")
    assert saved["picture"] == tmp_path / "new" / "no. 5.png"
    height, width, _ = matplotlib.image.imread(saved["picture"]).shape
    assert 900 < width < 1200 and 200 < height < 400
    rows = list(csv.reader(saved["table"].read_text(encoding="utf-8").splitlines()))
    assert rows[0] == ["time_s", "guitar", "voice", "no voice"]
    numbers = np.array(rows[1:], float)
    np.testing.assert_allclose(numbers[:, 0], given["times_s"])
    np.testing.assert_allclose(numbers[:, 1:], given["scores"], atol=1e-5)


def test_labels_of_the_highest_mean_are_drawn_first():
    times_s = np.arange(8) * 2.0 + 1
    scores = np.tile(np.linspace(0, 1, 20), (8, 1))
    labels = [f"tag {k}" for k in range(20)]
    figure = mclf.plot_taggram({"times_s": times_s, "labels": labels, "scores": scores})
    axes, bar = figure.axes
    assert axes.get_xlabel() == "seconds"
    assert axes.get_xlim() == (0, 16)
    names = [t.get_text() for t in axes.get_yticklabels()]
    assert names == [f"tag {k}" for k in range(19, 4, -1)]
    assert bar.get_ylabel() == "score"
    assert mclf.plot_taggram({"times_s": [1.0], "labels": ["a"], "scores": [[0.3]]})
    with pytest.raises(ValueError, match="\\[8, 20\\]"):
        mclf.plot_taggram({"times_s": times_s, "labels": labels, "scores": scores.T})
