"""A run that was trained beside words: asked for any of them, judged, exported."""

import json
import re

import numpy as np
import pytest
import soundfile
from ml_collections import ConfigDict

import mclf_jax as mclf
from mclf_jax.cli import main as cli
from mclf_jax.run.directory import read_config
from mclf_jax.train import train
from tests.small_run import write_run
from tests.songs import RATE_HZ
from tests.tiny import tiny_config


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    config = tiny_config(objective__name="clap", train__num_steps=2, eval__every_steps=2)
    encoder_args = {"n_channels": 2, "num_blocks": 1, "dropout_rate": 0.0}
    sizes = {"hidden_size": 8, "dim": 4, "text_size": 16}
    config.model.name = "two_towers"
    config.model.args = ConfigDict({"encoder_args": encoder_args, **sizes})
    config.optim.ema_decay = 0.0
    workdir = tmp_path_factory.mktemp("runs") / "words"
    train(config, workdir=workdir)
    return workdir


@pytest.fixture(scope="module")
def song(tmp_path_factory):
    path = tmp_path_factory.mktemp("songs") / "song.wav"
    noise = 0.3 * np.random.default_rng(0).standard_normal(2 * RATE_HZ)
    soundfile.write(path, noise, RATE_HZ)
    return str(path)


def test_any_words_can_be_asked_for(run, song, tmp_path, capsys):
    tagger = mclf.load(run, words=("slow piano", "sad"))
    scores = tagger.predict(song)
    assert tuple(scores) == tagger.labels == ("slow piano", "sad")
    assert all(0 < score < 1 for score in scores.values())
    # Each by itself, so that what else is asked for makes no difference.
    assert mclf.load(run, words=["sad"]).predict(song)["sad"] == pytest.approx(scores["sad"])
    assert tagger.identity != mclf.load(run, words=("slow piano", "gay")).identity
    given = ["--words", "slow piano, sad", "high", "--format", "json"]
    assert cli.main(["predict", str(run), song, *given]) == 0
    said = json.loads(capsys.readouterr().out)["scores"]
    assert said["sad"] == pytest.approx(scores["sad"]) and len(said) == 3
    with pytest.raises(ValueError, match="has no labels of its own: say what to look for, --words"):
        mclf.load(run).predict(song)


def test_the_labels_of_the_data_are_asked_for_when_nothing_is_said(run, capsys):
    report = mclf.evaluate(run)
    assert report.labels == ("low", "high") and report.task == "single_label"
    assert set(report.metrics) >= {"accuracy", "roc_auc_macro"} and len(report.items) == 4
    assert cli.main(["evaluate", str(run), "--words", "high,low", "--split", "valid"]) == 0
    assert "accuracy" in capsys.readouterr().out
    assert (run / "report" / "valid.json").is_file()
    with pytest.raises(ValueError, match="have 1 labels in common, and it takes 2"):
        mclf.evaluate(run, words=("high", "sad"))


def test_a_catalogue_is_searched_by_words(run, tmp_path, capsys):
    pytest.importorskip("pyarrow")
    draw, songs = np.random.default_rng(1), []
    for i in range(4):
        songs.append(str(tmp_path / f"{i}.wav"))
        soundfile.write(songs[-1], 0.1 * (i + 1) * draw.standard_normal(2 * RATE_HZ), RATE_HZ)
    folder = str(tmp_path / "catalogue")
    assert cli.main(["catalogue", str(run), *songs, "--out", folder, "--num-windows", "1"]) == 0
    tagger = mclf.load(run, words=("slow piano", "sad"), num_windows=1)
    scores = {song: tagger.predict(song) for song in songs}
    few = {song for song in songs if scores[song]["sad"] >= 0.5}
    asked = "sad" if few else "not sad"
    capsys.readouterr()
    assert cli.main(["search", folder, "--words", asked, "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["found"], found["of"]) == (len(few or songs), 4)
    for song in found["songs"]:
        assert song["scores"]["sad"] == pytest.approx(scores[song["path"]]["sad"], abs=1e-5)
    certain = [song["score"] for song in found["songs"]]
    assert certain == sorted(certain, reverse=True) and min(certain) >= 0.5
    either = [mclf.search(folder, words=[f"{no}slow piano"])["found"] for no in ("", "not ")]
    assert sum(either) == 4
    for words, said in ((" , ", "words is empty"), ("sad,not sad", "no song can be")):
        with pytest.raises(ValueError, match=said):
            mclf.search(folder, words=words)
    with pytest.raises(ValueError, match="search for tags or for words: give one"):
        mclf.search(folder)
    layer = ["--num-windows", "1", "--layer", "tower"]
    assert cli.main(["catalogue", str(run), songs[0], "--out", f"{folder}2", *layer]) == 0
    with pytest.raises(ValueError, match="embeddings of the layer 'tower', which words are not"):
        mclf.search(f"{folder}2", words="sad")


@pytest.mark.slow
def test_files_carry_both_towers_or_what_is_asked_for(run, song, tmp_path, capsys):
    whole, asking = tmp_path / "words.mclf", tmp_path / "sad.mclf"
    assert cli.main(["export", str(run), "--out", str(whole)]) == 0
    assert "SONG.mp3 --words" in capsys.readouterr().out
    assert cli.main(["export", str(run), "--words", "sad", "--out", str(asking)]) == 0
    expected = mclf.load(run, words=("sad",)).predict(song)["sad"]
    assert mclf.load(whole, words=("sad",)).predict(song)["sad"] == pytest.approx(expected)
    assert mclf.load(asking).predict(song)["sad"] == pytest.approx(expected, abs=1e-5)
    assert cli.main(["export", str(run), "--out", str(tmp_path / "words.onnx")]) == 1
    assert "--to onnx has no text tower: say now what" in capsys.readouterr().err


def test_runs_without_words_say_so(tmp_path, song, capsys):
    noise = np.random.default_rng(0).standard_normal((4, 500)).astype(np.float32)
    run = write_run(tmp_path / "tags", noise)
    for command in (["predict", run, song], ["evaluate", run]):
        assert cli.main([*command, "--words", "sad"]) == 1
        assert "knows no others than the labels that it has learnt" in capsys.readouterr().err
    assert cli.main(["predict", run, song, "--words", ","]) == 1
    assert "--words is empty; say what to look for" in capsys.readouterr().err


@pytest.mark.slow
def test_the_audio_tower_may_have_learnt_before(run, tmp_path):
    before = tmp_path / "tags"
    model = {"n_channels": 2, "num_blocks": 1, "dropout_rate": 0.0}
    config = tiny_config(train__num_steps=1, eval__every_steps=1)
    config.model.args = ConfigDict(model)
    train(config, workdir=before)
    config = read_config(run)
    config.init.path = str(before)
    config.train.num_steps = config.eval.every_steps = 1
    train(config, workdir=tmp_path / "words")
    told = (tmp_path / "words" / "init.txt").read_text()
    assert "short_chunk_cnn, supervised, step 1" in told
    assert re.search(r"\n  tower +114 +22 +loaded\n", told)
