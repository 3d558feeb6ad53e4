"""Runs on object storage: sent after each checkpoint, and gone on with on another machine."""

import contextlib
import json

import numpy as np
import pytest

from mclf_jax.cli.main import main
from mclf_jax.common.storage.mirror import Mirror
from mclf_jax.common.storage.tries import StorageError
from mclf_jax.export.collect import bundle_of
from mclf_jax.run import checkpoint
from mclf_jax.train.loop import train
from tests.common.storage import memory
from tests.tiny import final_arrays, tiny_config


def test_another_machine_goes_on_as_one_would(tmp_path, straight, monkeypatch):
    url, save = memory.new_url(), checkpoint.save

    def killed(checkpoints, step, **arguments):
        if step == 15:
            checkpoints.before_save()
            # A kill leaves no time for what is done at the end.
            context.setattr(Mirror, "push", lambda self, **how: 0)
            raise KeyboardInterrupt
        save(checkpoints, step, **arguments)

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "a"))
    with monkeypatch.context() as context, pytest.raises(KeyboardInterrupt):
        context.setattr(checkpoint, "save", killed)
        train(tiny_config(), workdir=url)
    sent = {name.split("/")[2] for name in memory.names(url) if "checkpoints/latest/" in name}
    assert sent == {"5", "10"}
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "b"))
    outcome = train(tiny_config(), workdir=url)
    assert outcome == straight[1]
    copy = Mirror(url).folder
    assert str(copy).startswith(str(tmp_path / "b"))
    for a, b in zip(final_arrays(copy), final_arrays(straight[0]), strict=True):
        np.testing.assert_array_equal(a, b)
    progress = json.loads((copy / "checkpoints/latest/20/progress/metadata").read_text())
    assert progress["songs"] == 20 * 8
    # The first machine, which had come further than it had sent, hears of the second.
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "a"))
    with pytest.warns(UserWarning, match="has been written to elsewhere since"):
        assert train(tiny_config(), workdir=url) == outcome


def test_a_run_there_and_a_checkpoint_are_used_like_a_run(straight):
    workdir, outcome = straight
    url = memory.new_url()
    memory.put(workdir, url)
    assert bundle_of(url).about["step"] == outcome.best_step
    assert bundle_of(workdir / "checkpoints" / "latest" / "15").about["step"] == 15
    with pytest.raises(ValueError, match="no checkpoint of step 7; there are those of steps"):
        bundle_of(workdir / "checkpoints" / "latest" / "7")


def test_of_two_that_train_one_run_the_first_ends(tmp_path, monkeypatch):
    url = memory.new_url()

    class Intruder:
        def after_evaluation(self, step, state, values):
            while step == 10:  # until none of the other comes between
                other.pull()
                with contextlib.suppress(StorageError):
                    other.push(claim="always")
                    break

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "b"))
    other = Mirror(url)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "a"))
    with pytest.raises(StorageError, match="another process has written to"):
        train(tiny_config(), workdir=url, callbacks=[Intruder()])


@pytest.mark.parametrize(
    "words, told",
    [
        (
            ("train", "--config", "quickstart", "--workdir", "az://b/run"),
            "workdir is az://b/run; a",
        ),
        (("train", "--config", "quickstart", "--workdir", "gs:/b/run"), "with one slash"),
        (("sweep", "--config", "quickstart", "--workdir", "s3://b/x"), "workdir is s3://b/x; it"),
        (("export", "run", "--out", "s3://b/x.mclf"), "out is s3://b/x.mclf; it must be on a d"),
        (("predict", "run", "s3://b/song.mp3"), "s3://b/song.mp3; it must be on a disk: copy it"),
        (("data", "prepare", "folder", "--from", "s3://b/x", "--out", "y"), "path is s3://b/x; it"),
    ],
)
def test_what_cannot_be_there_is_refused_at_once(words, told, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 1
    err = capsys.readouterr().err
    assert told in err and err.count("\n") == 1
    assert not list(tmp_path.iterdir())
