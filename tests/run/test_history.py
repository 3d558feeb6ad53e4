"""The history of a run that was killed and went on."""

import pytest

from mclf_jax.run import history


def test_history_of_a_killed_run(tmp_path):
    path = tmp_path / "metrics.jsonl"
    assert history.read(path) == {}
    path.write_text(
        '{"kind": "train", "step": 1, "loss": 3.0}\n{"kind": "train", "step": 2, "loss": 9.0}\n'
        '{"kind": "start", "devices": 1}\n{"kind": "train", "step": 2, "loss": 2.0, "note": "x"}\n'
        '{"kind": "valid", "step": 2, "accuracy": null, "loss": 1.0}\n{"kind": "tra'
    )
    assert (
        history.of_run(tmp_path)
        == history.read(path)
        == {
            "train": {"step": [1, 2], "loss": [3.0, 2.0]},
            "valid": {"step": [2], "loss": [1.0]},
        }
    )


def test_a_folder_without_a_history(tmp_path):
    with pytest.raises(FileNotFoundError, match="has no metrics.jsonl"):
        history.of_run(tmp_path)
