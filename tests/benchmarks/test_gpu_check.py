"""The table of `launch/gpu_check.sh`, and that a part which hangs costs only itself."""

import json

import pytest

from benchmarks.gpu import check
from benchmarks.gpu.cases import timed


def step(by, precision, step_ms, **more):
    return {"kind": "step", "by": by, "network": "transformer", "precision": precision} | (
        {"batch_size": 128, "step_ms": step_ms, "fed_ms": 1.25 * step_ms, "compile_s": 20.0}
        | {"peak_bytes": 3 * 2**30}
        | more
    )


FOUND = {
    "machine": {"gpu": "NVIDIA H200, 1.2"},
    "size": "full",
    "lines": [
        {"kind": "device", "device": "NVIDIA H200"},
        step("mclf_jax", "bfloat16", 10.0, flops=4e12),
        step("PyTorch, compile", "bfloat16", 15.0),
        {"kind": "step", "by": "PyTorch, eager", "network": "transformer"}
        | {"precision": "bfloat16", "error": "no compiler"},
        {"kind": "parity", "network": "transformer", "by": "mclf_jax", "precision": "bfloat16"}
        | {"scores": 1e-3, "logits": 0.02},
        {"kind": "peer", "network": "transformer", "logits": 1e-5},
    ],
    "parts": {"ours transformer": "done", "theirs clmr": "not reached"},
}


def test_the_table_says_what_was_measured_and_what_was_not(tmp_path):
    result = check.summary(FOUND)
    ours, theirs = result["rows"]
    assert ours["utilisation"] == pytest.approx(4e12 / 0.01 / 989.4e12)
    assert ours["times_compile"] == 1.5 and ours["waiting"] == pytest.approx(0.2)
    assert theirs["utilisation"] == pytest.approx(4e12 / 0.015 / 989.4e12)
    text = check.table(result)
    assert (
        "| transformer | bfloat16 | mclf_jax | 10.00 | 12,800 | 40.4% | 20% | 3.00 GiB | 20.0 s "
        "| 1.50 |" in text
    )
    assert "- transformer, bfloat16, PyTorch, eager: no compiler" in text
    assert "- clmr, float32, mclf_jax: not reached" in text and "- theirs clmr: not reached" in text
    assert len(result["missing"]) == 3 * 3 * 3 - 2
    json.dumps(result)
    check.picture(result, tmp_path / "gpu.png")
    assert (tmp_path / "gpu.png").stat().st_size > 5000


def test_nobody_invents_the_peak_of_an_unknown_chip():
    lines = [{"kind": "device", "device": "cpu"}, *FOUND["lines"][1:]]
    result = check.summary(FOUND | {"lines": lines, "size": "small"})
    assert [row["utilisation"] for row in result["rows"]] == [None, None]
    assert "measure nothing" in check.table(result)


def test_a_part_that_hangs_keeps_what_it_has_said(tmp_path, monkeypatch):
    monkeypatch.setattr(check, "LEAST_S", 0.1)
    code = "import time; print('{\"a\": 1}', flush=True); print('{\"b', flush=True); time.sleep(60)"
    where = {"options": {}, "log": tmp_path / "part.log"}
    assert check.run_part(["-c", code], limit_s=1.0, **where) == ([{"a": 1}], "ended after 1 s")
    lines, how = check.run_part(["-c", "raise ValueError('no GPU')"], limit_s=9.0, **where)
    assert (lines, how) == ([], "failed (1): ValueError: no GPU")
    assert check.run_part(["-c", ""], limit_s=0.0, **where) == ([], "not reached")


def test_the_time_of_a_step_is_the_median_of_rounds(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("benchmarks.gpu.cases.time.perf_counter", lambda: now[0])
    slow = iter([1, 1, 9] + 10 * [1])

    def run(count):
        now[0] += 0.1 * count * next(slow)

    assert timed(run, seconds=1.0) == pytest.approx(0.1)
