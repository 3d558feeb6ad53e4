"""A run used with other decoders than it was trained with says so, and one of its own does not."""

import json
import types
import warnings

import numpy as np
import pytest

from mclf_jax import api
from mclf_jax.audio.files import ffmpeg, versions
from mclf_jax.audio.files.versions import of_prepared, warn_of_others
from mclf_jax.evaluation.evaluate import evaluate
from mclf_jax.export import collect, huggingface
from mclf_jax.run import directory
from tests.small_run import small_model, write_run
from tests.songs import Songs

TRAINED = {"decoder": "1.2.2", "resampler": "soxr HQ", "soxr": "0.1.3"}


@pytest.fixture(autouse=True)
def here(monkeypatch):
    """Versions that are installed, as far as these tests are told."""
    monkeypatch.setattr(
        versions, "soundfile", types.SimpleNamespace(__libsndfile_version__="1.2.2")
    )
    monkeypatch.setattr(versions, "soxr", types.SimpleNamespace(__libsoxr_version__="0.1.3"))
    monkeypatch.setattr(ffmpeg, "version", lambda: "18.1.0")


def told(trained):
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        warn_of_others(trained)
    return [str(each.message) for each in said]


def test_what_is_known_to_be_other_is_told_in_one_line():
    (line,) = told({**TRAINED, "decoder": "1.0.31", "soxr": "0.1.2", "av": "17.0.0"})
    assert "\n" not in line
    for part in (
        "libsndfile 1.0.31 in training and 1.2.2 here (MP3",
        "soxr 0.1.2 in training and 0.1.3 here",
        "PyAV 17.0.0 in training and 18.1.0 here",
    ):
        assert part in line
    (line,) = told({**TRAINED, "decoder": "1.0.31", "av": "18.1.0"})
    assert "libsndfile" in line and "soxr" not in line and "PyAV" not in line


@pytest.mark.parametrize(
    "trained",
    [
        TRAINED,
        {**TRAINED, "av": "18.1.0"},
        {"decoder": "1.0.31", "resampler": "soxr HQ"},  # of earlier versions of the package
        {},
        3,
    ],
)
def test_the_same_and_the_unknown_are_not(trained):
    assert told(trained) == []


def test_what_is_not_installed_is_not(monkeypatch):
    monkeypatch.setattr(ffmpeg, "version", lambda: "")
    assert told({**TRAINED, "av": "17.0.0"}) == []


def test_ffmpeg_is_remembered_where_it_decodes():
    assert versions.versions(["a.wav"]) == TRAINED
    assert versions.versions(["a.wav", "B.M4A"]) == {**TRAINED, "av": "18.1.0"}


def test_prepared_songs_were_decoded_before():
    found = of_prepared({"decoder": "libsndfile 1.1.0, av 15.0", "resampler": "soxr 0.1.1"})
    assert found == {"decoder": "1.1.0", "av": "15.0", "soxr": "0.1.1"}
    assert of_prepared({"decoder": "libsndfile 1.1.0, av missing"}) == {"decoder": "1.1.0"}
    assert of_prepared({}) == {}


@pytest.mark.parametrize(
    ("more", "audio"),
    [
        ({"files": ("a.m4a",)}, {**TRAINED, "av": "18.1.0"}),
        ({"audio": {"decoder": "1.1.0"}}, {**TRAINED, "decoder": "1.1.0"}),
    ],
)
def test_a_run_remembers_them(tmp_path, more, audio):
    source = Songs(12)
    vars(source).update(more)
    config = directory.config_lib.base()
    directory.start_run(tmp_path, config=config, source=source, model=small_model())
    assert directory.read_meta(tmp_path)["audio"] == audio


def test_a_run_and_its_export_say_it_once(tmp_path):
    noise = np.random.default_rng(0).standard_normal((2, 500)).astype(np.float32)
    run = write_run(tmp_path / "run", noise)
    api.load(run)  # without a word
    meta = json.loads((tmp_path / "run" / "meta.json").read_text())
    assert meta["audio"] == TRAINED
    meta["audio"]["soxr"] = "0.0.9"
    (tmp_path / "run" / "meta.json").write_text(json.dumps(meta))
    exported = huggingface.write_huggingface(collect.bundle_of(run), tmp_path / "hub")
    for paths in (run, exported, [run, exported]):
        with pytest.warns(UserWarning, match="than in training: soxr 0.0.9 in training") as said:
            api.load(paths)
        assert len(said) == 1
    with pytest.warns(UserWarning, match="soxr 0.0.9"), pytest.raises((ValueError, TypeError)):
        evaluate(run)  # there are no songs
