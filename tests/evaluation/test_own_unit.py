"""Numbers are learnt scaled, and said as the data have them: in reports, predictions, exports."""

import dataclasses
import json

import numpy as np
import pytest
from ml_collections import ConfigDict

import mclf_jax as mclf
from mclf_jax import data
from mclf_jax.config import to_json
from mclf_jax.data.views.column import with_column
from mclf_jax.evaluation.teacher import open_teacher
from mclf_jax.export.archive import write_archive
from mclf_jax.export.collect import bundle_of
from mclf_jax.run.directory import describe_data, read_config, read_meta
from tests.small_run import write_run
from tests.songs import Songs

YEARS = [1960 + 2 * n for n in range(24)]


@pytest.fixture
def run(tmp_path, monkeypatch):
    made = Songs.__post_init__

    def with_years(songs):
        made(songs)
        songs.info = dataclasses.replace(songs.info, columns={"year": tuple(map(str, YEARS))})

    monkeypatch.setattr(Songs, "__post_init__", with_years)
    monkeypatch.setitem(data.SOURCES, "songs", "tests.tiny")
    songs = Songs(24)
    heard = np.stack([songs[i]["audio"][:500] for i in range(8)])
    write_run(tmp_path / "run", heard, labels=("year",), task="regression")
    config = read_config(tmp_path / "run")
    config.data.name, config.data.args = "songs", ConfigDict({"count": 24})
    config.data.target, config.data.target_args = "column", ConfigDict({"column": "year"})
    config.features.update({"sample_rate_hz": 1000, "n_fft": 64, "hop_length": 32, "n_mels": 8})
    config.model.window_s = 0.5
    config.eval.batch_size = 8
    (tmp_path / "run" / "config.json").write_text(to_json(config))
    info = with_column(songs, column="year").info
    meta = read_meta(tmp_path / "run") | {"data": describe_data(info), "unit": info.unit}
    (tmp_path / "run" / "meta.json").write_text(json.dumps(meta))
    return tmp_path / "run"


@pytest.mark.filterwarnings("ignore:the array. its samples reach")
def test_years_are_years_everywhere(run, tmp_path):
    report = mclf.evaluate(run, split="train")
    assert report.labels == ("year",) and sorted(report.targets[:, 0]) == YEARS[8:]
    error = np.abs(report.scores - report.targets).mean()
    assert report.metrics["mae"] == pytest.approx(error) and error > 5
    songs = Songs(24)
    n = report.items.index("song 12")
    bundle = bundle_of(run)
    write_archive(bundle, tmp_path / "years.mclf")
    for path in (run, tmp_path / "years.mclf"):
        said = mclf.load(path).predict(songs[12]["audio"], sample_rate_hz=1000)
        assert said["year"] == pytest.approx(report.scores[n, 0], rel=1e-5)
    other = mclf.evaluate(tmp_path / "years.mclf", data=with_column(songs, column="year"))
    assert set(other.targets[:, 0]) <= set(YEARS) and other.metrics["mae"] > 5
    of_model = {"task": "regression", "label_names": ("year",)}
    with pytest.raises(ValueError, match="whose numbers are scaled by .* and here by"):
        open_teacher(run, **of_model)
    meta = json.loads((run / "meta.json").read_text())
    assert open_teacher(run, **of_model, unit=tuple(map(tuple, meta["unit"]))).task == "regression"
    (run / "meta.json").write_text(json.dumps(meta | {"unit": [[1.0, 2000.0]]}))
    with pytest.raises(ValueError, match="the numbers of songs are scaled for learning by"):
        mclf.evaluate(run)
