"""Prepared data sets are complete, and say what was left out."""

import dataclasses
import hashlib
import json
import os
import pickle
import re
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from mclf_jax.audio.decode import read_audio
from mclf_jax.data.base.array_record import to_int16
from mclf_jax.data.prepare import meta as prepare_meta
from mclf_jax.data.prepare.reader import prepared
from mclf_jax.data.prepare.run import prepare
from mclf_jax.data.sources.files import open_catalogue
from tests import ROOT
from tests.data.mini import emotions, genres, tags

RATE_HZ = 8000


def _prepare(catalogue, out, **settings):
    return prepare(catalogue, out, **{"sample_rate_hz": RATE_HZ, "items_per_shard": 4} | settings)


@pytest.mark.parametrize("encoding", ["int16", "flac"])
def test_same_items_labels_and_samples_as_the_files(tmp_path, encoding):
    catalogue = genres(tmp_path / "songs", split_hint="")
    splits = [("train", "valid", "test")[min(2, i // 2 % 5)] for i in range(len(catalogue.items))]
    items = [
        dataclasses.replace(item, split=split)
        for item, split in zip(catalogue.items, splits, strict=True)
    ]
    catalogue = dataclasses.replace(catalogue, items=tuple(items))
    raw = open_catalogue(catalogue, sample_rate_hz=RATE_HZ)
    folder = _prepare(catalogue, tmp_path / "out", encoding=encoding)
    assert folder == tmp_path / "out" / "mini" / "1.0.0"
    source = prepared(path=folder, sample_rate_hz=RATE_HZ)

    assert source.item_ids == raw.item_ids and len(source) == 20
    np.testing.assert_array_equal(source.labels, raw.labels)
    assert source.info.splits.keys() == raw.info.splits.keys()
    for split, indices in raw.info.splits.items():
        np.testing.assert_array_equal(source.info.splits[split], indices)
    per_run = ("version", "fingerprint", "notes", "splits")
    for field in dataclasses.fields(raw.info):
        if field.name not in per_run:
            assert getattr(source.info, field.name) == getattr(raw.info, field.name), field.name
    for i in range(len(raw)):
        expected = raw[i]["audio"]
        assert source.num_samples(i) == raw.num_samples(i) == len(expected)
        # half a step of 16 bits, and cut off, not wrapped, beyond full scale
        step = 1 / 32768
        atol = step if i == 1 else step / 2  # resampled in blocks here, at once there
        np.testing.assert_allclose(
            source[i]["audio"], np.clip(expected, -1, 1 - step), atol=atol * 1.001
        )
        if i > 1:  # 16 bits at this rate: nothing is lost at all
            np.testing.assert_array_equal(source[i]["audio"], expected)


def test_what_is_left_out_is_listed(tmp_path):
    folder = _prepare(genres(tmp_path / "songs"), tmp_path / "out")
    found = dict(prepared(path=folder, sample_rate_hz=RATE_HZ).info.skipped)
    assert found.keys() == {"broken.wav", "lost.wav", "short.wav", "silent.wav"}
    assert found["lost.wav"] == "no such file"
    assert found["silent.wav"] == "silent to the last sample"
    assert found["short.wav"] == "too short: 0.050 s, less than min_duration_s=0.125"
    assert found["broken.wav"].startswith("cannot be decoded: WAV, damaged or cut off")
    meta = prepare_meta.read_meta(folder)
    assert meta["num_items"] == 20 and meta["num_skipped"] == 4
    assert "3 of 23 items could not be used and are listed in skipped.csv" in meta["notes"]


def test_what_is_listed_is_no_formula_for_a_spreadsheet(tmp_path):
    lost = (("--PJHxphWEs_30", "no such file"), ("=1+2.wav", "no such file, or\nnone, here"))
    folder = _prepare(genres(tmp_path / "songs", skipped=lost), tmp_path / "out")
    assert not re.search(r'(?m)^"?[=+\-@]', (folder / "skipped.csv").read_text())
    assert set(lost) <= set(prepared(path=folder, sample_rate_hz=RATE_HZ).info.skipped)


def test_labels_of_which_nothing_is_left_are_named(tmp_path):
    catalogue = genres(tmp_path)
    item = dataclasses.replace(catalogue.items[-1], labels=("rare",))
    catalogue = dataclasses.replace(catalogue, items=(*catalogue.items[:-1], item))
    info = prepared(path=_prepare(catalogue, tmp_path / "out"), sample_rate_hz=RATE_HZ).info
    assert info.labels == ("high", "low", "rare")
    assert "labels without any usable file, which stay as outputs: rare" in info.notes


def test_silence_is_kept_where_it_is_the_label(tmp_path):
    catalogue = genres(tmp_path)
    folder = _prepare(catalogue, tmp_path / "out", silent_label="low")
    source = prepared(path=folder, sample_rate_hz=RATE_HZ)
    assert "silent.wav" in source.item_ids


def test_what_was_prepared_before_there_were_years_stays(tmp_path):
    def with_columns(columns):
        items = [dataclasses.replace(item, columns=columns) for item in catalogue.items]
        return dataclasses.replace(catalogue, items=tuple(items))

    catalogue = genres(tmp_path / "songs")
    folder = _prepare(with_columns({"mood": "x"}), tmp_path / "out")
    assert _prepare(with_columns({"mood": "x", "year": "1999"}), tmp_path / "out") == folder
    with pytest.raises(ValueError, match="splits or columns are others"):
        _prepare(with_columns({"mood": "y", "year": "1999"}), tmp_path / "out")


def test_fractions_of_the_splits(tmp_path):
    catalogue = genres(tmp_path / "songs")
    folder = _prepare(catalogue, tmp_path / "out", split_fractions=(0.5, 0.25, 0.25))
    found = prepared(path=folder, sample_rate_hz=RATE_HZ).info
    assert "made 50/25/25" in " ".join(found.notes)
    with pytest.raises(ValueError, match="splits or columns are others"):
        _prepare(catalogue, tmp_path / "out")


def test_statistics(tmp_path):
    folder = _prepare(genres(tmp_path / "songs"), tmp_path / "out")
    found = prepare_meta.read_meta(folder)["statistics"]
    source = prepared(path=folder, sample_rate_hz=RATE_HZ)
    for split, indices in source.info.splits.items():
        audio = [source[i]["audio"] for i in indices]
        level_db = [10 * np.log10(np.mean(np.square(a, dtype=np.float64))) for a in audio]
        duration_s = [len(a) / RATE_HZ for a in audio]
        assert found[split]["items"] == len(indices)
        assert found[split]["groups"] == len({source.info.groups[i] for i in indices})
        assert found[split]["hours"] == pytest.approx(sum(duration_s) / 3600, abs=1e-4)
        assert found[split]["duration_s"]["median"] == pytest.approx(
            np.median(duration_s), abs=1e-3
        )
        if 0 not in indices:  # that one lost its peaks
            assert found[split]["level_db"]["mean"] == pytest.approx(np.mean(level_db), abs=0.02)
            assert found[split]["level_db"]["std"] == pytest.approx(np.std(level_db), abs=0.02)
        assert found[split]["items_with_clipping"] == (0 in indices)
        counts = np.bincount(source.labels[indices], minlength=2)
        assert found[split]["label_counts"] == dict(zip(("high", "low"), counts, strict=True))
    assert "train" in prepare_meta.summary(folder)


def test_tags_keep_what_nobody_looked_for(tmp_path):
    catalogue = tags(tmp_path / "songs")
    folder = _prepare(catalogue, tmp_path / "out", encoding="flac")
    source = prepared(path=folder, sample_rate_hz=RATE_HZ)
    raw = open_catalogue(catalogue, sample_rate_hz=RATE_HZ)
    np.testing.assert_array_equal(source.labels, raw.labels)
    assert np.isnan(source.labels).any()
    found = prepare_meta.read_meta(folder)["statistics"]
    train = source.labels[source.info.splits["train"]]
    assert found["train"]["label_observed"]["voice"] == np.isfinite(train[:, 2]).sum()
    assert found["train"]["label_counts"]["guitar"] == np.nansum(train[:, 1])
    assert found["unlabelled"]["items"] == 2 and "label_counts" not in found["unlabelled"]


def test_parts_of_files(tmp_path):
    catalogue = emotions(tmp_path / "songs")
    source = prepared(path=_prepare(catalogue, tmp_path / "out"), sample_rate_hz=RATE_HZ)
    assert source.info.skipped == (("5@3.0", "the file ends before 3 s, where the item begins"),)
    assert len(source) == len(catalogue.items) - 1
    for i, item in enumerate(catalogue.items[:-1]):
        expected = read_audio(
            item.file,
            sample_rate_hz=RATE_HZ,
            start_sample=round(item.start_s * RATE_HZ),
            num_samples=RATE_HZ // 2,
        )
        np.testing.assert_array_equal(source[i]["audio"], expected)
        np.testing.assert_array_equal(source.labels[i], np.float32(item.values))


def test_long_items_are_cut(tmp_path):
    folder = _prepare(genres(tmp_path / "songs"), tmp_path / "out", max_duration_s=0.55)
    source = prepared(path=folder, sample_rate_hz=RATE_HZ)
    assert max(source.lengths) == 0.55 * RATE_HZ and min(source.lengths) == 0.5 * RATE_HZ
    meta = prepare_meta.read_meta(folder)
    assert "prepared as int16 at 8000 Hz, 0.55 s at most" in meta["notes"]


def test_fingerprint_is_of_content_not_of_layout(tmp_path):
    catalogue = genres(tmp_path / "songs")

    def fingerprint(name, catalogue=catalogue, **settings):
        folder = _prepare(catalogue, tmp_path / name, **settings)
        return prepared(path=folder, sample_rate_hz=RATE_HZ).info.fingerprint

    first = fingerprint("a")
    assert fingerprint("b", items_per_shard=7, num_workers=3) == first
    for path in (tmp_path / "songs").iterdir():
        os.utime(path, (1, 1))
    assert fingerprint("c") == first
    assert fingerprint("d", sample_rate_hz=4000) != first
    assert fingerprint("e", encoding="flac") != first
    assert fingerprint("f", seed=1) != first
    other = [dataclasses.replace(item) for item in catalogue.items]
    other[5] = dataclasses.replace(other[5], labels=("low",))
    assert fingerprint("g", dataclasses.replace(catalogue, items=tuple(other))) != first
    sound, _ = soundfile.read(tmp_path / "songs" / "07.wav", dtype="int16")
    sound[100] += 1
    soundfile.write(tmp_path / "songs" / "07.wav", sound, RATE_HZ)
    assert fingerprint("h") != first


def test_checksums_are_those_of_sha256sum(tmp_path):
    folder = _prepare(genres(tmp_path / "songs"), tmp_path / "out")
    lines = (folder / "checksums.sha256").read_text().splitlines()
    tables = ["mclf.json", "items.json", "items.npz", "skipped.csv"]
    assert len(lines) == len([*folder.glob("*.array_record-*"), *tables]) == 11
    for line in lines:
        digest, _, name = line.partition("  ")
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest


def test_change_log_of_versions(tmp_path):
    catalogue = genres(tmp_path / "songs")
    _prepare(catalogue, tmp_path / "out")
    fewer = dataclasses.replace(catalogue, items=catalogue.items[:16])
    folder = _prepare(fewer, tmp_path / "out", version="1.1.0", sample_rate_hz=4000)
    log = (folder / "CHANGELOG.md").read_text()
    assert log.index("## 1.1.0") < log.index("## 1.0.0")
    for line in (
        "compared with 1.0.0",
        "sample_rate_hz: 8000 -> 4000",
        "num_items: 20 -> 16",
        "num_skipped: 4 -> 1",
        "items, labels, splits or columns are others",
        "first preparation",
    ):
        assert log.count(line) == 1, line
    assert prepared(path=folder, sample_rate_hz=4000).info.version == "1.1.0"
    # without a version: the highest one
    assert _prepare(fewer, tmp_path / "out", sample_rate_hz=4000) == folder


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"encoding": "mp3"}, "encoding is 'mp3'; allowed: int16, flac"),
        ({"version": "2"}, "version must be three numbers"),
        ({"name": "My Songs"}, "name must be small letters"),
        ({"sample_rate_hz": 0}, r"sample_rate_hz is 0; it must be in \[1000"),
        ({"sample_rate_hz": 1}, r"sample_rate_hz is 1; it must be in \[1000"),
        ({"max_duration_s": 0.1}, "max_duration_s is 0.1; it must be at least 0.125"),
        ({"progress": "yes"}, "progress is 'yes'; allowed: auto"),
    ],
)
def test_wrong_arguments(tmp_path, settings, message):
    with pytest.raises(ValueError, match=message):
        _prepare(genres(tmp_path / "songs"), tmp_path / "out", **settings)
    assert not (tmp_path / "out").exists()


def test_nothing_usable(tmp_path):
    catalogue = genres(tmp_path / "songs")
    with pytest.raises(
        ValueError, match="nothing of the split train of Mini is usable: 00.wav: too"
    ):
        _prepare(catalogue, tmp_path / "out", min_duration_s=5)


def test_tfds_reads_it_and_nothing_imports_tensorflow(tmp_path):
    # A stand-in that would be found, so that an attempt shows even where TensorFlow is absent.
    stand_in = tmp_path / "path" / "tensorflow"
    stand_in.mkdir(parents=True)
    (stand_in / "__init__.py").write_text("")
    catalogues = {"genres": genres(tmp_path / "a"), "tags": tags(tmp_path / "b")}
    (tmp_path / "catalogues").write_bytes(pickle.dumps(catalogues))
    code = f"""
import json, pickle, sys
import tensorflow_datasets as tfds
from mclf_jax.data.prepare.run import prepare
from mclf_jax.data.prepare.reader import prepared
catalogues = pickle.load(open({str(tmp_path / "catalogues")!r}, "rb"))
found = {{}}
for name, catalogue in catalogues.items():
    for encoding in ("int16", "flac"):
        folder = prepare(catalogue, {str(tmp_path)!r} + "/" + encoding, sample_rate_hz=8000,
                         encoding=encoding, name=name, items_per_shard=1)  # some are empty
        source = prepared(path=folder, sample_rate_hz=8000)
        source[0]
        builder = tfds.builder_from_directory(str(folder))
        found[name, encoding] = {{
            split: list(builder.as_data_source(split=split)) for split in builder.info.splits
        }} | {{"names": getattr(builder.info.features["label"], "names", None)}}
pickle.dump(found, open({str(tmp_path / "found")!r}, "wb"))
print([name for name in sys.modules if name.partition(".")[0] in ("tensorflow", "jax")])
"""
    environment = os.environ | {"PYTHONPATH": f"{stand_in.parent}{os.pathsep}{ROOT}"}
    command = [sys.executable, "-c", code]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=ROOT)
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines()[-1] == "[]"

    found = pickle.loads((tmp_path / "found").read_bytes())
    for name in catalogues:
        source = prepared(path=tmp_path / "int16" / name, sample_rate_hz=RATE_HZ)
        for split, indices in source.info.splits.items():
            assert len(found[name, "int16"][split]) == len(indices)
            pairs = zip(found[name, "int16"][split], found[name, "flac"][split], strict=True)
            for i, (record, compressed) in zip(indices, pairs, strict=True):
                assert record["item_id"].decode() == source.item_id(i)
                assert record["group"].decode() == source.info.groups[i]
                columns = json.loads(record["columns"])
                assert columns == {k: v[i] for k, v in source.info.columns.items() if v[i]}
                assert record["audio"].dtype == np.int16
                np.testing.assert_array_equal(record["audio"], to_int16(source[i]["audio"]))
                assert record["num_samples"] == source.num_samples(i)
                assert record["sample_rate_hz"] == RATE_HZ
                assert compressed["audio"][:4] == b"fLaC"
                if split == "unlabelled":
                    assert np.isnan(record["label"]).all()
                else:
                    np.testing.assert_array_equal(record["label"], source.labels[i])
    assert found["genres", "int16"]["names"] == ["high", "low"]


def test_songs_without_labels(tmp_path):
    catalogue = genres(tmp_path / "songs")
    items = (dataclasses.replace(item, labels=(), split="unlabelled") for item in catalogue.items)
    source = prepared(
        path=_prepare(dataclasses.replace(catalogue, items=tuple(items)), tmp_path / "out"),
        sample_rate_hz=RATE_HZ,
    )
    assert list(source.info.splits) == ["unlabelled"] and len(source) == 20
    with pytest.raises(ValueError, match="num_workers is 0; it must be a whole number, at least 1"):
        _prepare(catalogue, tmp_path / "out", num_workers=0)
