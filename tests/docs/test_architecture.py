"""docs/architecture.md against the code: rooms, files and functions are where it says."""

import ast
import re

import pytest

from tests import ROOT
from tests.layout.test_floors import FLOORS

PACKAGE = ROOT / "mclf_jax"
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
NAMED = sorted(
    set(re.findall(r"`(?!tests/)([\w/]+\.py)(?:: ([\w.]+))?`", PAGE.replace("\n   ", " ")))
)
QUESTIONS = re.findall(r"^\| (where .*?\?) \| (.*) \|$", PAGE, re.MULTILINE)


def test_the_picture_has_every_room_in_the_order_of_the_floors():
    drawn = re.findall(r"^[ A-Z]{8}│ +([\w/.]+) ", PAGE, re.MULTILINE)
    floors = [name for name in FLOORS[""].split() if not name.startswith("__")]
    assert [room.removesuffix(".py").strip("/") for room in reversed(drawn)] == floors
    lines = re.search(r"```\n(.*?)```", PAGE, re.DOTALL).group(1).splitlines()
    assert len({len(line) for line in lines}) == 1


def test_the_rooms_of_data_are_named_in_their_order():
    paragraph = re.search(r"`data/` has floors of its own: (.*?)\n\n", PAGE, re.DOTALL).group(1)
    named = re.findall(r"`(\w+)/`", paragraph)
    assert named == FLOORS["data"].split()
    assert set(named) == {path.parent.name for path in (PACKAGE / "data").glob("*/__init__.py")}


def test_something_is_named():
    assert len(NAMED) > 40


@pytest.mark.parametrize(("file", "function"), NAMED)
def test_what_is_named_exists(file, function):
    body = ast.parse((PACKAGE / file).read_text(encoding="utf-8")).body
    for name in filter(None, function.split(".")):
        kinds = (ast.FunctionDef, ast.ClassDef)
        found = [node for node in body if isinstance(node, kinds) and node.name == name]
        assert found, f"{file} has no {name}"
        body = found[0].body


def test_questions_are_answered_by_two_files_at_most():
    assert len(QUESTIONS) >= 10
    for question, answer in QUESTIONS:
        assert 1 <= len(re.findall(r"`[\w/]+\.py", answer)) <= 2, question
    for file, name in re.findall(r"`([\w/]+\.py)`, in `(\w+)`", PAGE):
        assert re.search(rf"^{name} = ", (PACKAGE / file).read_text(), re.MULTILINE), name


def test_the_readme_names_the_rooms_too():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    named = re.search(r"From the ground up: (.*?)\. \[", text, re.DOTALL).group(1)
    floors = [name for name in FLOORS[""].split() if not name.startswith("__")]
    assert sorted(re.findall(r"`(\w+)(?:/|\.py)`", named)) == sorted(floors)
