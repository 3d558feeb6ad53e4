"""`python -m benchmarks`: rows of a part made here, and commands that pages show."""

import json
import re
import shlex
import sys
import time
import types
from importlib.util import find_spec

import pytest

from benchmarks import __main__ as program
from benchmarks.frame.alternate import alternate, peak_bytes
from tests import ROOT


def make_part(rows, **attributes):
    return types.SimpleNamespace(measure=lambda options: iter(rows(options)), **attributes)


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Calls the program with parts of these modules, and reads what it leaves."""

    def call(parts, *words):
        monkeypatch.setattr(program, "PARTS", {name: f"made_for_tests.{name}" for name in parts})
        for name, module in parts.items():
            monkeypatch.setitem(sys.modules, f"made_for_tests.{name}", module)
        code = program.main([*words, "--out", str(tmp_path / "out")])
        return code, tmp_path / "out"

    return call


def test_rows_are_kept_beside_those_of_earlier_runs(run, capsys):
    def rows(options):
        for name, ours_s in (("a", options.ours), ("b", 2.0)):
            if not options.only or name in options.only:
                yield {"name": name, "ours_s": ours_s, "theirs_s": 1.0, "goal": 0.8}

    def add_options(parser):
        parser.add_argument("--ours", type=float, default=0.5)

    parts = {"made": make_part(rows, add_options=add_options)}
    assert run(parts, "made") == (0, out := run(parts, "all")[1])
    assert run(parts, "made", "--only", "a", "--ours", "0.25")[0] == 0
    found = json.loads((out / "made.json").read_text())
    assert [(row["name"], row["ratio"], row["machine"]) for row in found["rows"]] == [
        ("a", 0.25, 0),
        ("b", 2.0, 0),
    ]
    assert len(found["machines"]) == 1
    assert found["machines"][0]["jax"]
    text = (out / "made.md").read_text()
    assert "| a | 250.0 ms | 1.00 s | 0.25 | 0.80 | yes |" in text
    assert "| b | 2.00 s | 1.00 s | 2.00 | 0.80 | no |" in text
    assert (out / "made.png").read_bytes().startswith(b"\x89PNG")
    assert "ratio 0.25" in capsys.readouterr().out


def test_a_part_that_fails_leaves_its_rows_and_the_others(run, capsys):
    def broken(options):
        yield {"name": "a", "ours_s": 1e-5}
        raise RuntimeError("no such song")

    parts = {"broken": make_part(broken), "good": make_part(lambda o: [{"name": "c"}])}
    code, out = run(parts, "all")
    assert code == 1
    assert "skipped: broken: RuntimeError: no such song" in capsys.readouterr().err
    assert "| a | 10 us |" in (out / "broken.md").read_text()
    assert (out / "good.md").exists()
    (out / "good.json").write_text("[]")
    assert run(parts, "good")[0] == 2
    assert "good.json is not of this program" in capsys.readouterr().err


def test_turns_are_taken():
    order = []

    def call(name):
        order.append(name)
        time.sleep(0.01)

    calls = {name: lambda name=name: call(name) for name in "ab"}
    times = alternate(calls, rounds=2, at_least_s=0.001)
    assert order == list("aabb" + "ab" * 2) or order == list("aabb" + "aabb" * 2)
    assert len(times["a"].rounds_s) == 2
    assert 0.01 <= times["b"].median_s < 0.1


def test_memory_of_a_call_is_what_it_takes_at_most():
    size = 64 * 2**20
    found = peak_bytes(lambda: len(b"x" * size))
    assert found is None or size * 0.9 <= found < 2 * size


@pytest.mark.parametrize("name", program.PARTS)
def test_parts_are_there(name):
    assert find_spec(program.PARTS[name])


def test_commands_of_pages_are_understood():
    pages = [*ROOT.glob("docs/*.md"), *ROOT.glob("benchmarks/*.md"), ROOT / "README.md"]
    found = {
        command
        for page in pages
        for command in re.findall(r"`(python -m benchmarks [^`]*)`", page.read_text())
        if "PART" not in command
    }
    for command in found:
        words = shlex.split(command)[3:]
        asked = [name for name in program.PARTS if name in words or "all" in words]
        program.make_parser(asked).parse_args(words)
