"""What a split says of a metric before anything is predicted."""

import types

import numpy as np
import pytest

from mclf_jax.evaluation.evaluate import check_defined
from mclf_jax.train.loop import train
from tests.data.labelled import labelled
from tests.songs import Songs
from tests.tiny import tiny_config

NAN = np.nan


@pytest.mark.parametrize(
    "task, metric, labels, needs",
    [
        ("single_label", "accuracy", [0, 0], None),
        ("single_label", "log_loss", [0, 0], None),
        ("single_label", "f1_macro", [0, 0], None),
        ("single_label", "roc_auc_macro", [0, 0], "songs of a label and songs of another"),
        ("single_label", "roc_auc_macro", [0, 1], None),
        ("multi_label", "pr_auc_macro", [[0, 0], [0, 0]], "a label that some"),
        ("multi_label", "pr_auc_macro", [[1, NAN], [0, NAN]], None),
        ("multi_label", "roc_auc_micro", [[1, 1], [1, 1]], "a label that some"),
        ("multi_label", "loss", [[NAN, NAN], [NAN, NAN]], "a label that is known"),
        ("multi_label", "last", [[NAN, NAN], [NAN, NAN]], None),
        ("regression", "r2", [[1.0, 2.0], [1.0, 2.0]], "numbers that differ"),
        ("regression", "r2", [[1.0, 2.0], [1.0, 3.0]], None),
        ("regression", "mae", [[1.0, 2.0], [1.0, 2.0]], None),
    ],
)
def test_a_metric_that_cannot_be_is_refused(task, metric, labels, needs):
    source = labelled(labels, names=("a", "b"), task=task)
    parts = types.SimpleNamespace(source=source, targets=lambda split: source.targets)
    if needs is None:
        check_defined(metric, parts, split="valid")
        return
    with pytest.raises(ValueError, match=f"eval.metric is '{metric}', .* split valid.*{needs}"):
        check_defined(metric, parts, split="valid")


def test_before_training_starts(tmp_path, monkeypatch):
    monkeypatch.setattr(Songs, "labels", np.arange(24, dtype=np.int32) // 12)
    with pytest.raises(ValueError, match="undefined for the 4 songs of the split valid"):
        train(tiny_config(eval__metric="roc_auc_macro"), workdir=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_where_it_cannot_be_written_no_song_is_opened(tmp_path, monkeypatch):
    monkeypatch.setattr(Songs, "__post_init__", lambda self: 1 / 0)
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="workdir is .*file/run; .*file is a file and no folder"):
        train(tiny_config(), workdir=tmp_path / "file" / "run")
