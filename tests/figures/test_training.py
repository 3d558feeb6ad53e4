"""Curves of training, a panel for each kind of metric."""

import pytest

from mclf_jax.figures.training import learning_curves, loss_curves, metric_curves


def test_learning_curves():
    steps = list(range(100))
    valid = {"step": [10, 20], "loss": [1, 2], "accuracy": [0.5, 0.6], "log_loss": [2, 1]}
    figure = learning_curves({"step": steps, "loss": steps}, valid, best_step=20)
    axes = figure.axes
    assert [a.get_ylabel() for a in axes] == ["loss", "validation score", "validation error"]
    assert {a.get_xlabel() for a in axes} == {"step"}
    assert all(any("step 20" in t.get_text() for t in a.texts) for a in axes)
    assert len(learning_curves({}, {}).axes) == 1


def test_a_panel_for_each_metric():
    train = {"step": [1, 2], "loss": [2.0, 1.0], "alignment": [0.3, 0.2]}
    valid = {"step": [2], "loss": [1.5]}
    loss, alignment = metric_curves(train, valid, names=["loss", "alignment"]).axes
    assert [line.get_label() for line in loss.lines] == ["training", "valid"]
    assert [line.get_label() for line in alignment.lines] == ["training"]
    assert alignment.get_title("left") == "Alignment" and alignment.get_xlabel() == "step"


def test_curves_of_several_runs():
    histories = {
        "one": {
            "train": {"step": [1, 2], "loss": [2.0, 1.0]},
            "valid": {"step": [2], "loss": [3.0]},
        },
        "two": {"train": {"step": [1, 2], "loss": [4.0, 1.0]}},
    }
    (axes,) = loss_curves(histories).axes
    names = [line.get_label() for line in axes.lines]
    assert names == ["one, training", "one, validation", "two, training"]
    assert axes.lines[0].get_color() == axes.lines[1].get_color() != axes.lines[2].get_color()
    with pytest.raises(ValueError, match="metric is 'accuracy'; these runs have loss, step"):
        loss_curves(histories, metric="accuracy")
