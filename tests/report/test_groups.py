"""Who fails: songs by columns of the data."""

import dataclasses
import json

import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from mclf_jax.data.base.columns import columns_of
from mclf_jax.evaluation.result import load_report
from mclf_jax.report.groups import _p_worse, score_groups
from mclf_jax.report.scores import write_scores_page
from tests.report.parsed import HOSTILE, Page
from tests.reports import partial, report_of
from tests.songs import Songs


def with_columns(report, **columns):
    return dataclasses.replace(report, columns={k: tuple(v) for k, v in columns.items()})


def failing(num_songs=60):
    """Songs of every third codec are all wrong, the others right."""
    report = report_of("single_label", num_labels=3, num_songs=num_songs)
    codec = np.array(["mp3", "flac", HOSTILE])[np.arange(num_songs) % 3]
    report.scores[:] = np.eye(3)[(report.targets + (codec == HOSTILE)) % 3]
    return with_columns(
        report,
        codec=codec,
        year=[str(1960 + n) if n else "" for n in range(num_songs)],
        duration_s=[f"{n:.2f}" for n in range(num_songs)],
        title=[f"song {n}" for n in range(num_songs)],
        same=["x"] * num_songs,
    )


def test_the_worst_group_is_named_with_its_interval():
    found = score_groups(failing())
    assert found["overall"]["error"] == pytest.approx(1 / 3)
    codecs = found["columns"]["codec"]["groups"]
    assert [group["group"] for group in codecs][0] == HOSTILE == found["worst"]["group"]
    assert [group["worse"] for group in codecs] == [True, False, False]
    worst = found["worst"]
    assert (worst["column"], worst["songs"], worst["error"], worst["high"]) == ("codec", 20, 1, 1)
    assert 0.8 < worst["low"] < 0.9 and worst["score"] == 0
    assert "same" not in found["columns"]


def test_numbers_are_put_into_ranges_and_years_into_decades():
    columns = score_groups(failing())["columns"]
    years = {group["group"]: group["songs"] for group in columns["year"]["groups"]}
    assert years == {"1970s": 10, "1980s": 10, "1990s": 10, "2000s": 10, "2010s": 10}
    assert columns["year"]["small"]["songs"] == 9 and columns["year"]["num_small"] == 1
    assert columns["year"]["unknown"] == 1
    assert [g["songs"] for g in columns["duration_s"]["groups"]] == [12] * 5
    assert {"0 to 11.8", "47.2 to 59"} <= {g["group"] for g in columns["duration_s"]["groups"]}
    counts = with_columns(failing(), plays=[str(100_000 + 7 * n) for n in range(60)])
    named = {g["group"] for g in score_groups(counts)["columns"]["plays"]["groups"]}
    assert {"100000-100077", "100336-100413"} <= named
    floats = with_columns(failing(), year=[f"{1960 + n}.0" for n in range(60)])
    assert "1970s" in {g["group"] for g in score_groups(floats)["columns"]["year"]["groups"]}
    few = with_columns(failing(), take=[str(n % 4) for n in range(60)])
    assert [g["songs"] for g in score_groups(few)["columns"]["take"]["groups"]] == [15] * 4


def test_small_groups_are_pooled():
    title = score_groups(failing())["columns"]["title"]
    assert title["groups"] == [] and (title["num_small"], title["small"]["songs"]) == (60, 60)


@pytest.mark.parametrize("task", ["multi_label", "regression"])
def test_songs_of_which_nothing_is_known_count_nowhere(task):
    report = with_columns(partial(task), part=["a", "b"] * 30)
    report = dataclasses.replace(report, groups=("artist",) * 30 + ("other",) * 30)
    found = score_groups(report)
    assert found["overall"]["songs"] == 59  # song 5 has no observed label
    assert list(found["columns"]) == ["group", "part"]
    for group in found["columns"]["part"]["groups"]:
        assert group["low"] < group["error"] < group["high"]


def test_no_group_is_called_worse_by_chance():
    calls = 0
    for seed in range(40):
        report = report_of("single_label", num_labels=2, num_songs=100, seed=seed)
        found = score_groups(with_columns(report, part=[f"{n % 5}" for n in range(100)]))
        calls += found["worst"] is not None
    assert calls <= 6


def test_p_values_are_those_of_scipy():
    rng = np.random.default_rng(0)
    for errors in (rng.random(50), rng.integers(0, 2, 50).astype(float)):
        songs, others = np.arange(12), np.arange(12, 50)
        how = {"alternative": "greater", "method": "asymptotic"}
        expected = mannwhitneyu(errors[songs], errors[others], **how).pvalue
        assert _p_worse([songs], errors)[0] == pytest.approx(expected, rel=1e-9)


def test_the_page_and_its_json_tell_it(tmp_path):
    reports = [failing(), report_of("single_label", num_labels=3, split="valid")]
    path = write_scores_page(tmp_path, reports=reports)
    text = Page(path.read_text(encoding="utf-8")).text
    assert "Who fails" in text and f"codec {HOSTILE}" in text and "(worse)" in text
    assert "too few to tell: title" in text and "Cannot be known" in text
    found = json.loads((tmp_path / "report" / "groups.json").read_text(encoding="utf-8"))
    assert found["test"]["worst"]["group"] == HOSTILE and found["valid"]["columns"] == {}


def test_columns_of_songs_are_kept_with_their_report(tmp_path):
    report = failing()
    report.save(tmp_path)
    assert load_report(tmp_path, "test").columns == report.columns
    songs = Songs(24)
    found = columns_of(songs, [3, 1])
    rate = songs.info.sample_rate_hz
    assert found["duration_s"] == tuple(f"{songs.num_samples(i) / rate:.2f}" for i in (3, 1))
