"""Methods on the same songs: what is aligned, averaged, tested and disagreed on."""

import dataclasses

import numpy as np
import pytest

from mclf_jax import metrics
from mclf_jax.report.comparison.align import align
from mclf_jax.report.comparison.compute import AVERAGE, compare_reports
from tests.reports import partial, report_of


def other(report, *, noise, seed=1, name="other"):
    """The same songs by a worse model."""
    rng = np.random.default_rng(seed)
    scores = np.clip(report.scores + noise * rng.random(report.scores.shape), 0, None)
    if report.task == "single_label":
        scores /= scores.sum(axis=1, keepdims=True)
    elif report.task == "multi_label":
        scores /= scores.max()
    return dataclasses.replace(report, scores=scores.astype(np.float32), run_name=name)


def test_songs_and_labels_that_all_have_are_compared():
    first = report_of("multi_label", num_labels=4, num_songs=20)
    order = np.random.default_rng(0).permutation(20)[:15]
    columns = [3, 0, 2]
    second = dataclasses.replace(
        first,
        run_name="second",
        labels=tuple(first.labels[k] for k in columns),
        items=tuple(first.items[n] for n in order),
        scores=first.scores[order][:, columns],
        targets=first.targets[order][:, columns],
    )
    second.targets[4, 0] = 1 - second.targets[4, 0]
    found = align([first, second])
    assert found.labels == ("label 0", "label 2", "label 3") and len(found.items) == 14
    assert first.items[order[4]] not in found.items
    np.testing.assert_array_equal(found.scores[0], found.scores[1])
    assert found.notes == (
        "labels that not all runs have, left out: label 1",
        "songs that not all runs scored, left out: 5",
        "songs of which runs know another truth, left out: 1",
    )


def test_classes_that_one_run_lacks_are_left_out_with_their_songs():
    first = report_of("single_label", num_labels=4, num_songs=40)
    kept = np.flatnonzero(first.targets > 0)
    scores = first.scores[kept][:, 1:]
    second = dataclasses.replace(
        first,
        labels=first.labels[1:],
        items=tuple(first.items[n] for n in kept),
        scores=scores / scores.sum(axis=1, keepdims=True),
        targets=first.targets[kept] - 1,
    )
    found = align([first, second])
    assert len(found.items) == len(kept) and found.targets.min() == 0
    np.testing.assert_allclose(found.scores[0], found.scores[1], rtol=1e-6)
    np.testing.assert_array_equal(found.targets, second.targets)
    assert found.notes[1:] == (f"songs that not all runs scored, left out: {40 - len(kept)}",)
    every = dataclasses.replace(first, labels=("other", *first.labels[1:]))
    others = int((first.targets == 0).sum())
    told = align([first, every]).notes
    assert told[1:] == (f"songs whose label not all runs have, left out: {others}",)


def test_what_has_nothing_in_common_is_refused():
    first = report_of("single_label")
    with pytest.raises(ValueError, match="runs of 2 tasks .*a run: single_label, a run: multi_la"):
        align([first, report_of("multi_label")])
    with pytest.raises(ValueError, match="0 labels in common"):
        align([first, dataclasses.replace(first, labels=tuple(f"x{k}" for k in range(10)))])
    with pytest.raises(ValueError, match="0 scored songs in common.*same split"):
        align([first, dataclasses.replace(first, items=tuple(f"x{n}" for n in range(60)))])
    with pytest.raises(ValueError, match="by is 'group', but .* knows no groups"):
        align([first, first], by="group")
    with pytest.raises(ValueError, match="metric of single_label is 'r2'; allowed: accuracy"):
        compare_reports({"a": [first], "b": [first]}, metric="r2")
    with pytest.raises(ValueError, match="against is 'c'; allowed: a, b"):
        compare_reports({"a": [first], "b": [first]}, against="c")


@pytest.mark.parametrize("task", metrics.NAMES)
def test_a_worse_model_is_found_and_the_same_one_is_not(task):
    good = partial(task) if task == "multi_label" else report_of(task)
    methods = {"good": [good], "again": [good], "bad": [other(good, noise=3.0)]}
    found = compare_reports(methods, num_resamples=300)
    assert found.metric == metrics.HEADLINES[task][0] and found.by == "song"
    row = found.table[0]
    expected = metrics.compute(task, good.scores, good.targets, labels=good.labels).values
    assert row["accuracy" if task == "single_label" else found.metric] == pytest.approx(
        expected[found.metric], rel=1e-6
    )
    assert row[f"{found.metric}_low"] < row[found.metric] < row[f"{found.metric}_high"]
    better = {(pair["first"], pair["second"]): pair["better"] for pair in found.pairs}
    assert better == {
        ("good", "again"): "",
        ("good", "bad"): "good",
        ("again", "bad"): "again",
    }
    assert all(pair["p_holm"] >= pair["p"] for pair in found.pairs)
    assert len(found.disagreements) == len(found.items)
    first = found.disagreements[0]
    assert first["scores"]["good"] == first["scores"]["again"] != first["scores"]["bad"]


def test_among_many_pairs_a_sure_difference_is_still_called_one():
    good = report_of("single_label", num_songs=30)
    wrong = dataclasses.replace(good, scores=np.eye(10)[(good.targets + 1) % 10])
    methods = {str(n): [wrong] for n in range(10)} | {"right": [good]}
    right = dataclasses.replace(good, scores=np.eye(10)[good.targets])
    found = compare_reports(methods | {"right": [right]})
    assert len(found.pairs) == 55
    assert [pair["better"] for pair in found.pairs].count("right") == 10
    few = compare_reports(methods | {"right": [right]}, num_resamples=100)
    assert not any(pair["better"] for pair in few.pairs)


def test_less_is_better_where_the_metric_says_so():
    good = report_of("regression")
    methods = {"bad": [other(good, noise=3.0)], "good": [good]}
    (pair,) = compare_reports(methods, metric="rmse", num_resamples=100).pairs
    assert pair["difference"] > 0 and pair["better"] == "good"


def test_against_one_and_with_the_average_of_all():
    good = report_of("single_label")
    methods = {name: [other(good, noise=1.0, seed=n)] for n, name in enumerate("abc")}
    found = compare_reports(methods, against="b", ensemble="add", num_resamples=50)
    assert [(p["first"], p["second"]) for p in found.pairs] == [
        ("a", "b"),
        ("c", "b"),
        (AVERAGE, "b"),
    ]
    mean = np.mean([report.scores for (report,) in methods.values()], axis=0)
    assert found.table[-1]["accuracy"] == np.mean(mean.argmax(1) == good.targets)
    assert AVERAGE not in found.disagreements[0]["scores"]


def test_seeds_are_one_method_and_songs_of_an_artist_are_drawn_together():
    good = report_of("single_label", num_songs=60)
    good = dataclasses.replace(
        good, groups=tuple(f"artist {n // 6}" for n in range(60)), group_kind="artist"
    )
    seeds = [other(good, noise=1.5, seed=n) for n in range(3)]
    found = compare_reports({"good": [good], "seeds": seeds}, num_resamples=400)
    assert found.by == "artist"
    row, values = found.table[1], [np.mean(r.scores.argmax(1) == r.targets) for r in seeds]
    assert row["seeds"] == 3 and row["accuracy"] == pytest.approx(np.mean(values))
    assert row["accuracy_sd"] == pytest.approx(np.std(values, ddof=1))
    assert found.notes == ("of one seed, so that nobody knows what another would do: good",)
    alone = compare_reports({"good": [good], "seeds": seeds}, by="song", num_resamples=50)
    assert alone.by == "song"
