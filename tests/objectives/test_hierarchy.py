"""A run whose labels are scored along their tree: trained, evaluated and used."""

import json

import numpy as np
import pytest

from mclf_jax import data
from mclf_jax.api import load
from mclf_jax.evaluation.evaluate import evaluate
from mclf_jax.evaluation.teacher import open_teacher
from mclf_jax.objectives.supervised import tree_for
from mclf_jax.train import train
from tests.tiny import tiny_config


def test_what_has_no_tree_is_refused():
    how = {"task": "multi_label", "labels": ("a", "b")}
    assert tree_for("none", **how, parents={}) == ()
    assert tree_for("conditional", **how, parents={"a": "b"}) == (1, -1)
    with pytest.raises(ValueError, match="needs tags with parents, but the task is 'multi_label'"):
        tree_for("conditional", **how, parents={})
    with pytest.raises(ValueError, match="hierarchy is 'tree'; allowed: none, conditional"):
        tree_for("tree", **how, parents={})
    with pytest.raises(ValueError, match="the task is 'single_label' and 1 labels have one"):
        tree_for("conditional", task="single_label", labels=("a", "b"), parents={"a": "b"})


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:the array")  # songs lie around their number
def test_evaluation_and_prediction_agree_with_the_tree(tmp_path):
    taxonomy = tmp_path / "taxonomy.json"
    taxonomy.write_text(json.dumps({"parents": {"low": "sound"}}))
    config = tiny_config(data__taxonomy=str(taxonomy), data__num_folds=3, train__num_steps=5)
    config.objective.args.hierarchy = "conditional"
    run = tmp_path / "run"
    train(config, workdir=run)
    assert json.loads((run / "meta.json").read_text())["tree"] == [2, -1, -1]
    report, tagger = evaluate(run), load(run)
    assert report.labels == tagger.labels == ("low", "high", "sound")
    assert (report.scores[:, 0] <= report.scores[:, 2]).all()
    source = data.build("songs", sample_rate_hz=1000, count=24)
    position = {source.item_id(i): i for i in range(len(source))}
    for item, scores in zip(report.items, report.scores, strict=True):
        audio = source[position[item]]["audio"]
        found = tagger.predict(audio, sample_rate_hz=1000)
        np.testing.assert_allclose(list(found.values()), scores, atol=1e-5)
    with pytest.raises(ValueError, match="trained with objective.args.hierarchy"):
        open_teacher(run, task="multi_label", label_names=report.labels)
