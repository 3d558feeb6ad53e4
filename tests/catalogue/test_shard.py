"""Songs of a shard: bad ones cost themselves, storage that fails is waited for."""

import collections
import os
import time

import jax
import pytest

from mclf_jax.audio.decode import AudioError
from mclf_jax.catalogue import shard


class Tagger:
    """Says of each path what `answers` has for it, one after the other, the last one for ever."""

    def __init__(self, **answers):
        self.answers = {f"{name}.wav": list(each) for name, each in answers.items()}
        self.asked = collections.Counter()

    def hear_files(self, paths):
        for path in paths:
            self.asked[path] += 1
            answers = self.answers.get(path, ["good"])
            answer = answers.pop(0) if len(answers) > 1 else answers[0]
            if isinstance(answer, Exception):
                raise answer
            if answer == "good":
                yield {"path": path, "duration_s": 1.0, "embedding": [0.0]}
            else:
                yield {"path": path, "error": AudioError(path, answer)}


@pytest.fixture
def pauses(monkeypatch):
    found = []
    monkeypatch.setattr(time, "sleep", found.append)
    return found


PATHS = ["a.wav", "b.wav", "c.wav"]


def test_a_song_that_fails_is_tried_again_with_a_limit(pauses):
    tagger, done = Tagger(a=["torn", "good"], c=["torn", "cut off"]), []
    heard = shard.hear(tagger, PATHS, retries=2, after_each=lambda: done.append(1))
    assert list(heard) == PATHS and heard["a.wav"]["duration_s"] == 1.0
    assert heard["c.wav"] == {"reason": "cut off"}
    assert tagger.asked == {"a.wav": 2, "b.wav": 1, "c.wav": 3} and len(done) == 3
    assert pauses == []  # neither is there at all


def test_storage_that_fails_gets_time(pauses, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for name in PATHS:
        (tmp_path / name).write_bytes(b"x")

    def fails(self, *args, **how):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(shard.Path, "open", fails)
    shard.hear(Tagger(a=["torn"]), PATHS, retries=3)
    assert pauses == [1, 2, 4]


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.wav")
    assert not shard._storage_fails(str(tmp_path / "pipe.wav"))


def test_a_decoder_that_fails_costs_one_song(pauses):
    tagger = Tagger(b=[KeyError("header")])
    heard = shard.hear(tagger, PATHS, retries=0)
    assert heard["b.wav"] == {"reason": "its decoder failed (KeyError: 'header')"}
    assert all("reason" not in heard[path] for path in ("a.wav", "c.wav"))
    assert tagger.asked == {"a.wav": 1, "b.wav": 2, "c.wav": 1}


def test_a_network_that_fails_is_no_fault_of_a_song(pauses):
    with pytest.raises(jax.errors.JaxRuntimeError, match="out of memory"):
        shard.hear(Tagger(b=[jax.errors.JaxRuntimeError("out of memory")]), PATHS, retries=2)
