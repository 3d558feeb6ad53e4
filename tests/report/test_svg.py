"""A figure within a page."""

import re

import numpy as np

from mclf_jax.figures.scores import confusion_matrix
from mclf_jax.report.svg import inline_svg
from tests.report.parsed import Page


def _svg(name, labels=("a", "b")):
    return inline_svg(
        confusion_matrix(np.array([[3, 1], [0, 2]]), labels), name=name, description="what it is"
    )


def test_it_takes_fonts_and_colours_of_the_page():
    svg = _svg("one")
    assert not re.search(r"#[0-9a-f]{6}|DejaVu|http|<style|<metadata", svg)
    for name in ("ink", "muted", "line", "accent", "on-accent", "font"):
        assert f"var(--{name})" in svg
    assert svg.startswith("<svg ") and 'role="img" aria-label="what it is"' in svg


def test_two_figures_share_no_id_and_equal_ones_are_equal():
    Page(_svg("one") + _svg("two"))
    assert _svg("one") == _svg("one")


def test_any_label_can_be_drawn():
    page = Page(_svg("one", labels=("\udce9\x00<&>", "日本語")))
    assert "<&>" in page.texts and "日本語" in page.texts
