"""The page of a large data set: it stays small, and opens in a browser without asking for more."""

import numpy as np

from mclf_jax.report.scores import write_scores_page
from tests.browser import open_page
from tests.reports import report_of


def test_a_page_of_many_labels_and_songs_is_small_and_asks_for_nothing(tmp_path):
    report = report_of("multi_label", num_labels=130, num_songs=1500)
    scores = np.linspace(0, 1, 4 * 130).reshape(4, 130)
    taggram = {"times_s": np.arange(1.0, 9, 2), "scores": scores, "window_s": 2.0}
    path = write_scores_page(tmp_path, reports=[report], taggram_of=lambda item: taggram)
    assert path.stat().st_size < 2_000_000
    with open_page() as opened:
        page, asked = opened["page"], []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(path.as_uri())
        assert page.locator("svg").count() == 9
        assert not opened["said"] and asked == [path.as_uri()]
