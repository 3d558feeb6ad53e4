"""A command begins anew with memory in large pages, once, where there is something to compute."""

import os
import sys

import pytest

from mclf_jax.common.machine import memory

TUNABLES = "GLIBC_TUNABLES"


@pytest.fixture
def started(monkeypatch):
    """What `os.execve` was called with."""
    calls = []
    monkeypatch.delenv(TUNABLES, raising=False)
    monkeypatch.setattr(os, "execve", lambda *call: calls.append(call))
    monkeypatch.setattr(memory, "settings", lambda: "glibc.malloc.hugetlb=1")
    return calls


def test_a_command_begins_anew_with_large_pages(started):
    memory.take_large_pages(["train", "--config", "quickstart"])
    ((program, words, environment),) = started
    assert program == words[0] == sys.executable
    assert words[1:] == sys.orig_argv[1:]
    assert environment[TUNABLES] == "glibc.malloc.hugetlb=1"


@pytest.mark.parametrize("words", [[], ["--version"], ["train", "--help"], ["train", "-h"]])
def test_nothing_begins_anew_to_say_something_short(started, words):
    memory.take_large_pages(words)
    assert not started


def test_a_few_songs_are_over_before_large_pages_pay(started, tmp_path):
    run, folder = tmp_path / "run", tmp_path / "songs"
    songs = [tmp_path / f"{number}.wav" for number in range(5)]
    for path in (run, folder):
        path.mkdir()
    for path in songs:
        path.touch()
    memory.take_large_pages(["predict", "--top", "3", str(run), str(songs[0])])
    memory.take_large_pages(["predict", str(run), *map(str, songs[:4])])
    assert not started
    for more in ([folder], songs, [songs[0], "--hop-s", "1"], [songs[0], "--segments=a.txt"]):
        for network in (str(run), "small"):  # which comes with the library
            memory.take_large_pages(["predict", network, *map(str, more)])
    assert len(started) == 8


def test_it_goes_on_as_it_is_where_it_has_begun_anew_or_cannot(started, monkeypatch):
    monkeypatch.setenv(TUNABLES, "")
    memory.take_large_pages(["train"])
    monkeypatch.delenv(TUNABLES)
    monkeypatch.setattr(memory, "settings", lambda: "")
    memory.take_large_pages(["train"])
    assert not started


@pytest.mark.parametrize(
    "library, known", [("glibc 2.36", True), ("glibc 2.34", False), ("musl", False), (None, False)]
)
def test_only_a_glibc_that_knows_them_is_told_of_large_pages(monkeypatch, library, known):
    monkeypatch.setattr(os, "confstr", lambda name: library)
    assert ("glibc.malloc.hugetlb=1" in memory.settings()) == known


@pytest.mark.parametrize("cores, one", [(2, True), (64, False)])
def test_many_threads_keep_arenas_of_their_own(monkeypatch, cores, one):
    monkeypatch.setattr(os, "confstr", lambda name: "glibc 2.36")
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    assert ("arena_max" in memory.settings()) == one
