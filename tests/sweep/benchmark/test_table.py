"""The table of a benchmark: what is best, what chance may hide, and what others published."""

import csv
import dataclasses
import json

import numpy as np
import pytest

from mclf_jax.metrics import keys
from mclf_jax.probe.result import ProbeResult
from mclf_jax.sweep import frozen
from mclf_jax.sweep import tables as sweep_tables
from mclf_jax.sweep.benchmark import table
from mclf_jax.sweep.benchmark.tasks import MARBLE, PUBLISHED
from tests.reports import report_of


def right_in(share, *, labels, seed=0, num_songs=80):
    """A report of an encoder that is right about the first songs, as many as `share` says."""
    base = report_of("single_label", labels=labels, num_songs=num_songs)
    scores = np.full((num_songs, len(labels)), 0.1 / len(labels))
    wrong = (base.targets + 2) % len(labels)
    right = np.roll(np.arange(num_songs) < share * num_songs, seed)
    scores[np.arange(num_songs), np.where(right, base.targets, wrong)] += 0.9
    return dataclasses.replace(base, scores=scores.astype(np.float32))


def encoder(tmp_path, name, shares, *, parameters=1000):
    """What `sweep.run` says of one: {probe: share of songs that it is right about}."""
    found = {}
    for number, (probe, share) in enumerate(shares.items()):
        directory = tmp_path / name / "probe" / probe
        labels = keys.LABELS if probe.startswith("giantsteps_key") else ("a", "b", "c")
        right_in(share, labels=labels, seed=number).save(directory / "report")
        how = {"run": name, "method": "x", "step": 1, "data": "d", "fingerprint": "f"}
        notes = ("Pretraining (simclr) heard 3 of 80 test songs, without their labels.", "else")
        found[probe] = ProbeResult(
            **how,
            task="single_label",
            labels=labels,
            num_folds=0,
            records=(),
            notes=notes,
            directory=directory,
        )
    changes, cost = {"encoder": frozen(name)}, {"parameters": parameters}
    made = {"name": name, "changes": changes, "status": "finished", "probes": found, "cost": cost}
    return made | {"objective": "supervised", "target": ""}


@pytest.fixture
def results(tmp_path):
    shares = {
        "good": {"notes,seed=0": 0.9, "notes,seed=1": 0.8, "giantsteps_key,seed=0": 0.9},
        "near": {"notes,seed=0": 0.85, "notes,seed=1": 0.85},
        "bad": {"notes,seed=0": 0.2, "notes,seed=1": 0.25, "giantsteps_key,seed=0": 0.1},
    }
    return [encoder(tmp_path / "runs", name, of) for name, of in shares.items()]


def test_best_not_told_apart_and_worse(results):
    found = table.tabulate(results)
    assert found["columns"] == [
        {"task": "notes", "metric": "accuracy", "songs": 80, "by": "song"},
        {"task": "giantsteps_key", "metric": "key_score", "songs": 80, "by": "song"},
    ]
    rows = {row["encoder"]: row for row in found["rows"]}
    notes = {name: rows[name]["scores"][0] for name in ("good", "near", "bad")}
    assert notes["good"]["value"] == pytest.approx(0.85) and notes["good"]["seeds"] == 2
    assert {notes["good"]["place"], notes["near"]["place"]} == {"best", "not told apart"}
    assert notes["bad"]["place"] == "worse"
    assert notes["bad"]["low"] < 0.225 < notes["bad"]["high"] < notes["good"]["low"]
    assert rows["near"]["scores"][1] is None
    assert len(found["pairs"]) == 4
    assert "good on notes,seed=0: Pretraining (simclr) heard 3 of" in found["notes"][0]


def test_published_rows_are_marked_and_only_where_task_and_metric_are_the_same(results, tmp_path):
    found = table.tabulate(results)
    others = [row for row in found["rows"] if row["whose"] == "published by others"]
    assert [row["encoder"] for row in others] == list(PUBLISHED)
    assert others[0]["scores"] == [None, {"value": 0.656}]
    text = table.write(found, tmp_path)
    assert "| *MERT-330M, published by others* |  |  | *0.656* |" in text
    assert "| good | 1,000 | " in text and "≈ 0.850 (" in text
    assert "In italics, not measured here: MARBLE probes as" in text
    alone = [result | {"probes": {"notes": result["probes"]["notes,seed=0"]}} for result in results]
    unknown = table.tabulate(alone)
    assert {row["whose"] for row in unknown["rows"]} == {"measured"}
    assert "italics" not in table.markdown(unknown)
    lines = list(csv.DictReader((tmp_path / "benchmark.csv").read_text().splitlines()))
    assert len(lines) == 3 + 2 + len(PUBLISHED)
    assert lines[-1]["whose"] == "published by others" and lines[-1]["low"] == ""
    assert json.loads((tmp_path / "benchmark.json").read_text())["rows"] == found["rows"]
    assert (tmp_path / "benchmark.png").stat().st_size > 10_000


def test_every_published_score_belongs_to_a_task():
    columns = {(name, metric) for name, task in MARBLE.items() for metric in task.metrics}
    assert all(scores.keys() == columns for scores in PUBLISHED.values())
    assert PUBLISHED["MuQ"]["emomusic", "r2"] == 0.6815  # of .609 and .754


def test_a_sweep_of_encoders_and_trained_settings_has_both_tables(results, tmp_path):
    trained = {"name": "a", "changes": {}, "status": "finished", "objective": "supervised"}
    trained |= {"target": "", "task": "single_label", "metrics": {"test": {"accuracy": 0.5}}}
    failed = results[1] | {"probes": {}, "status": "failed: notes: no such folder"}
    text = sweep_tables.write_tables([trained, failed, *results[::2]], workdir=tmp_path)
    assert "| a | 1 | 0.500 |" in text and "| near | 1,000 |  |  |" in text
    assert "- near: failed: notes: no such folder" in text
