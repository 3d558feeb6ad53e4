"""The page of a run without labels."""

import json

import pytest

from mclf_jax.report.pretraining import write_pretraining_page
from tests.report.parsed import HOSTILE, Page

META = {"data": {"name": f"data {HOSTILE}", "splits": {f"split {HOSTILE}": 7}}}
META |= {"model": {"name": f"model {HOSTILE}"}}


def _run(tmp_path, records):
    run = tmp_path / "run <b> & {{ 7 * 7 }}"
    run.mkdir()
    (run / "metrics.jsonl").write_text("\n".join(map(json.dumps, records)))
    (run / "config.json").write_text(json.dumps({"x": f"config {HOSTILE}"}))
    return run


def test_page_shows_the_curves_of_the_objective_and_escapes(tmp_path):
    records = [
        {"kind": "train", "step": step, "loss": 3 / step, "embedding_std": 0.001, "data_wait": 0.1}
        | {"time_step": 1.0, "input_read_ms": 3.0}
        | {f"metric {HOSTILE}": 5.0}
        for step in range(1, 9)
    ]
    records.append({"kind": "valid", "step": 8, "loss": 2.0})
    run = _run(tmp_path, records)
    path = write_pretraining_page(run, meta=META, objective="simclr")
    assert path == run / "report" / "index.html"
    page = Page(path.read_text(encoding="utf-8"))
    for begin in ("data", "split", "model", "Metric"):
        assert f"{begin} {HOSTILE}" in page.text, begin
    for words in ("run <b> & {{ 7 * 7 }}", "simclr on", "After step 8", "0.375", "config <script>"):
        assert words in page.text
    assert "data wait" not in page.text and "Time step" not in page.text
    assert "waiting for data" in page.text and "step 100 %" in page.text
    assert page.counts["svg"] == 1


def test_a_run_without_history_says_what_to_do(tmp_path):
    run = _run(tmp_path, [])
    with pytest.raises(ValueError, match="no training history yet: start its `mclf train`"):
        write_pretraining_page(run, meta=META, objective="simclr")
    converted = META | {"data": {"name": "none"}}
    with pytest.raises(ValueError, match="made from weights by `mclf convert`"):
        write_pretraining_page(run, meta=converted, objective="simclr")
