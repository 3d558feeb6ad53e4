"""What all pages share: how values are written, and the file."""

import tomllib

import jinja2
import pytest

from mclf_jax.report import page
from tests import ROOT


@pytest.mark.parametrize(
    ("pair", "shown"),
    [
        (("window_s", 3.7), ("window", "3.7 s")),
        (("sample_rate_hz", 16000), ("sample rate", "16\u202f000 Hz")),
        (("num_parameters", 1024), ("parameters", "1024")),
        (("same_data", True), ("same data", "yes")),
        (("notes", []), ("notes", "none")),
        (("splits", {"train": 3, "test": 1}), ("splits", "train=3 · test=1")),
        (("revision", None), ("revision", "none")),
    ],
)
def test_facts(pair, shown):
    assert page.fact(pair) == shown


def test_numbers_and_intervals():
    assert [page.number(x) for x in (0.12345, 12.345, float("nan"))] == [
        "0.123",
        "12.35",
        "undefined",
    ]
    assert page.interval({"low": 0.1, "high": 0.25}) == "95 %: 0.100 to 0.250"
    assert page.interval({"low": 1.0, "high": 1.0}) == "all resamples are equal"
    assert page.interval(None) == page.interval({"low": float("nan"), "high": 1.0}) == ""


def test_settings_that_are_no_json_are_shown_as_they_are(tmp_path):
    assert page.settings(tmp_path) is None
    (tmp_path / "config.json").write_text('{"b": "\\u00e9", "a": 1}')
    assert page.settings(tmp_path) == '{\n  "a": 1,\n  "b": "é"\n}'
    (tmp_path / "config.json").write_text("{")
    assert page.settings(tmp_path) == "{\n(not valid JSON: shown as it is)"


def test_a_page_is_written_whole_or_not_at_all(tmp_path):
    with pytest.raises(jinja2.UndefinedError, match="'run_name' is undefined"):
        page.write(tmp_path / "a" / "b.html", "pretraining")
    assert list(tmp_path.iterdir()) == []


def test_file_names_need_not_be_unicode(tmp_path):
    values = {"title": b"caf\xe9".decode("utf-8", "surrogateescape"), "songs": []}
    values |= {"window_s": 1.0, "shown_s": 1.0, "rate_hz": 8000, "where": "device"}
    values |= {"preset": None, "waveform": "x", "spectrogram": None, "batch": None, "chains": {}}
    path = page.write(tmp_path / "x.html", "listen", **values)
    assert "<h1>caf\\udce9</h1>" in path.read_text(encoding="utf-8")


def test_templates_are_installed_with_the_package():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wheel = settings["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel["packages"] == ["mclf_jax"] and "exclude" not in wheel  # all files below it
    folder = ROOT / "mclf_jax" / "report" / "templates"
    assert {path.suffix for path in folder.iterdir()} == {".html", ".css", ".md"}
