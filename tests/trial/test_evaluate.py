"""Models on data that they never saw."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

import mclf_jax as mclf
from mclf_jax.cli import main as cli
from mclf_jax.export.archive import write_archive
from mclf_jax.trial.sources import mark_of, name_of, place_of, songs_of
from tests.data.labelled import labelled
from tests.export.bundles import small_bundle
from tests.report.parsed import Page
from tests.songs import Songs


@pytest.fixture(scope="module")
def tagger():
    return mclf.Tagger.of(small_bundle(task="single_label", labels=("other", "High", "LOW")))


def test_scores_are_those_of_predict_among_the_common_labels(tagger):
    source = Songs(12, broken=(3,))
    report = mclf.evaluate(tagger, data=source, split="all")
    assert report.labels == ("low", "high") and report.task == "single_label"
    assert report.split == "all" and len(report.items) == 11
    assert ("song 3", "could not be read") in report.skipped
    n = report.items.index("song 7")
    scores = tagger.predict(source[7]["audio"], sample_rate_hz=1000)
    of_both = np.array([scores["LOW"], scores["High"]])
    np.testing.assert_allclose(report.scores[n], of_both / of_both.sum(), atol=1e-5)
    assert report.targets[n] == 1
    said = report.meta["labels"]
    assert said["only_model"] == ["other"] and said["renamed"] == {"LOW": "low", "High": "high"}
    json.dumps(report.meta)
    assert set(report.metrics) >= {"accuracy", "pr_auc_macro"} and report.num_windows == 22


def test_what_does_not_go_together_is_refused(tagger):
    others = Songs(12)
    others.info = dataclasses.replace(others.info, labels=("a", "b"))
    with pytest.raises(ValueError, match=r"have 0 labels in common.*of the data alone: a, b"):
        mclf.evaluate(tagger, data=others)
    others.info = dataclasses.replace(others.info, sample_rate_hz=8000)
    with pytest.raises(ValueError, match="a source at 8000 Hz; it must be at 1000 Hz"):
        mclf.evaluate(tagger, data=others)
    with pytest.raises(ValueError, match="a tagger has no data of its own"):
        mclf.evaluate(tagger)
    with pytest.raises(ValueError, match="are for other data"):
        mclf.evaluate("run", synonyms={"a": "b"})
    with pytest.raises(ValueError, match="config and data_change are of the run's own data"):
        mclf.evaluate(tagger, data=Songs(12), data_change="allow")
    with pytest.raises(ValueError, match="split is 'valdi'; allowed: train, valid, test, all"):
        mclf.evaluate(tagger, data=Songs(12), split="valdi")


def test_folders_of_one_name_have_reports_of_their_own(tmp_path):
    info = dataclasses.replace(labelled([0, 1]).info, name="folder")
    places = []
    for parent in ("a", "b"):
        (tmp_path / parent / "songs").mkdir(parents=True)
        places.append(place_of(tmp_path / parent / "songs", info, None))
        assert places[-1] == place_of("folder", info, tmp_path / parent / "songs")
    assert mark_of(places[0], {}) == mark_of(places[0], {}) != mark_of(places[1], {})
    assert mark_of(places[0], {}) != mark_of(places[0], {"task": "multi_label"})
    named = dataclasses.replace(info, name="magnatagatune")
    assert place_of("mtat", named, tmp_path) == "" and mark_of("", {}) == ""
    assert len(mark_of("", {"subset": "medium"})) == 9


def test_splits_that_were_made_here_mean_nothing_to_a_model():
    splits = {"train": [0], "valid": [1], "test": [3, 2]}
    given = labelled([0, 1, 0, 1], splits=splits)
    made = labelled([0, 1, 0, 1], splits=splits, notes=("no splits given: made 70/15/15",))
    assert songs_of(given, None)[0] == "test" and songs_of(given, None)[1].tolist() == [2, 3]
    assert songs_of(made, None)[0] == "all" and songs_of(made, None)[1].tolist() == [0, 1, 2, 3]
    assert songs_of(made, "test")[1].tolist() == [2, 3]
    folder = dataclasses.replace(given.info, name="folder")
    assert name_of(".", folder, None) == Path.cwd().name
    unknown = labelled([[np.nan, np.nan], [1, np.nan]], splits={"test": [0, 1]})
    assert songs_of(unknown, None)[1].tolist() == [1]


def test_command_line(tmp_path, capsys):
    """An exported file of tags on a folder with a label for each song, by synonyms."""
    draw = np.random.default_rng(0)
    for label in ("Bass", "treble", "drums"):
        (tmp_path / "songs" / label).mkdir(parents=True)
        for k in range(2):
            noise = 0.1 * draw.standard_normal(1200)
            soundfile.write(tmp_path / "songs" / label / f"{k}.wav", noise, 1000)
    (tmp_path / "songs" / "drums" / "bad.wav").write_bytes(b"no sound")
    bundle = small_bundle(labels=("low", "high", "bass"), thresholds={"high": 0.25})
    write_archive(bundle, tmp_path / "tagger.mclf")
    (tmp_path / "names.toml").write_text('low = "bass"\nhigh = "treble"\n')
    words = ["evaluate", tmp_path / "tagger.mclf", "--data", tmp_path / "songs"]
    words += ["--synonyms", tmp_path / "names.toml", "--config.eval.num_windows=3"]
    words += ["--config.eval.metrics=('lwlrap',)"]
    assert cli.main(list(map(str, words))) == 0
    said = capsys.readouterr().out
    assert "6 songs, 18 windows of split all of songs" in said
    assert "over 2 labels that both have" in said
    assert "1 songs skipped, such as drums/bad.wav: " in said
    assert "1 labels of the data alone: drums" in said
    assert "intervals: 1,000 draws of 6 songs" in said
    report, page = map(Path, said.splitlines()[-2:])
    assert report.parent == page.parent and report.parent.name.startswith("songs-")
    shown = Page(page.read_text(encoding="utf-8")).text
    for each in ("Model and data", "1 labels of the data alone: drums", "0.250", "Who fails"):
        assert each in shown, each
    found = json.loads(report.read_text())
    assert found["metrics"]["lwlrap"] > 0
    assert found["task"] == "multi_label" and found["labels"] == ["Bass", "treble"]
    assert [found["per_label"][name]["support"] for name in found["labels"]] == [2, 2]
    for more, why in (
        (
            ["--config.seed=1"],
            "--data only eval.num_windows, eval.hop_s, eval.metrics may be",
        ),
        (["--option", "task=3x", "split=1"], "--option split=1: folder takes"),
        (["--config.data.args.path=elsewhere"], "and path is elsewhere: leave one of them out"),
        (["--out", __file__, "--data", "nothing"], "which is there and no folder"),
        (["--allow-data-change"], "--allow-data-change is of the run's own data"),
    ):
        assert cli.main([*map(str, words), *more]) == 1
        assert why in capsys.readouterr().err
    assert cli.main(["evaluate", str(tmp_path / "tagger.mclf")]) == 1
    assert "has no data of its own: say which by --data" in capsys.readouterr().err
