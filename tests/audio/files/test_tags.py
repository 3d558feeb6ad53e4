"""Tags in a file's own metadata: they come, and nothing else of the file goes."""

import os
import stat

import numpy as np
import pytest
import soundfile

from mclf_jax.audio.files import tags as tags_lib
from mclf_jax.audio.files.errors import AudioError
from mclf_jax.audio.files.tags import write_tags
from tests.audio import broken

mutagen = pytest.importorskip("mutagen")
id3 = pytest.importorskip("mutagen.id3")

WORDS = ["rock/pop", "Caf\xe9 \u97f3\u697d"]
_CHANGE = tags_lib._change
KINDS = ["wav", "aiff", "flac", "ogg", "opus", "mp3"]


def written(folder, kind, *, title=None):
    """A file with a title and a field of somebody else."""
    path = folder / f"song.{kind}"
    path.write_bytes(broken.encoded(kind, duration_s=0.2))
    if title:
        file = mutagen.File(path)
        if file.tags is None:
            file.add_tags()
        if isinstance(file.tags, id3.ID3):
            file.tags.add(id3.TIT2(text=[title]))
            file.tags.add(id3.TDRC(text=["2020-05"]))  # which 2.3 has not
            file.tags.add(id3.TXXX(desc="mood", text=["calm"]))
        else:
            file.tags["title"] = [title]
            file.tags["mood"] = ["calm"]
        file.save()
    return path


def shown(path):
    """All metadata by what is said in them."""
    found = mutagen.File(path).tags or {}
    return {key: getattr(value, "text", value) for key, value in dict(found).items()}


def own(path):
    """The field of a file, as another program reads it."""
    found = shown(path)
    return found.get("TXXX:MCLF_TAGS", found.get("mclf_tags"))


@pytest.mark.parametrize("kind", KINDS)
def test_sound_and_other_metadata_stay(tmp_path, kind):
    path = written(tmp_path, kind, title="A song")
    path.chmod(0o640)
    sound, before = soundfile.read(path)[0], shown(path)
    assert write_tags(path, WORDS) == "written"
    assert own(path) == WORDS
    assert {k: v for k, v in shown(path).items() if "mclf_tags" not in k.lower()} == before
    np.testing.assert_array_equal(soundfile.read(path)[0], sound)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    content, changed = path.read_bytes(), path.stat()
    assert write_tags(path, WORDS) == "unchanged"
    same = path.stat()
    assert (same.st_ino, same.st_mtime_ns) == (changed.st_ino, changed.st_mtime_ns)
    assert write_tags(path, WORDS[::-1]) == "written" and own(path) == WORDS[::-1]
    assert write_tags(path, []) == "written" and shown(path) == before
    assert write_tags(path, []) == "unchanged" and path.read_bytes() != content
    assert os.listdir(tmp_path) == [path.name]


def test_mpeg4(tmp_path):
    pytest.importorskip("av")
    from tests.audio.files import containers

    path = tmp_path / "song.m4a"
    path.write_bytes(containers.encoded("aac.m4a", duration_s=0.3))
    file = mutagen.File(path)
    file["\xa9nam"] = ["A song"]
    file.save()
    assert write_tags(path, WORDS) == "written" and write_tags(path, WORDS) == "unchanged"
    found = mutagen.File(path).tags
    assert [bytes(w).decode() for w in found["----:com.apple.iTunes:MCLF_TAGS"]] == WORDS
    assert found["\xa9nam"] == ["A song"]
    assert write_tags(path, []) == "written"
    assert "----:com.apple.iTunes:MCLF_TAGS" not in mutagen.File(path).tags
    path = tmp_path / "song.wma"
    path.write_bytes(containers.encoded("wma.wma", duration_s=0.3))
    with pytest.raises(AudioError, match="song.wma: tags not written: a kind of file without a"):
        write_tags(path, WORDS)


def test_id3_keeps_its_version_and_what_only_that_has(tmp_path):
    path = written(tmp_path, "mp3")
    tags = id3.ID3()
    # A year of 2.3, which 2.4 has not, and two artists that 2.3 would part by "/".
    for frame in (id3.TYER(encoding=0, text="1999"), id3.TPE1(encoding=0, text=["AC/DC", "B"])):
        tags.add(frame)
    tags.save(path, v1=2, v2_version=3, v23_sep=None)
    old = path.read_bytes()
    v1 = b"TAG" + b"another title".ljust(125, b"\0")
    path.write_bytes(old[:-128] + v1)
    write_tags(path, WORDS)
    found = id3.ID3(path, translate=False, load_v1=False)
    assert found.version == (2, 3, 0)
    assert found["TYER"].text == ["1999"] and found["TPE1"].text == ["AC/DC", "B"]
    assert found["TXXX:MCLF_TAGS"].text == WORDS
    assert path.read_bytes()[-128:] == v1


def test_only_id3v1(tmp_path):
    path = written(tmp_path, "mp3")
    v1 = b"TAG" + b"A title".ljust(30, b"\0") + 92 * b"\0" + bytes([255, 0, 0])
    path.write_bytes(path.read_bytes() + v1)
    assert write_tags(path, WORDS) == "written" and write_tags(path, WORDS) == "unchanged"
    # Who sees ID3v2 looks no further.
    assert id3.ID3(path, load_v1=False)["TIT2"].text == ["A title"]
    assert path.read_bytes().endswith(v1)


def test_a_link_stays_one(tmp_path):
    path = written(tmp_path, "wav")
    link = tmp_path / "link.wav"
    link.symlink_to(path.name)
    assert write_tags(link, WORDS) == "written"
    assert link.is_symlink() and own(path) == WORDS


def _other_sound(path, tags):
    path.write_bytes(path.read_bytes()[:-5000])


def _title_lost(path, tags):
    _CHANGE(path, tags)
    file = mutagen.File(path)
    del file.tags["TIT2"]
    file.save()


def _dies(path, tags):
    path.write_bytes(b"half")
    raise KeyError("killed")


@pytest.mark.parametrize(
    "change, why",
    [(_other_sound, "sound otherwise"), (_title_lost, "be lost"), (lambda path, tags: None, "be")],
)
def test_what_would_harm_is_not_done(tmp_path, monkeypatch, change, why):
    path = written(tmp_path, "wav", title="A song")
    old = path.read_bytes()
    monkeypatch.setattr(tags_lib, "_change", change)
    with pytest.raises(AudioError, match=f"^{path}: tags not written: .*{why}"):
        write_tags(path, WORDS)
    assert path.read_bytes() == old and os.listdir(tmp_path) == [path.name]


def test_half_a_file_is_never_there(tmp_path, monkeypatch):
    path = written(tmp_path, "mp3", title="A song")
    old = path.read_bytes()
    monkeypatch.setattr(tags_lib, "_change", _dies)
    with pytest.raises(KeyError, match="killed"):
        write_tags(path, WORDS)
    assert path.read_bytes() == old and os.listdir(tmp_path) == [path.name]


def test_files_that_cannot_be_changed(tmp_path, monkeypatch):
    path = written(tmp_path, "flac")
    old = path.read_bytes()
    # As root is allowed everything.
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(AudioError, match="song.flac: tags not written: it may not be written to"):
        write_tags(path, WORDS)
    assert path.read_bytes() == old
    (tmp_path / "text.mp3").write_text("no song\n" * 99)
    for name, why in (("text.mp3", "tags not written"), ("none.mp3", "no such file")):
        with pytest.raises(AudioError, match=f"{name}: {why}"):
            write_tags(tmp_path / name, WORDS)


def test_damaged_files_are_tagged_or_left_alone(tmp_path):
    for folder in "ab":
        (tmp_path / folder).mkdir()
    broken.damaged_songs(tmp_path)
    for path in sorted(tmp_path.glob("?/*")):
        assert write_tags(path, WORDS) == "written", path  # sound is compared in there
        assert write_tags(path, WORDS) == "unchanged", path
