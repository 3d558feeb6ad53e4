"""Training shows the baseline beside the network, once, and never stops because of it."""

import shutil

from mclf_jax.train import train
from tests.tiny import tiny_config
from tests.train.runs import lines


def test_the_log_has_the_baseline_beside_the_network(tmp_path, capsys):
    config = tiny_config(eval__baseline="mfcc", train__num_steps=2, eval__every_steps=1)
    train(config, workdir=tmp_path / "run")
    said = capsys.readouterr().err
    (logged,) = lines(tmp_path / "run", "baseline")
    value = f"{logged['accuracy']:.4f}"
    assert logged["step"] == 0
    assert "MFCC and SVM, fitted on 16 songs in" in said
    assert said.count(f"(MFCC and SVM {value})") == 2
    assert f"MFCC and SVM {value}\n" in said

    # Of a run that goes on it is made anew where it is lost, and logged no second time.
    shutil.rmtree(tmp_path / "run" / "baseline")
    longer = tiny_config(eval__baseline="mfcc", train__num_steps=3, eval__every_steps=1)
    train(longer, workdir=tmp_path / "run", config_change="extend")
    assert len(lines(tmp_path / "run", "baseline")) == 1
    assert (tmp_path / "run" / "baseline" / "valid.json").is_file()


def test_songs_that_it_cannot_hear_do_not_stop_the_run(tmp_path, capsys, monkeypatch):
    def fail(*_, **__):
        raise ValueError("no labelled song of songs in valid could be read")

    monkeypatch.setattr("mclf_jax.train.beside.fit_baseline", fail)
    config = tiny_config(eval__baseline="mfcc", train__num_steps=2, eval__every_steps=2)
    assert train(config, workdir=tmp_path).status == "finished"
    assert "no baseline beside the network: no labelled song" in capsys.readouterr().err
    assert not lines(tmp_path, "baseline")
