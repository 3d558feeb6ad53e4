"""Labels that nobody looked for: the same numbers as if those pairs were not there at all."""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mclf_jax import data, losses, metrics
from mclf_jax.common import parallel
from mclf_jax.evaluation import evaluate as evaluation
from mclf_jax.evaluation.result import load_report
from mclf_jax.metrics import bootstrap
from mclf_jax.report.run import report_run
from mclf_jax.run import experiment
from mclf_jax.train import overview, train
from tests.metrics.test_compute import _random
from tests.songs import Songs
from tests.tiny import tiny_config

NAN = np.nan
TASKS = ("multi_label", "regression")


def hidden(task, *, share=0.5, **sizes):
    """Scores, targets with a share of NaN, labels; the last label was never observed."""
    scores, targets, labels = _random(task, **sizes)
    rng = np.random.default_rng(2)
    targets = np.where(rng.random(targets.shape) < share, NAN, targets)
    targets[:, -1] = NAN
    return scores, targets, labels


@pytest.mark.parametrize("task", TASKS)
def test_each_label_is_judged_by_the_songs_it_was_observed_for(task):
    scores, targets, labels = hidden(task)
    found = metrics.compute(task, scores, targets, labels=labels)
    means = {}
    for k, label in enumerate(labels[:-1]):
        seen = ~np.isnan(targets[:, k])
        alone = metrics.compute(task, scores[seen, k : k + 1], targets[seen, k : k + 1], labels="x")
        assert found.per_label[label] == pytest.approx(alone.per_label["x"])
        assert found.per_label[label]["observed"] == seen.sum() < len(seen)
        for name, value in alone.per_label["x"].items():
            means.setdefault(name, []).append(value)
    for name in ("pr_auc", "roc_auc", "f1") if task == "multi_label" else ("r2", "mae", "rmse"):
        whole = name if task == "regression" else f"{name}_macro"
        assert found.values[whole] == pytest.approx(np.mean(means[name]))
    assert found.undefined == labels[-1:]
    never = found.per_label[labels[-1]]
    assert never["observed"] == 0 and never.get("support", 0) == 0
    assert all(np.isnan(v) for k, v in never.items() if k not in ("observed", "support"))


def test_micro_averages_are_over_the_observed_pairs():
    scores, targets, labels = hidden("multi_label")
    found = metrics.multi_label(scores, targets, labels=labels)
    seen = ~np.isnan(targets)
    flat = metrics.multi_label(scores[seen][:, None], targets[seen][:, None], labels="x")
    for name in ("pr_auc", "roc_auc"):
        assert found.values[f"{name}_micro"] == pytest.approx(flat.per_label["x"][name])


@pytest.mark.parametrize("task", TASKS)
def test_what_is_predicted_for_unobserved_pairs_changes_nothing(task):
    scores, targets, labels = hidden(task)
    other = np.where(np.isnan(targets), 1 - scores, scores)
    for metric in metrics.NAMES[task]:
        arguments = {"labels": labels, "metric": metric, "num_resamples": 20}
        one = metrics.confidence_interval(task, scores, targets, **arguments)
        assert one == metrics.confidence_interval(task, other, targets, **arguments)
    one, two = (metrics.compute(task, s, targets, labels=labels) for s in (scores, other))
    np.testing.assert_equal(dataclasses.asdict(two), dataclasses.asdict(one))


@pytest.mark.parametrize("task", TASKS)
def test_nothing_observed_is_undefined_and_no_error(task):
    scores, targets, labels = _random(task, num_songs=5)
    targets = np.full(targets.shape, NAN)
    found = metrics.compute(task, scores, targets, labels=labels)
    assert np.isnan(list(found.values.values())).all()
    assert found.undefined == labels
    for metric in metrics.NAMES[task]:
        interval = metrics.confidence_interval(
            task, scores, targets, labels=labels, metric=metric, num_resamples=3
        )
        assert np.isnan(list(interval.values())).all()


def test_numbers_that_are_equal_where_observed_have_no_r2():
    targets = np.array([[0.1, 1], [0.1, NAN], [NAN, 2], [0.1, 3]])
    found = metrics.regression(np.full(targets.shape, 0.5), targets, labels=("same", "varied"))
    assert found.undefined == ("same",)
    assert found.per_label["same"]["mae"] == pytest.approx(0.4)
    assert found.per_label["varied"]["r2"] == pytest.approx(1 - (0.25 + 2.25 + 6.25) / 2)
    counts = np.ones((4, 1))
    values = bootstrap.weighted(
        "r2", "regression", np.full(targets.shape, 0.5), targets, counts=counts
    )
    assert values == pytest.approx(found.values["r2"])


@pytest.mark.parametrize(
    ("task", "metric"), [(task, name) for task in TASKS for name in metrics.NAMES[task]]
)
def test_resampled_metrics_are_those_of_scikit_learn_on_the_drawn_songs(task, metric):
    scores, targets, labels = hidden(task, num_songs=25)
    counts = bootstrap.draw_counts(np.random.default_rng(1), num_songs=len(scores), num_resamples=8)
    counts[:, 0] = 1
    # A resample that has no song of which anything is known.
    scores, targets = np.vstack([scores, scores[:1]]), np.vstack([targets, 0 * targets[:1] + NAN])
    counts = np.vstack([counts, np.zeros(8)])
    counts[:, 1] = np.arange(26) == 25
    found = bootstrap.weighted(metric, task, scores, targets, counts=counts)
    for r in range(8):
        drawn = np.repeat(np.arange(len(scores)), counts[:, r].astype(int))
        expected = metrics.compute(task, scores[drawn], targets[drawn], labels=labels)
        assert found[r] == pytest.approx(expected.values[metric], abs=1e-9, nan_ok=True)
    assert np.isnan(found[1]) and np.isfinite(found[0])


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
        found = metrics.multi_label(jax.nn.sigmoid(logits), test_truth, labels="abcd")
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

    def label(self, index):
        tags = [index > 5, index > 12, index % 2]
        seen = np.random.default_rng(index).random(3) < 0.5
        seen &= index != 0
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


def test_a_run_with_half_of_the_tags_hidden(run):
    lines = (run / "metrics.jsonl").read_text()
    assert "NaN" not in lines and "f1_hierarchical" in lines
    found = evaluation.evaluate(run, split="train")
    truth = Tagged(24)
    np.testing.assert_array_equal(found.targets, [truth.label(i) for i in range(8, 24)])
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


def test_mixing_hidden_labels_keeps_the_loss_finite(tmp_path):
    changes = {"augment__mixup_alpha": 0.4, "augment__cutmix_alpha": 0.4, "train__num_steps": 5}
    assert train(config(**changes), workdir=tmp_path).status == "finished"


def test_the_loss_of_songs_of_which_nothing_is_known_does_not_count(run):
    parts = experiment.build(config())
    mesh = parallel.make_mesh(1)
    variables = evaluation.load_variables(run, parts.model, mesh)["variables"]

    def scores(songs):
        info = dataclasses.replace(parts.source.info, splits={"test": np.array(songs)})
        source = dataclasses.replace(parts.source)
        source.info = info
        changed = dataclasses.replace(parts, source=source)
        return evaluation.make_scorer(changed, mesh=mesh)("test", variables)

    assert np.isnan(Tagged(24).label(0)).all() and not np.isnan(Tagged(24).label(1)).all()
    assert scores([0, 1]).loss == pytest.approx(scores([1]).loss)
    assert np.isnan(scores([0]).loss)


def test_inspect_counts_what_was_observed():
    text = "\n".join(itertools.islice(overview.describe(config()), 4))  # nothing is compiled
    labels = np.stack([Tagged(24).label(i) for i in range(8, 24)])
    count, seen = int(np.nansum(labels[:, 0])), (~np.isnan(labels[:, 0])).sum()
    assert "of those in which it was looked for, in train: " in text
    assert f"loud {count}/{seen}" in text
    assert "of 24 not observed)" in text


def test_a_metric_of_a_tree_is_refused_without_one(tmp_path):
    with pytest.raises(ValueError, match="'f1_hierarchical', but the labels are in no hierarchy"):
        train(tiny_config(eval__metric="f1_hierarchical"), workdir=tmp_path)
