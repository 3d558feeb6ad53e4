"""Messages of errors lead to the section of docs/troubleshooting.md that quotes their words."""

import re

import pytest

from mclf_jax.common.text import troubles
from tests import ROOT
from tests.commands import mclf

PAGE = ROOT / "docs" / "troubleshooting.md"


def test_no_two_sections_have_the_same_place():
    headings = re.findall(r"^#+ (.*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    places = [troubles.anchor(heading) for heading in headings]
    assert len(set(places)) == len(places)


@pytest.mark.parametrize(
    ("words", "heading"),
    [
        (("train", "--config", "folder:path=nowhere", "--workdir", "run"), "no-such-folder"),
        (("train", "--config", "foldr", "--workdir", "run"), "no-such-config"),
        (
            ("train", "--config", "quickstart", "--config.optim.lr=1", "--workdir", "run"),
            "unknown-field",
        ),
        (("predict", "nowhere", "song.wav"), "no-run"),
    ],
)
def test_an_error_names_the_section(words, heading, tmp_path):
    said = mclf(*words, cwd=tmp_path, code=1).stderr
    assert f"more about it: {PAGE}#{heading}" in said


def test_other_messages_and_an_absent_page_are_left_alone(monkeypatch, tmp_path):
    assert troubles.where_explained("a b c") is None
    monkeypatch.setattr(troubles, "_PACKAGE", tmp_path / "package")
    assert troubles.where_explained("no such file; did you mean") is None
