"""Apache Beam writes what threads write."""

import importlib.util
import sys

import pytest

from mclf_jax.data.prepare import shard as prepare_shard
from mclf_jax.data.prepare.beam import prepare_beam
from mclf_jax.data.prepare.run import prepare
from tests.data.mini import contents, emotions, genres

needs_beam = pytest.mark.skipif(
    importlib.util.find_spec("apache_beam") is None,
    reason="apache-beam is not installed: pip install 'mclf-jax[beam]'",
)
# In memory, for speed; Beam's own warnings are not ours.
HERE = ("--runner=DirectRunner", "--direct_running_mode=in_memory")
SETTINGS = {"sample_rate_hz": 8000, "items_per_shard": 4}


def test_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    with pytest.raises(ImportError, match=r"pip install .mclf-jax\[beam\]"):
        prepare_beam(genres(tmp_path), tmp_path / "out")


@needs_beam
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("make", [genres, emotions])
def test_same_bytes_as_local(tmp_path, make):
    catalogue = make(tmp_path / "songs")
    local = prepare(catalogue, tmp_path / "local", **SETTINGS)
    beam = prepare_beam(catalogue, tmp_path / "beam", pipeline_options=HERE, **SETTINGS)
    assert contents(beam) == contents(local)


@needs_beam
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_in_processes_of_its_own(tmp_path):
    catalogue = genres(tmp_path / "songs")
    local = prepare(catalogue, tmp_path / "local", **SETTINGS)
    assert contents(prepare_beam(catalogue, tmp_path / "beam", **SETTINGS)) == contents(local)


@needs_beam
@pytest.mark.filterwarnings("ignore")
def test_goes_on_where_it_failed(tmp_path, monkeypatch):
    catalogue = genres(tmp_path / "songs")
    read_item = prepare_shard.read_item

    def fails_once(item, settings):
        if item.item_id == "07.wav":
            raise OSError(28, "No space left on device")
        return read_item(item, settings)

    with monkeypatch.context() as patch, pytest.raises(Exception, match="is full|No space left"):
        patch.setattr(prepare_shard, "read_item", fails_once)
        prepare_beam(catalogue, tmp_path / "out", pipeline_options=HERE, **SETTINGS)
    # with threads, what Beam began
    folder = prepare(catalogue, tmp_path / "out", **SETTINGS)
    assert contents(folder) == contents(prepare(catalogue, tmp_path / "local", **SETTINGS))


@needs_beam
def test_options_that_are_beams(tmp_path):
    with pytest.raises(ValueError, match="num_workers cannot be given with Beam"):
        prepare_beam(genres(tmp_path), tmp_path / "out", num_workers=2)
