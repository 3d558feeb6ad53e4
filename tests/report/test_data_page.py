"""The page of a checked data set is one file that shows what was found."""

import html.parser
import re

import numpy as np
import pytest

from mclf_jax.data import check
from mclf_jax.figures import data as data_plots
from mclf_jax.report.data_page import write_page
from tests.data.check.made import folder, labelled, song


class _Balanced(html.parser.HTMLParser):
    """Fails where tags do not nest."""

    _EMPTY = frozenset(["meta", "br", "path", "use", "rect", "line", "image", "stop"])

    def __init__(self):
        super().__init__()
        self.open = []

    def handle_starttag(self, tag, attrs):
        if tag not in self._EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self._EMPTY:
            assert self.open.pop() == tag


def _page(result, tmp_path):
    page = write_page(result, tmp_path / "new" / "page.html").read_text(encoding="utf-8")
    parser = _Balanced()
    parser.feed(page)
    assert parser.open == []
    assert "<script" not in page and not re.search(r'(src|href)="(http|//)', page)
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(ids)
    return page


def test_page_of_a_folder_with_a_leak(tmp_path):
    songs = {
        "train/x/<b>&1.wav": song(0),
        "test/y/2.wav": song(0),
        "valid/z/3.wav": song(1),
        "train/w/4.wav": song(2),
    }
    result = check.check(folder(tmp_path, songs), progress="off")
    page = _page(result, tmp_path)
    assert "train/x/&lt;b&gt;&amp;1.wav" in page and "<b>&1" not in page
    assert ">leak</span>" in page and "All 1 matches" in page
    assert page.count("<svg") == 2  # audio, labels


@pytest.mark.parametrize("num_labels", [3, 80])
def test_page_of_tags(tmp_path, num_labels):
    rng = np.random.default_rng(0)
    values = (rng.random((200, num_labels)) < 0.3).astype(np.float32)
    values[::5, 0] = np.nan
    splits = {"train": np.arange(100), "valid": np.arange(100, 150), "test": np.arange(150, 200)}
    names = [f"tag {k} $x$" for k in range(num_labels)]
    result = check.check(labelled(values, splits=splits, labels=names), audio="skip")
    page = _page(result, tmp_path)
    assert page.count("<svg") == 2  # labels, co-occurrence
    assert "labels are partial" in page
    assert ("most and the" in page) == (num_labels > data_plots.MAX_LABELS)


def test_page_of_a_regression(tmp_path):
    values = np.random.default_rng(0).standard_normal((30, 2))
    splits = {"train": np.arange(20), "test": np.arange(20, 30)}
    source = labelled(values, splits=splits, task="regression", labels=["valence", "arousal"])
    page = _page(check.check(source, audio="skip"), tmp_path)
    assert "valence" in page and "<svg" not in page


def test_co_occurrence_puts_like_by_like():
    together = np.diag([50, 50, 40, 40])
    together[0, 2] = together[2, 0] = 38
    together[1, 3] = together[3, 1] = 38
    drawn = data_plots.co_occurrence(together, labels=["a", "b", "a2", "b2"])
    names = [text.get_text() for text in drawn.axes[0].get_yticklabels()]
    assert sorted(names) == ["a", "a2", "b", "b2"]
    assert abs(names.index("a") - names.index("a2")) == 1
    assert abs(names.index("b") - names.index("b2")) == 1
