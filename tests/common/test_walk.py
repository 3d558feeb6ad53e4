"""One walk for all commands: nothing twice, nothing that is no song, nothing that stops it."""

import os
import socket

import pytest

from mclf_jax.common import walk


def _make(root, *names):
    for name in names:
        path = os.path.join(os.fsencode(root), os.fsencode(name))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(b"x")


def _found(root, suffixes=(".wav",)):
    skipped = []
    found = list(walk.files(root, suffixes=suffixes, skipped=skipped))

    def below(path):
        return walk.shown(os.path.relpath(path, root))

    return [below(path) for path in found], {below(path): reason for path, reason in skipped}


def test_names_are_in_order_and_of_any_case(tmp_path):
    _make(tmp_path, "b/2.wav", "b/10.WAV", "a.wav", "b.txt", "c/d/e/f.Wav", "wav", "x.wav.part")
    assert _found(tmp_path) == (["a.wav", "b/10.WAV", "b/2.wav", "c/d/e/f.Wav"], {})


@pytest.mark.parametrize(
    "name",
    [
        ".git/x/0.wav",
        ".hidden.wav",
        "._0.wav",
        "a/.AppleDouble/0.wav",
        "__MACOSX/a/0.wav",
        "$RECYCLE.BIN/0.wav",
        "$Recycle.Bin/0.wav",
        "System Volume Information/0.wav",
        "a/@eaDir/0.wav",
        ".Trash-1000/files/0.wav",
        "lost+found/0.wav",
    ],
)
def test_hidden_and_system_names_are_no_songs(tmp_path, name):
    _make(tmp_path, "a/1.wav", name)
    assert _found(tmp_path) == (["a/1.wav"], {})


def test_a_hidden_folder_that_is_asked_for_is_read(tmp_path):
    _make(tmp_path, ".cache/songs/1.wav")
    assert _found(tmp_path / ".cache") == (["songs/1.wav"], {})


def test_links_are_followed_and_loops_end(tmp_path):
    root = tmp_path / "songs"
    _make(root, "rock/1.wav", "jazz/1.wav")
    _make(tmp_path, "elsewhere/deep/2.wav", "single.wav")
    (root / "rock" / "more").symlink_to("../../elsewhere")
    (root / "rock" / "up").symlink_to("..")
    (root / "rock" / "itself").symlink_to("itself")
    (root / "jazz" / "again").symlink_to(tmp_path / "elsewhere")  # once is enough
    (root / "jazz" / "3.wav").symlink_to(tmp_path / "single.wav")
    (tmp_path / "elsewhere" / "back").symlink_to(root)
    found, skipped = _found(root)
    assert found == ["jazz/1.wav", "jazz/3.wav", "rock/1.wav", "jazz/again/deep/2.wav"]
    assert not any("itself" in name and not reason for name, reason in skipped.items())


def test_what_is_really_below_keeps_its_place(tmp_path):
    _make(tmp_path, "z/1.wav")
    (tmp_path / "a").symlink_to("z")
    assert _found(tmp_path) == (["z/1.wav"], {})


def test_what_is_no_file_is_listed_and_not_opened(tmp_path):
    _make(tmp_path, "1.wav")
    os.mkfifo(tmp_path / "pipe.wav")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "gone.wav").symlink_to("nowhere.wav")
    (tmp_path / "gone.txt").symlink_to("nowhere.txt")
    (tmp_path / "null.wav").symlink_to("/dev/null")
    with socket.socket(socket.AF_UNIX) as endpoint:
        endpoint.bind(os.fspath(tmp_path / "s.wav"))
        found, skipped = _found(tmp_path)
    assert found == ["1.wav"]
    assert skipped == {
        "gone.wav": "a link to nothing (No such file or directory)",
        "null.wav": "a device, not a file",
        "pipe": "a named pipe (fifo), not a file",
        "pipe.wav": "a named pipe (fifo), not a file",
        "s.wav": "a socket, not a file",
    }


def test_a_folder_that_cannot_be_read_is_listed(tmp_path, monkeypatch):
    _make(tmp_path, "a/1.wav", "b/2.wav", "c/3.wav")
    scandir = os.scandir

    def refusing(path):
        if os.path.basename(path) == "b":
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(walk.os, "scandir", refusing)
    assert _found(tmp_path) == (
        ["a/1.wav", "c/3.wav"],
        {"b": "the folder cannot be read (Permission denied)"},
    )


ODD = [
    b"caf\xe9.wav",
    b"\xff\xfe.wav",
    "cafe\u0301.wav".encode(),
    "caf\u00e9.wav".encode(),
    "\U0001f468\u200d\U0001f3a4.wav".encode(),
    b"new\nline.wav",
    b"tab\t.wav",
    b"-rf.wav",
    b"--top.wav",
    b" .wav",
    b"a'b\"c;$(x)`.wav",
    b"=1+1.wav",
    b"x" * 251 + b".wav",
    b"back\\slash.wav",
]


@pytest.mark.parametrize("name", ODD)
def test_odd_names(tmp_path, name):
    _make(tmp_path, name)
    (found,) = walk.files(tmp_path, suffixes=(".wav",))
    assert os.fsencode(found) == os.path.join(os.fsencode(tmp_path), name)
    text = walk.shown(found)
    text.encode()  # whatever is written takes it
    assert "\n" not in text
    if name.decode(errors="ignore").encode() == name and name.decode().isprintable():
        assert text == found


def test_shown_says_the_bytes():
    assert walk.shown(os.fsdecode(b"a/caf\xe9\n.wav")) == "a/caf\\xe9\\n.wav"
