"""Labels that nobody looked for: the same numbers as if those pairs were not there at all."""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mclf_jax import data, losses, metrics
from mclf_jax.common import parallel
from mclf_jax.evaluation.evaluate import evaluate, score_songs
from mclf_jax.evaluation.result import load_report
from mclf_jax.report.run import report_run
from mclf_jax.run import experiment
from mclf_jax.run.weights import load_variables
from mclf_jax.train import overview, train
from tests.songs import Songs
from tests.tiny import tiny_config

NAN = np.nan
TASKS = ("multi_label", "regression")


def test_masking_learns_what_counting_as_negative_unlearns():
    """Logistic regression with half of the tags hidden: masked, it finds the true one."""
    rng = np.random.default_rng(0)
    x = np.hstack([rng.standard_normal((800, 6)), np.ones((800, 1))]).astype(np.float32)
    truth = (x @ rng.standard_normal((7, 4)) > 0).astype(np.float32)
    partial = np.where(rng.random(truth.shape) < 0.5, NAN, truth).astype(np.float32)
    train_x, test_x, test_truth = x[:500], x[500:], truth[500:]

    @jax.jit
    def fit(labels):
        def loss(weights):
            return losses.sigmoid_cross_entropy(train_x @ weights, labels).mean()

        step = jax.grad(loss)
        return jax.lax.fori_loop(0, 300, lambda _, w: w - 1.0 * step(w), jnp.zeros((7, 4)))

    def judged(labels):
        logits = test_x @ fit(labels[:500])
        found = metrics.compute("multi_label", jax.nn.sigmoid(logits), test_truth, labels="abcd")
        loss = losses.sigmoid_cross_entropy(logits, test_truth).mean()
        return {"loss": float(loss), "f1": found.values["f1_macro"]}

    masked, negative = judged(partial), judged(np.nan_to_num(partial))
    everything = judged(truth)
    assert masked["loss"] < 0.5 * negative["loss"]
    assert masked["f1"] > negative["f1"] + 0.1
    assert masked["f1"] > everything["f1"] - 0.05


@dataclasses.dataclass
class Tagged(Songs):
    """`Songs` with three tags in a tree, half of them hidden; of one song nothing is known."""

    def __post_init__(self):
        super().__post_init__()
        self.info = dataclasses.replace(
            self.info,
            name="tagged",
            task="multi_label",
            labels=("loud", "very loud", "odd"),
            parents={"very loud": "loud"},
        )

    @property
    def labels(self):
        songs = np.arange(self.count)
        tags = np.stack([songs > 5, songs > 12, songs % 2], axis=1)
        seen = np.stack([np.random.default_rng(song).random(3) < 0.5 for song in songs])
        seen[0] = False
        return np.where(seen, tags, NAN).astype(np.float32)


def tagged(*, sample_rate_hz, count=24):
    return Tagged(count)


data.SOURCES["tagged"] = __name__


def config(**changes):
    return tiny_config(
        data__name="tagged",
        eval__metric="f1_hierarchical",
        objective__pos_weight="balanced",
        **{"train__num_steps": 10} | changes,
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("tagged")
    outcome = train(config(), workdir=workdir)
    assert outcome.status == "finished" and np.isfinite(outcome.best_value)
    return workdir


@pytest.mark.slow
def test_a_run_with_half_of_the_tags_hidden(run):
    lines = (run / "metrics.jsonl").read_text()
    assert "NaN" not in lines and "f1_hierarchical" in lines
    found = evaluate(run, split="train")
    truth = Tagged(24)
    np.testing.assert_array_equal(found.targets, truth.labels[8:24])
    assert np.isfinite(found.scores).all() and np.isfinite(found.metrics["loss"])
    assert found.per_label["odd"]["observed"] == (~np.isnan(found.targets[:, 2])).sum()
    assert found.parents == {"very loud": "loud"}
    expected = metrics.hierarchical(
        found.scores, found.targets, labels=found.labels, parents=found.parents
    )
    assert {name: found.metrics[name] for name in expected} == expected
    assert set(found.intervals) == {"pr_auc_macro", "roc_auc_macro", *expected}


def test_the_page_of_such_a_run(run):
    page = report_run(run).read_text()
    assert "Labels observed" in page and "<h3>Hierarchy</h3>" in page
    assert load_report(run / "report", "test").parents == {"very loud": "loud"}


@pytest.mark.slow
def test_mixing_hidden_labels_keeps_the_loss_finite(tmp_path):
    changes = {"augment__mixup_alpha": 0.4, "augment__cutmix_alpha": 0.4, "train__num_steps": 5}
    assert train(config(**changes), workdir=tmp_path).status == "finished"


def test_the_loss_of_songs_of_which_nothing_is_known_does_not_count(run):
    parts = experiment.build(config())
    mesh = parallel.make_mesh(1)
    variables = load_variables(run, parts.model, mesh)["variables"]

    def scores(songs):
        return score_songs(parts, np.array(songs), variables, mesh=mesh)

    assert np.isnan(Tagged(24).labels[0]).all() and not np.isnan(Tagged(24).labels[1]).all()
    assert scores([0, 1]).loss == pytest.approx(scores([1]).loss)
    assert np.isnan(scores([0]).loss)


def test_inspect_counts_what_was_observed():
    text = "\n".join(itertools.islice(overview.describe(config()), 4))  # nothing is compiled
    labels = Tagged(24).labels[8:24]
    count, seen = int(np.nansum(labels[:, 0])), (~np.isnan(labels[:, 0])).sum()
    assert "of those in which it was looked for, in train: " in text
    assert f"loud {count}/{seen}" in text
    assert "of 24 not observed)" in text


def test_a_metric_of_a_tree_is_refused_without_one(tmp_path):
    with pytest.raises(ValueError, match="'f1_hierarchical', but the labels are in no hierarchy"):
        train(tiny_config(eval__metric="f1_hierarchical"), workdir=tmp_path)
