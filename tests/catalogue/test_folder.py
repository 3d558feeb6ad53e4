"""The folder of a catalogue: stable shards, and refusals of what is not of it."""

import json
import sys

import pytest

from mclf_jax.catalogue.folder import begin, open_catalogue
from mclf_jax.common.storage import places
from tests.catalogue.made import NETWORK, network

PATHS = [f"/songs/{name}.wav" for name in ("b", "a", "d", "caf\udce9", "line\nend")]


def test_shards_are_the_same_whatever_the_order(tmp_path):
    first = begin(tmp_path / "one", PATHS, network=NETWORK, songs_per_shard=2)
    again = begin(tmp_path / "two", PATHS[::-1] + PATHS, network=NETWORK, songs_per_shard=2)
    shards = [first.paths(number) for number in first.not_done()]
    assert [path for shard in shards for path in shard] == sorted(PATHS)
    assert list(map(len, shards)) == [2, 2, 1]
    assert shards == [again.paths(number) for number in again.not_done()]
    assert first.songs == again.songs == open_catalogue(tmp_path / "one").songs


def test_paths_are_those_of_every_process(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    catalogue = begin("out", ["x.wav", "s3://bucket/y.wav"], network=NETWORK)
    assert catalogue.paths(0) == [str(tmp_path / "x.wav"), "s3://bucket/y.wav"]
    assert catalogue.songs_per_shard == 1000
    with pytest.raises(ValueError, match="path is http://x/y.wav; allowed: .* gs://"):
        begin("out", ["http://x/y.wav"], network=NETWORK)


def test_a_folder_on_storage_says_what_it_needs(monkeypatch):
    monkeypatch.setitem(sys.modules, "s3fs", None)
    places.filesystem.cache_clear()
    with pytest.raises(ImportError, match=r"pip install 'mclf-jax\[cloud\]'"):
        open_catalogue("s3://bucket/songs.catalogue")


def test_it_goes_on_with_what_is_done(tmp_path):
    catalogue = begin(tmp_path, PATHS, network=NETWORK, songs_per_shard=2)
    catalogue.shard(1).write_bytes(b"")
    (tmp_path / "songs" / ".0123.partial.parquet").touch()
    moved = network(run=("/runs/moved",), thresholds={"rock": 0.7})
    again = begin(tmp_path, PATHS, network=moved)
    assert again.done() == [1] and again.not_done() == [0, 2]
    assert open_catalogue(tmp_path) == again and again.network == moved


def test_others_are_refused(tmp_path):
    begin(tmp_path, PATHS, network=NETWORK, songs_per_shard=2)
    with pytest.raises(ValueError, match="another network, other weights or other windows .of /ru"):
        begin(tmp_path, PATHS, network=network(fingerprint="0" * 64))
    with pytest.raises(ValueError, match="songs_per_shard is 3, .* was begun with 2"):
        begin(tmp_path, PATHS, network=NETWORK, songs_per_shard=3)
    with pytest.raises(ValueError) as error:
        begin(tmp_path, [*PATHS[1:], "/songs/e.wav", "/songs/f.wav"], network=NETWORK)
    assert "2 are new (/songs/e.wav, /songs/f.wav) and 1 are missing (/songs/b.wav)" in str(
        error.value
    )


def test_damage_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="is no catalogue: it has no catalogue.json"):
        open_catalogue(tmp_path)
    catalogue = begin(tmp_path, PATHS, network=NETWORK)
    place = tmp_path / "catalogue.json"
    known = json.loads(place.read_text())
    place.write_text(json.dumps(known | {"format": 2}))
    with pytest.raises(ValueError, match="made by a later version"):
        open_catalogue(tmp_path)
    place.write_text(json.dumps(known | {"songs": {}}))
    with pytest.raises(ValueError, match="catalogue.json lacks songs.count"):
        open_catalogue(tmp_path)
    place.unlink()
    catalogue.shard(0).touch()
    with pytest.raises(ValueError, match="has shards, but their catalogue.json is gone"):
        begin(tmp_path, PATHS, network=NETWORK)
