"""The page of a model on other data."""

import dataclasses

from mclf_jax.trial import page
from tests.reports import report_of


def test_it_has_the_other_splits_of_the_same_model_and_data(tmp_path, monkeypatch):
    """And nothing of another model, whose report a folder of the user's may hold."""
    shown = []
    monkeypatch.setattr(
        page, "write_scores_page", lambda out, *, reports, **how: shown.extend(reports)
    )
    monkeypatch.setattr(page, "hearing", lambda parts: {})
    meta = {"step": 600, "trained_on": "songs", "folder": "gtzan"}
    report = dataclasses.replace(report_of("single_label", num_labels=3), meta=meta)
    for split, changes in (
        ("valid", {}),
        ("train", {"run_name": "another"}),
        ("all", {"meta": meta | {"folder": "gtzan-12345678"}}),
    ):
        dataclasses.replace(report, split=split, **changes).save(tmp_path)
    found = {"report": report, "source": None, "model": None, "taggram_of": None}
    page.write_report(found, tmp_path)
    assert [each.split for each in shown] == ["test", "valid"]
