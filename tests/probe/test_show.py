"""Intervals, tables, files and pictures of results."""

import csv
import json
import math

import numpy as np
import pytest
from scipy import stats

from mclf_jax.metrics.interval import mean_interval
from mclf_jax.probe import ProbeResult, Record, compare, load_result, show
from tests.damaged_json import changed_fields, whole_files


def record(encoder="trained", kind="linear", value=0.5, *, fraction=1.0, seed=0, fold=0):
    return Record(
        encoder=encoder,
        kind=kind,
        fraction=fraction,
        seed=seed,
        fold=fold,
        num_train=60,
        num_test=30,
        values={"accuracy": value, "f1_macro": value / 2, "roc_auc_macro": math.nan},
        intervals={
            name: {"low": value - 0.1, "high": value + 0.2} for name in ("accuracy", "f1_macro")
        },
        setting={"C": 0.1},
    )


def result(records, *, run="run", method="simclr", num_folds=0, data="songs"):
    return ProbeResult(
        run=run,
        method=method,
        step=10,
        data=data,
        fingerprint=data,
        task="single_label",
        labels=("a", "b"),
        num_folds=num_folds,
        records=tuple(records),
        notes=("A note.",),
    )


def test_the_interval_is_student_s():
    values = np.random.default_rng(0).normal(0.6, 0.1, 7)
    low, high = stats.t.interval(0.95, 6, values.mean(), stats.sem(values))
    found = mean_interval(values, num_folds=0)
    assert found["count"] == 7 and found["mean"] == pytest.approx(values.mean())
    assert found["half_width"] == pytest.approx((high - low) / 2)
    assert math.isnan(mean_interval([0.5], num_folds=0)["half_width"])


def test_the_interval_covers_what_folds_would_find_on_other_songs():
    """Repeated cross-validation of a fixed score: the plain interval is far too narrow.

    Scores of songs are drawn once in each trial; a fold's score is their mean over it. Against
    the true mean the corrected interval holds in 95 % of the trials or more, the plain one not.
    """
    rng, held = np.random.default_rng(0), {"plain": 0, "corrected": 0}
    trials, songs, folds = 300, 100, 5
    for _ in range(trials):
        scores = rng.random(songs) < 0.7
        values = [
            scores[part].mean()
            for _ in range(3)
            for part in np.array_split(rng.permutation(songs), folds)
        ]
        for name, num_folds in (("plain", 0), ("corrected", folds)):
            found = mean_interval(values, num_folds=num_folds)
            held[name] += abs(found["mean"] - 0.7) <= found["half_width"]
    assert held["corrected"] / trials >= 0.95 > 0.9 > held["plain"] / trials


def test_gains_are_paired_by_seed_and_fold():
    rows = [
        record(encoder, value=value + gain, seed=seed, fold=fold)
        for seed, fold, value in ((0, 0, 0.2), (0, 1, 0.8), (1, 0, 0.4), (1, 1, 0.6))
        for encoder, gain in (("trained", 0.1), ("untrained", 0.0))
    ]
    trained, untrained = result(rows, num_folds=3).summary()
    assert trained["over_untrained"]["mean"] == pytest.approx(0.1)
    assert trained["over_untrained"]["half_width"] == pytest.approx(0, abs=1e-12)
    assert trained["half_width"] > 0.3 and trained["count"] == 4
    assert untrained["over_untrained"] is None
    assert (trained["low"], trained["high"]) == pytest.approx((0.5, 0.8))


def test_text_and_markdown_say_what_is_compared():
    rows = [record(value=0.75), record("untrained", value=0.5), record("mfcc", "svm", 0.25)]
    text = show.text(result(rows))
    assert "simclr (this run)" in text and "0.750" in text and "+0.250" in text
    assert "0.650 to 0.950" in text and "A note." in text
    assert "±" not in text  # one fit each
    markdown = show.markdown(result(rows))
    assert "| MFCC statistics | svm | 0.250 |  | 0.150 to 0.450 | 0.125 |" in markdown
    some = [record(value=0.75), record(value=0.5, fraction=0.1)]
    assert "10 %" in show.text(result(some))


def test_what_is_saved_is_what_is_loaded(tmp_path):
    made = result([record(value=0.75), record("scratch", "end-to-end", 0.5)], num_folds=5)
    directory = show.save(made, tmp_path / "out")
    loaded = load_result(directory)
    assert loaded.directory == directory and show.text(loaded) == show.text(made)
    assert loaded.records[0].setting == {"C": 0.1}
    assert math.isnan(loaded.records[0].values["roc_auc_macro"])
    assert "NaN" not in (directory / "probe.json").read_text()
    json.loads((directory / "probe.json").read_text())
    with (directory / "probe.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert [line["encoder"] for line in lines] == ["trained", "scratch"]
    assert lines[0]["accuracy"] == "0.75" and lines[0]["accuracy_low"] == "0.65"
    assert (directory / "probe.png").stat().st_size > 5000
    assert (directory / "probe.md").read_text() == show.markdown(made)
    with pytest.raises(FileNotFoundError, match="probe the run first"):
        load_result(tmp_path)
    kept, text = directory / "probe.json", (directory / "probe.json").read_text()
    for what, content in (*whole_files(text), *changed_fields(text)):
        kept.write_bytes(content)
        try:
            load_result(directory)
        except ValueError as error:
            assert str(kept) in str(error), what


def test_the_picture_has_a_line_for_each_encoder_and_probe():
    rows = [
        record(encoder, kind, value * fraction**0.3, fraction=fraction, seed=seed)
        for encoder, kind, value in (("trained", "linear", 0.8), ("untrained", "knn", 0.4))
        for fraction in (0.1, 0.5, 1.0)
        for seed in (0, 1)
    ]
    (axes,) = show.draw(result(rows)).axes
    assert len(axes.containers) == 2 and axes.get_ylim()[1] <= 1.02
    assert [t.get_text() for t in axes.get_xticklabels()] == ["10 %", "50 %", "100 %"]
    (axes,) = show.draw(result([r for r in rows if r.fraction == 1])).axes
    assert [t.get_text() for t in axes.get_yticklabels()] == [
        "simclr (this run): linear",
        "same network, untrained: knn",
    ]


def pretrained(run, gain, *, method="simclr", data="songs", extra=()):
    rows = [
        record(encoder, value=0.4 + 0.1 * fold + (gain if encoder == "trained" else 0), fold=fold)
        for fold in range(3)
        for encoder in ("trained", "untrained")
    ]
    return result([*rows, *extra], run=run, method=method, num_folds=3, data=data)


def test_methods_beside_each_other():
    baseline = [record("mfcc", "svm", 0.45, fold=fold) for fold in range(3)]
    scratch = [record("scratch", "end-to-end", 0.55, fold=fold) for fold in range(3)]
    found = {
        "SimCLR": [pretrained("s0", 0.1, extra=baseline), pretrained("s1", 0.3)],
        "BYOL": [pretrained("b0", 0.2, extra=scratch), pretrained("b0", 0.2, data="notes")],
    }
    table = compare(found)
    songs, notes = table.split("**notes**")
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in songs.splitlines()]
    by_method = {line[0]: line for line in lines if line}
    assert by_method["SimCLR"][2] == "2" and by_method["SimCLR"][3].startswith("0.700 ± ")
    assert by_method["SimCLR"][4].startswith("0.500 ± ")
    assert by_method["SimCLR"][5].startswith("+0.200 ± ")
    assert by_method["BYOL"][3].startswith("0.700") and by_method["BYOL"][5] == "+0.200 ± 0.000"
    assert by_method["MFCC statistics"][3] == "0.450 ± 0.000"
    assert by_method["from scratch, network of BYOL"][3] == "0.550 ± 0.000"
    assert "BYOL" in notes and "SimCLR" not in notes


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(ValueError, match="other seeds or folds"):
        compare({"a": [pretrained("a", 0.1)], "b": [result([record()], run="b")]})
    with pytest.raises(ValueError, match="names of their own"):
        compare({"a": [pretrained("same", 0.1)], "b": [pretrained("same", 0.2)]})
    with pytest.raises(ValueError, match="no probe of mlp"):
        compare({"a": [pretrained("a", 0.1)]}, kinds=("mlp",))
    with pytest.raises(ValueError, match="at least one result"):
        compare({})
