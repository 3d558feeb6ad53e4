"""Data sets of TensorFlow Datasets' own audio builders are read without TensorFlow.

The directories are written here field by field as version 4.9 writes them.
"""

import io
import json
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from array_record.python.array_record_module import ArrayRecordWriter
from tensorflow_datasets.proto import tf_example_pb2, tf_feature_pb2

from mclf_jax.audio.decode import AudioError
from mclf_jax.audio.resample import resampled_window
from mclf_jax.data.tfds import scan as tfds_scan
from mclf_jax.data.tfds.source import tfds
from tests import ROOT

CLASS = "tensorflow_datasets.core.features."
GENRES = ("blues", "jazz", "rock")


def _audio(dtype="int64", rate_hz=8000, dimensions=("-1",), **others):
    content = {"dtype": dtype, "encoding": "NONE", "shape": {"dimensions": list(dimensions)}}
    content |= {"sampleRate": str(rate_hz)} if rate_hz else {}
    return {"audio": content | others, "pythonClassName": f"{CLASS}audio_feature.Audio"}


def _class(count):
    return {"classLabel": {"numClasses": str(count)}, "pythonClassName": f"{CLASS}ClassLabel"}


def _tensor(dtype):
    tensor = {"dtype": dtype, "encoding": "none", "shape": {}}
    return {"tensor": tensor, "pythonClassName": f"{CLASS}tensor_feature.Tensor"}


def _dict(**features):
    return {"featuresDict": {"features": features}, "pythonClassName": f"{CLASS}FeaturesDict"}


TEXT = {"pythonClassName": f"{CLASS}text_feature.Text", "text": {}}


def _feature(value):
    if isinstance(value, (bytes, str)):
        value = value.encode() if isinstance(value, str) else value
        return tf_feature_pb2.Feature(bytes_list=tf_feature_pb2.BytesList(value=[value]))
    values = np.atleast_1d(value)
    if values.dtype.kind == "f":
        return tf_feature_pb2.Feature(float_list=tf_feature_pb2.FloatList(value=values))
    return tf_feature_pb2.Feature(int64_list=tf_feature_pb2.Int64List(value=values.astype(int)))


def _write(folder, features, splits, *, names=None, file_format="array_record", **info):
    """A builder directory with one shard for each two records."""
    folder.mkdir(parents=True)
    name = info["name"]
    (folder / "features.json").write_text(json.dumps(features))
    for key, values in (names or {}).items():
        (folder / f"{key}.labels.txt").write_text("\n".join(values) + "\n")
    described = []
    for split, examples in splits.items():
        shards = [examples[i : i + 2] for i in range(0, len(examples), 2)]
        for number, shard in enumerate(shards):
            path = folder / f"{name}-{split}.{file_format}-{number:05d}-of-{len(shards):05d}"
            writer = ArrayRecordWriter(str(path), "group_size:1")
            for example in shard:
                fields = {key: _feature(value) for key, value in example.items()}
                proto = tf_example_pb2.Example(features=tf_feature_pb2.Features(feature=fields))
                writer.write(proto.SerializeToString())
            writer.close()
        lengths = [str(len(shard)) for shard in shards]
        described.append({"name": split, "shardLengths": lengths, "numBytes": "1"})
    content = {"splits": described, "fileFormat": file_format, "version": "1.0.0", **info}
    (folder / "dataset_info.json").write_text(json.dumps(content))
    return folder


def _noise(seed, samples=2000):
    return (3000 * np.random.default_rng(seed).standard_normal(samples)).astype(np.int16)


def _gtzan(root, *, count=10, replace=None, **options):
    """As the builder writes it: integers, one split, file names."""
    examples = [
        {
            "audio": _noise(100 * genre + i),
            "audio/filename": f"{name}.{i:05d}.wav",
            "label": genre,
        }
        for genre, name in enumerate(GENRES)
        for i in range(count)
    ]
    for i, changes in (replace or {}).items():
        examples[i] |= changes
    features = {"audio": _audio(), "audio/filename": TEXT, "label": _class(3)}
    return _write(
        root / "gtzan" / "1.0.0",
        _dict(**features),
        {"train": examples},
        names={"label": GENRES},
        name="gtzan",
        citation="Tzanetakis",
        location={"urls": ["http://marsyas.info/index.html"]},
        **options,
    )


def _open(root, name="gtzan", **options):
    return tfds(name, path=root, **{"sample_rate_hz": 8000} | options)


def test_integers_with_one_split(tmp_path):
    _gtzan(tmp_path)
    source = _open(tmp_path)
    info = source.info
    assert info.name == "tfds:gtzan" and info.version == "1.0.0" and info.citation == "Tzanetakis"
    assert info.task == "single_label" and info.labels == GENRES
    assert sum(len(indices) for indices in info.splits.values()) == 30
    assert any("has gtzan in one split, 'train'" in note for note in info.notes)
    assert any("no splits given: made 70/15/15" in note for note in info.notes)
    assert any("split='fault_filtered' is the published one" in note for note in info.notes)
    for i in range(len(source)):
        genre, number, _ = source.item_id(i).split(".")
        song = _noise(100 * GENRES.index(genre) + int(number)) / np.float32(32768)
        assert source.labels[i] == GENRES.index(genre) and source.labels[i].dtype == np.int32
        np.testing.assert_array_equal(source[i]["audio"], song)
        window = source.read(i, start_sample=300, num_samples=1000)
        np.testing.assert_array_equal(window, song[300:1300])
    copy = pickle.loads(pickle.dumps(source))
    np.testing.assert_array_equal(copy[3]["audio"], source[3]["audio"])


def test_another_rate(tmp_path):
    _gtzan(tmp_path)
    source = _open(tmp_path, sample_rate_hz=5000)
    song = _open(tmp_path)[4]["audio"]
    whole = resampled_window(
        lambda start, stop: song[start:stop],
        source_rate_hz=8000,
        sample_rate_hz=5000,
        start_sample=0,
        num_samples=None,
    )
    assert source.num_samples(4) == len(whole) == 1250
    window = source.read(4, start_sample=500, num_samples=100)
    np.testing.assert_allclose(window, whole[500:600], atol=1e-5)


def test_the_published_split_of_gtzan(tmp_path):
    _gtzan(tmp_path, count=60)
    source = _open(tmp_path, split="fault_filtered")
    found = {
        split: [source.item_id(i) for i in indices] for split, indices in source.info.splits.items()
    }
    assert "blues.00029.wav" in found["train"] and "blues.00000.wav" in found["valid"]
    assert "blues.00012.wav" in found["test"]
    assert ("jazz.00033.wav", "left out by the fault-filtered split") in source.info.skipped
    with pytest.raises(ValueError, match="split must be 'stored' or 'fault_filtered'"):
        _open(tmp_path, split="random")


def test_what_cannot_be_used_is_listed(tmp_path):
    broken = {
        0: {"audio": np.zeros(2000, int)},
        11: {"audio": _noise(1).astype(int) * 1000},
        12: {"audio": _noise(1, samples=100)},
        20: {"label": -1},
    }
    _gtzan(tmp_path, replace=broken)
    source = _open(tmp_path)
    found = dict(source.info.skipped)
    assert found.keys() == {"blues.00000.wav", "jazz.00001.wav", "jazz.00002.wav"}
    assert found["blues.00000.wav"] == "silent to the last sample"
    assert "beyond 16 bits" in found["jazz.00001.wav"]
    assert found["jazz.00002.wav"].startswith("too short: 0.013 s")
    assert [source.item_id(i) for i in source.info.splits["unlabelled"]] == ["rock.00000.wav"]
    assert "blues.00000.wav" in _open(tmp_path, silent_label="blues").item_ids


def _nsynth(root, *, config="full"):
    """As the builder writes it: floats, nested fields, splits of their own."""

    def example(i):
        qualities = {
            f"qualities/{name}": i % (k + 2) == 0 for k, name in enumerate(("dark", "bright"))
        }
        return {
            "audio": _noise(i).astype(np.float32) / 40000,
            "id": f"note {i}",
            "instrument/family": i % 2,
            "instrument/label": i,
            "pitch": 60 + i,
            **qualities,
        }

    features = _dict(
        audio=_audio("float32", dimensions=("2000",)),
        id=_tensor("string"),
        instrument=_dict(family=_class(2), label=_class(30)),
        pitch=_class(128),
        qualities=_dict(dark=_tensor("bool"), bright=_tensor("bool")),
    )
    sizes = {"train": range(12), "valid": range(12, 16), "test": range(16, 20)}
    return _write(
        root / "nsynth" / config / "2.3.3",
        features,
        {split: [example(i) for i in numbers] for split, numbers in sizes.items()},
        names={"instrument-family": ("bass", "brass")},
        name="nsynth",
        configName=config,
        version="2.3.3",
    )


def test_nested_fields_and_stored_splits(tmp_path):
    _nsynth(tmp_path)
    source = _open(tmp_path, "nsynth/full", label="instrument/family", group="instrument/label")
    assert source.info.labels == ("bass", "brass")
    assert {split: len(i) for split, i in source.info.splits.items()} == {
        "train": 12,
        "valid": 4,
        "test": 4,
    }
    assert source.info.groups[7] == "7" and source.info.columns["pitch"][7] == "67"
    assert source.item_id(7) == "note 7" and source.labels[7] == 1
    np.testing.assert_array_equal(source[7]["audio"], _noise(7).astype(np.float32) / 40000)

    pitch = _open(tmp_path, "nsynth", label="pitch")  # the only configuration
    assert pitch.info.labels[60] == "60" and pitch.labels[3] == 63
    tags = _open(tmp_path, "nsynth:2.3.3", label="qualities")
    assert tags.info.task == "multi_label" and tags.info.labels == ("dark", "bright")
    np.testing.assert_array_equal(tags.labels[3], [0, 1])
    with pytest.raises(ValueError, match="label='' is nothing to predict .*instrument/family"):
        _open(tmp_path, "nsynth")
    with pytest.raises(ValueError, match="group='artist' is no field of"):
        _open(tmp_path, "nsynth", label="pitch", group="artist")


def test_numbers_channels_and_stored_files(tmp_path):
    sound = np.stack([_noise(0), _noise(1)], axis=1)
    encoded = io.BytesIO()
    soundfile.write(encoded, sound, 8000, format="FLAC")
    mean = sound.astype(np.float32).mean(axis=1) / 32768

    def drums(name, feature, stored):
        examples = [{"audio": stored, "id": f"d{i}", "bpm": 90 + i} for i in range(9)]
        features = _dict(audio=feature, id=_tensor("string"), bpm=_tensor("int32"))
        _write(tmp_path / name / "1.0.0", features, {"train": examples}, name=name)
        return _open(tmp_path, name, label="bpm")

    source = drums("channels", _audio("int16", dimensions=("-1", "2")), sound.reshape(-1))
    assert source.info.task == "regression" and source.info.labels == ("bpm",)
    np.testing.assert_array_equal(source.labels[4], np.float32([94]))
    np.testing.assert_allclose(source[0]["audio"], mean, atol=1e-6)
    lazy = _audio("int16", dimensions=("-1", "2"), lazyDecode=True, fileFormat="flac")
    np.testing.assert_allclose(
        drums("files", lazy, encoded.getvalue())[0]["audio"], mean, atol=1e-6
    )
    packed = _audio("int16", dimensions=("-1",)) | {}
    packed["audio"]["encoding"] = "BYTES"
    np.testing.assert_array_equal(
        drums("packed", packed, _noise(2).tobytes())[0]["audio"], _noise(2) / np.float32(32768)
    )


def test_looked_through_once(tmp_path, monkeypatch):
    folder = _gtzan(tmp_path)
    first = _open(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(tfds_scan, "_row", None)
        assert _open(tmp_path).info.fingerprint == first.info.fingerprint
    shard = folder / "gtzan-train.array_record-00000-of-00015"
    os.utime(shard, (1, 1))
    assert _open(tmp_path).info.fingerprint == first.info.fingerprint  # looked at again, the same
    other = tmp_path / "other"
    _gtzan(other, replace={3: {"audio": _noise(99)}})
    assert _open(other).info.fingerprint != first.info.fingerprint


def test_where_it_is_looked_for(tmp_path, monkeypatch):
    folder = _gtzan(tmp_path)
    assert len(tfds("gtzan", sample_rate_hz=8000, path=folder)) == 30
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    assert len(tfds("gtzan:1.0.0", sample_rate_hz=8000)) == 30
    with pytest.raises(ValueError, match="looked for .*VERSION/dataset_info.json, found 1.0.0"):
        _open(tmp_path, "gtzan:2.0.0")
    with pytest.raises(ValueError, match=r"found nothing.*pip install mclf_jax\[tfds\]"):
        _open(tmp_path, "groove")
    with pytest.raises(ValueError, match="name must be as in TensorFlow Datasets"):
        _open(tmp_path, "no name")
    with pytest.raises(ValueError, match="holds gtzan, not nsynth"):
        _open(folder, "nsynth")
    for config in ("full", "gansynth_subset"):
        _nsynth(tmp_path, config=config)
    with pytest.raises(ValueError, match="several configurations, give one: nsynth/full"):
        _open(tmp_path, "nsynth", label="pitch")


def test_other_formats_say_how_to_make_it(tmp_path):
    _gtzan(tmp_path, file_format="tfrecord")
    with pytest.raises(ValueError, match="in the format tfrecord.*file_format='array_record'"):
        _open(tmp_path)


def test_broken_records_are_audio_errors(tmp_path):
    folder = _gtzan(tmp_path)
    source = _open(tmp_path)
    for shard in folder.glob("*.array_record-*"):
        shard.unlink()
    with pytest.raises(AudioError):
        source.read(0, start_sample=0, num_samples=10)


def test_tensorflow_is_not_needed(tmp_path):
    _gtzan(tmp_path)
    # A stand-in that would be found, so that an attempt shows even where TensorFlow is absent.
    stand_in = tmp_path / "path" / "tensorflow"
    stand_in.mkdir(parents=True)
    (stand_in / "__init__.py").write_text("")
    code = f"""
import sys
from mclf_jax.data.tfds.source import tfds
tfds("gtzan", path={str(tmp_path)!r}, sample_rate_hz=8000)[0]
print([name for name in sys.modules if name.partition(".")[0] in ("tensorflow", "jax")])
"""
    environment = os.environ | {"PYTHONPATH": f"{stand_in.parent}{os.pathsep}{ROOT}"}
    run = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, cwd=ROOT
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines()[-1] == "[]"
