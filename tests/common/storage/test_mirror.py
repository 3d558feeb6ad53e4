"""A copy and its storage, however they came apart."""

import threading

import fsspec
import pytest

from mclf_jax.common.storage import tries, working
from mclf_jax.common.storage.mirror import Mirror
from mclf_jax.common.storage.tries import StorageError
from tests.common.storage import memory


@pytest.fixture
def machines(tmp_path, monkeypatch):
    """`on(name, url)`: the mirror of a URL on a machine with a disk of its own."""
    monkeypatch.setattr(tries, "_FIRST_WAIT_S", 0)

    def on(name, url):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / name))
        mirror = Mirror(url)
        mirror.pull()
        return mirror

    return on


def write(mirror, **texts):
    for name, text in texts.items():
        path = mirror.folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def read(mirror):
    return {name: (mirror.folder / name).read_text() for name in mirror.here()}


def test_what_one_machine_wrote_another_reads(machines):
    url = memory.new_url()
    a = machines("a", url)
    write(a, config="1", checkpoints__5="old", _hidden="x")
    (a.folder / ".lock").touch()
    (a.folder / "6.orbax-checkpoint-tmp").write_text("half")
    assert a.push() == 3 and a.push() == 0
    assert memory.names(url) == ["_hidden", "checkpoints/5", "config", "mirror.json"]
    b = machines("b", url)
    assert read(b) == {"config": "1", "checkpoints/5": "old", "_hidden": "x"}
    write(b, config="2", checkpoints__10="new")
    (b.folder / "checkpoints" / "5").unlink()
    b.push()
    a.pull()
    assert read(a) == {"config": "2", "checkpoints/10": "new", "_hidden": "x"}
    write(b, other__5="x")
    b.push()
    (b.folder / "other" / "5").unlink()
    a.pull()
    b.push()
    a.pull()
    assert not (a.folder / "other").exists()


def test_what_had_not_come_there_is_kept_and_sent(machines):
    url = memory.new_url()
    a = machines("a", url)
    write(a, config="1")
    a.push()
    write(a, config="2", more="3")
    a.pull()
    assert read(a) == {"config": "2", "more": "3"} and a.push() == 2


def test_a_push_that_was_cut_off_counts_for_nothing(machines, monkeypatch):
    url = memory.new_url()
    a = machines("a", url)
    write(a, config="1", checkpoints__5="old")
    a.push()
    write(a, checkpoints__10="new")
    (a.folder / "checkpoints" / "5").unlink()
    with monkeypatch.context() as killed:
        killed.setattr(a._fs, "pipe_file", lambda *a: 1 / 0)
        with pytest.raises(StorageError):
            a.push()
    assert "checkpoints/10" in memory.names(url)
    assert read(machines("b", url)) == {"config": "1", "checkpoints/5": "old"}
    assert a.push() == 2  # whoever was cut off goes on
    assert "checkpoints/5" not in memory.names(url)


def test_of_two_that_write_the_second_is_refused(machines, recwarn):
    url = memory.new_url()
    a, b = machines("a", url), machines("b", url)
    write(a, config="of a")
    a.push(claim="always")
    write(b, config="of b", more="of b")
    with pytest.raises(StorageError, match="another process has written to"):
        b.push()
    b.pull()
    assert read(b) == {"config": "of a"}
    write(b, config="of b again")
    write(a, config="of a again")
    b.push()
    assert not recwarn.list
    with pytest.warns(UserWarning, match="1 newer files of .* give way"):
        a.pull()
    assert read(a) == {"config": "of b again"}


def test_a_report_stops_nobody_who_trains(machines):
    url = memory.new_url()
    a = machines("a", url)
    write(a, config="1")
    a.push(claim="always")
    machines("b", url)
    with working.copied("run", url) as copy:
        (copy / "report").write_text("of 5")
    write(a, checkpoints__5="x")
    assert a.push() == 1
    expected = {"config": "1", "report": "of 5", "checkpoints/5": "x"}
    assert read(machines("c", url)) == expected
    a.pull()
    assert read(a) == expected
    with working.copied("run", url) as copy:
        (copy / "report").write_text("of 10")
    write(a, checkpoints__10="y")
    a.push()
    a.pull()
    assert read(a) == expected | {"report": "of 10", "checkpoints/10": "y"}
    # Nor does it put back what was there before.
    with pytest.raises(StorageError, match="another process"), working.copied("run", url) as copy:
        (copy / "report").write_text("of 5 again")
        write(a, checkpoints__15="z")
        a.push()
    assert fsspec.filesystem("memory").cat_file(f"{url}/report") == b"of 10"


def test_what_was_put_there_by_hand_is_read_and_what_is_removed_forgotten(machines, tmp_path):
    url = memory.new_url()
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "config").write_text("1")
    memory.put(tmp_path / "d", url)
    a = machines("a", url)
    assert read(a) == {"config": "1"}
    assert Mirror(f"{url}/config").pull().read_text() == "1"  # one file
    write(a, more="2")
    assert a.push() == 1
    fsspec.filesystem("memory").rm(url, recursive=True)
    a.pull()
    assert read(a) == {}


def test_damaged_notes_lose_nothing(machines):
    url = memory.new_url()
    a = machines("a", url)
    write(a, config="1")
    a.push()
    for damage in ("", "[]", '{"token": 1}'):
        (a.folder / ".mirror.json").write_text(damage)
        a.pull()
        assert read(a) == {"config": "1"} and a.push() == 0
    fsspec.filesystem("memory").pipe_file(f"{url}/mirror.json", b"{}")
    with pytest.raises(StorageError, match="mirror.json is damaged; remove it"):
        a.pull()


def test_names_that_lead_elsewhere_are_not_written(machines):
    url = memory.new_url()
    fs = fsspec.filesystem("memory")
    fs.pipe_file(f"{url}/config", b"1")
    fs.store[fs._strip_protocol(url) + "/../../outside"] = fs.store[
        fs._strip_protocol(url) + "/config"
    ]
    try:
        assert read(machines("a", url)) == {"config": "1"}
    finally:
        del fs.store[fs._strip_protocol(url) + "/../../outside"]


def test_a_checkpoint_is_sent_once_it_is_whole(machines, capsys):
    url = memory.new_url()
    with working.run_folder(url) as place:
        place.claim()
        folder = place.path / "checkpoints" / "5"
        place.after_save(folder)
        timer = threading.Timer(0.1, lambda: folder.mkdir(parents=True))
        (place.path / "config").write_text("1")
        timer.start()
        place.before_save()
        assert "config" in memory.names(url)
        (place.path / "late").write_text("2")
        place.after_save(place.path / "never")
    assert "late" in memory.names(url)
    assert f"{url} is up to date; its copy is" in capsys.readouterr().err


def test_training_goes_on_without_the_storage(machines, monkeypatch, capsys):
    url = memory.new_url()

    def unreachable(*arguments):
        raise ConnectionError("no route")

    with working.run_folder(url) as place:
        fs = fsspec.filesystem("memory", use_listings_cache=False)
        (place.path / "config").write_text("1")
        with monkeypatch.context() as away:
            away.setattr(type(fs), "put_file", unreachable)
            place.after_save(place.path)
            place.before_save()
    told = capsys.readouterr().err
    assert "(ConnectionError: no route)" in told and "the next checkpoint is sent again" in told
    assert "tried again, " in told and " given up" in told
    assert "config" in memory.names(url)
    monkeypatch.setattr(type(fs), "put_file", unreachable)
    with (
        pytest.raises(StorageError, match="the run is on this disk until then: .*run-"),
        working.run_folder(url) as place,
    ):
        (place.path / "config").write_text("2")


def test_functions_take_paths_that_are_there(machines):
    url = memory.new_url()
    a = machines("a", url)
    write(a, config="1")
    a.push()

    @working.on_storage("run", "runs")
    def note(run, *, runs=()):
        for one in (run, *runs):
            (one / "note").write_text((one / "config").read_text())

    note(url, runs=[url])
    assert "note" in memory.names(url)
    note(a.folder)
    with pytest.raises(FileNotFoundError, match="run is memory://.*; nothing is there"):
        note(memory.new_url())
