"""mirdata: what its loaders give becomes items; the real package where it is installed."""

import json
import sys
import types

import pytest

from mclf_jax import data
from mclf_jax.data.readers import mirdata as reader
from tests.data.readers.trees import by_split, write_tone


class Track:
    """The interface of `mirdata.core.Track` 1.0: plain attributes, and properties read late."""

    def __init__(self, track_id, home, row):
        self.track_id, self._row = track_id, row
        self.audio_path = str(home / row["file"]) if row.get("file") else None
        self.title = f"Title {track_id}"
        for name in ("genre", "artist", "split"):
            if name in row:
                setattr(self, name, row[name])

    @property
    def tags(self):
        return self._row["tags"]

    @property
    def tempo(self):
        return self._row["tempo"]

    @property
    def mood(self):
        raise FileNotFoundError("no such annotation")


class Dataset:
    version, bibtex, _license_info = "1.0", "@article{x}", "CC BY 4.0"

    def __init__(self, home, rows):
        self.data_home, self._rows = str(home), rows
        self.home = home

    @property
    def track_ids(self):
        if self._rows is None:
            raise FileNotFoundError("This dataset's index must be downloaded.")
        return list(self._rows)

    def track(self, track_id):
        return Track(track_id, self.home, self._rows[track_id])


@pytest.fixture
def home(tmp_path, monkeypatch):
    rows = {}
    for i in range(8):
        row = {"genre": "ab"[i % 2], "artist": f"artist {i // 2}", "tags": ["x", "y"][: i % 3]}
        row |= {"tempo": 100.0 + i, "file": f"{i}.wav"}
        rows[f"t{i}"] = row
        write_tone(tmp_path / f"{i}.wav", tone_hz=200 + 20 * i)
    rows["t8"] = {"genre": "a", "artist": "artist 9", "tags": None, "tempo": None, "file": None}
    rows["t9"] = {"genre": "a", "artist": "artist 9", "tags": [], "tempo": 1.0, "file": "gone.wav"}
    module = types.ModuleType("mirdata")
    module.list_datasets = lambda: ["fake", "empty"]
    sets = {"fake": Dataset(tmp_path, rows), "empty": Dataset(tmp_path, None)}
    module.initialize = lambda name, data_home=None, version="default": sets[name]
    monkeypatch.setitem(sys.modules, "mirdata", module)
    return tmp_path


def test_words_tags_and_numbers(home):
    found = data.catalogue("mirdata", path=home, loader="fake")
    assert found.task == "single_label" and len(found.items) == 8
    assert found.items[0].labels == ("a",) and found.items[0].group == "artist 0"
    assert found.items[0].columns["title"] == "Title t0"
    assert dict(found.skipped) == {"t8": "mirdata has no audio_path of it", "t9": "no such file"}
    assert (found.facts.licence, found.facts.citation) == ("CC BY 4.0", "@article{x}")
    assert "labels are genre, groups artist" in " ".join(found.notes)
    tags = reader.catalogue(home, loader="fake", label="tags", group="")
    assert tags.task == "multi_label" and tags.items[2].labels == ("x", "y")
    assert not tags.items[0].is_labelled and tags.items[2].group == ""
    tempo = reader.catalogue(home, loader="fake", label="tempo")
    assert (tempo.task, tempo.labels, tempo.items[3].values) == ("regression", ("tempo",), (103.0,))
    assert not any(i.is_labelled for i in reader.catalogue(home, loader="fake", label="mood").items)


def test_it_opens_as_every_data_set(home):
    source = data.build("mirdata", sample_rate_hz=8000, path=home, loader="fake")
    assert source.info.name == "mirdata" and source.info.labels == ("a", "b")
    assert source.info.group_kind == "artist" and source.num_samples(0) == 4000


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loader": "nothing"}, "loader is 'nothing'; mirdata has fake, empty"),
        (
            {"loader": "fake", "label": "key"},
            "label is 'key', which tracks have not; there",
        ),
        ({"loader": "empty"}, "index must be downloaded. Once, in Python: mirdata.initialize"),
    ],
)
def test_what_is_missing_is_said(home, options, message):
    with pytest.raises(ValueError, match=message):
        reader.catalogue(home, **options)


def test_without_the_package_it_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "mirdata", None)
    with pytest.raises(ValueError, match=r"pip install 'mclf-jax\[mirdata\]'"):
        reader.catalogue(loader="gtzan_genre")


def test_the_real_package(tmp_path):
    """Of two genres, with an index as mirdata distributes it."""
    mirdata = pytest.importorskip("mirdata")
    names = [f"{genre}.0000{i}" for genre in ("jazz", "rock") for i in range(4)]
    for name in names:
        write_tone(tmp_path / "genres" / f"{name}.wav")
    tracks = {name: {"audio": [f"genres/{name}.wav", ""], "beats": [None, None]} for name in names}
    tracks = {name: {**paths, "tempo": [None, None]} for name, paths in tracks.items()}
    opened = mirdata.initialize("gtzan_genre", data_home=str(tmp_path))
    index = tmp_path / "index.json"
    index.write_text(json.dumps({"version": "1.0", "tracks": tracks}))
    with pytest.MonkeyPatch.context() as patch:
        opened.index_path = str(index)
        patch.setattr(mirdata, "initialize", lambda *a, **k: opened)
        found = reader.catalogue(tmp_path, loader="gtzan_genre")
    assert found.task == "single_label" and by_split(found) == {"": 8}
    assert [item.labels for item in found.items] == [("jazz",)] * 4 + [("rock",)] * 4
