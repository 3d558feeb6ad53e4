"""Prepared data are read window by window, as the files would be."""

import itertools
import json
import os
import pickle
import random
import shutil

import cloudpickle
import numpy as np
import pytest
import soundfile

from mclf_jax import data
from mclf_jax.audio.decode import AudioError
from mclf_jax.audio.features import LogMel
from mclf_jax.common import files
from mclf_jax.data.catalogue.items import Catalogue, Item
from mclf_jax.data.pipeline import Input, evaluation_batches, iterate, training_batches
from mclf_jax.data.prepare.meta import TABLES
from mclf_jax.data.prepare.reader import prepared
from mclf_jax.data.prepare.run import prepare
from mclf_jax.data.sources.files import open_catalogue
from tests import SHARED
from tests.damaged_json import changed_fields, whole_files
from tests.data.mini import FACTS, genres, noise

AUDIO = SHARED / "audio"
RATE_HZ = 8000


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """The same songs, prepared in both encodings."""
    root = tmp_path_factory.mktemp("prepared")
    catalogue = genres(root / "songs")
    return {
        encoding: prepare(
            catalogue, root / encoding, sample_rate_hz=RATE_HZ, encoding=encoding, items_per_shard=4
        )
        for encoding in ("int16", "flac")
    } | {"catalogue": catalogue}


@pytest.mark.parametrize("encoding", ["int16", "flac"])
def test_windows_are_slices_of_the_song(folders, encoding):
    source = prepared(path=folders[encoding], sample_rate_hz=RATE_HZ)
    rng = np.random.default_rng(0)
    for i in range(len(source)):
        song = source[i]["audio"]
        assert song.dtype == np.float32 and len(song) == source.num_samples(i)
        for _ in range(5):
            start, length = rng.integers(0, len(song), 2)
            window = source.read(i, start_sample=start, num_samples=length)
            np.testing.assert_array_equal(window, song[start : start + length])
        assert len(source.read(i, start_sample=len(song) + 5, num_samples=10)) == 0
    with pytest.raises(ValueError, match="cannot be negative"):
        source.read(0, start_sample=-1, num_samples=10)


def test_ones_own_folder_is_read_prepared_or_not(tmp_path):
    """Also where both are in one place: there, the songs themselves are meant."""
    for label in ("low", "high"):
        (tmp_path / "songs" / label).mkdir(parents=True)
        for i in range(4):
            path = tmp_path / "songs" / label / f"{i}.wav"
            soundfile.write(path, np.random.default_rng(i).uniform(-1, 1, RATE_HZ), RATE_HZ)
    catalogue = data.catalogue("folder", path=tmp_path / "songs")
    prepare(catalogue, tmp_path / "prepared", sample_rate_hz=RATE_HZ)
    opened = {
        place: data.build("folder", path=tmp_path / place, sample_rate_hz=RATE_HZ)
        for place in ("songs", "prepared")
    }
    assert {place: type(source).__name__ for place, source in opened.items()} == {
        "songs": "Files",
        "prepared": "Prepared",
    }
    (tmp_path / "prepared").rename(tmp_path / "songs" / "prepared")
    both = data.build("folder", path=tmp_path / "songs", sample_rate_hz=RATE_HZ)
    assert type(both).__name__ == "Files" and len(both) == 8


@pytest.mark.parametrize("encoding", ["int16", "flac"])
@pytest.mark.parametrize("rate_hz", [4000, 11025, 16000])
def test_another_rate_is_as_decoded_from_the_files(folders, encoding, rate_hz):
    source = prepared(path=folders[encoding], sample_rate_hz=rate_hz)
    raw = open_catalogue(folders["catalogue"], sample_rate_hz=rate_hz)
    assert "every window is resampled" in source.info.notes[-1]
    assert source.info.sample_rate_hz == rate_hz
    for i in range(2, len(raw)):  # 16 bits at 8 kHz: nothing was lost
        assert source.num_samples(i) == raw.num_samples(i)
        expected = raw.read(i, start_sample=700, num_samples=900)
        np.testing.assert_array_equal(source.read(i, start_sample=700, num_samples=900), expected)


def test_a_copy_travels_to_workers(folders):
    source = prepared(path=folders["int16"], sample_rate_hz=RATE_HZ)
    source.read(0, start_sample=0, num_samples=10)
    for dump in (pickle.dumps, cloudpickle.dumps):
        copy = pickle.loads(dump(source))
        np.testing.assert_array_equal(copy[3]["audio"], source[3]["audio"])


@pytest.mark.slow
def test_batches_do_not_depend_on_the_number_of_workers(folders):
    int16 = prepared(path=folders["int16"], sample_rate_hz=RATE_HZ)
    flac = prepared(path=folders["flac"], sample_rate_hz=RATE_HZ)
    features = LogMel(sample_rate_hz=RATE_HZ, n_fft=256, hop_length=128, n_mels=8)
    inputs = Input(num_samples=2000, short="pad", features=features)
    training = training_batches(
        int16, int16.info.splits["train"], inputs=inputs, batch_size=4, seed=3
    )
    evaluation = evaluation_batches(flac, [(i, 0) for i in range(6)], inputs=inputs, batch_size=4)
    for dataset, steps in ((training[:3], 3), (evaluation, 2)):
        here = list(iterate(dataset, num_threads=2, prefetch=2))
        there = list(iterate(dataset, num_threads=2, prefetch=2, num_workers=1))
        assert len(here) == len(there) == steps
        for a, b in zip(here, there, strict=True):
            assert a.keys() == b.keys() and "features" in a
            for key in a:
                np.testing.assert_array_equal(a[key], b[key])


def test_batches_are_those_of_the_files(tmp_path):
    catalogue = genres(tmp_path / "songs")
    for i in range(2):  # nothing that 16 bits or another rate change
        noise(tmp_path / "songs" / f"{i:02}.wav", seed=i)
    catalogue = type(catalogue)(**{**vars(catalogue), "items": catalogue.items[:20]})
    folder = prepare(catalogue, tmp_path / "out", sample_rate_hz=RATE_HZ)
    inputs = Input(num_samples=2000, short="pad", features=None)
    batches = [
        training_batches(source, source.info.splits["train"], inputs=inputs, batch_size=4, seed=3)[
            7
        ]
        for source in (
            open_catalogue(catalogue, sample_rate_hz=RATE_HZ),
            prepared(path=folder, sample_rate_hz=RATE_HZ),
        )
    ]
    for key in batches[0]:
        np.testing.assert_array_equal(batches[0][key], batches[1][key])


def test_folders_above_are_enough_where_there_is_one(folders, tmp_path):
    folder = folders["int16"]
    for path in (folder, folder.parent, folder.parent.parent, str(folder) + "/"):
        assert len(prepared(path=path, sample_rate_hz=RATE_HZ)) == 20
    for version in ("1.0.0", "1.1.0"):
        shutil.copytree(folder, tmp_path / "mini" / version)
    with pytest.raises(ValueError, match="several .* give one of them: mini/1.0.0, mini/1.1.0"):
        prepared(path=tmp_path, sample_rate_hz=RATE_HZ)
    with pytest.raises(ValueError, match="several .* give one of them: 1.0.0, 1.1.0"):
        prepared(path=tmp_path / "mini", sample_rate_hz=RATE_HZ)


def test_what_is_no_prepared_data_set(tmp_path):
    with pytest.raises(ValueError, match="is no prepared data set: no mclf.json in it"):
        prepared(path=tmp_path, sample_rate_hz=RATE_HZ)
    for path in (tmp_path / "nowhere", ""):
        with pytest.raises(ValueError, match="no such folder"):
            prepared(path=path, sample_rate_hz=RATE_HZ)


def test_damage_is_noticed(folders, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(folders["int16"], folder)
    prepared(path=folder, sample_rate_hz=RATE_HZ, checksums="verify")
    with pytest.raises(ValueError, match="checksums is '.*'; allowed: first, verify, skip"):
        prepared(path=folder, sample_rate_hz=RATE_HZ, checksums="yes")

    shard = sorted(folder.glob("*.array_record-*"))[0]
    content = shard.read_bytes()
    shard.write_bytes(content[:5000] + b"!!" + content[5002:])
    prepared(path=folder, sample_rate_hz=RATE_HZ, checksums="skip")
    for when in ("first", "verify"):
        with pytest.raises(ValueError, match=f"{shard} is not what .*its checksum is another"):
            prepared(path=folder, sample_rate_hz=RATE_HZ, checksums=when)
    shard.write_bytes(content[:5000])
    with pytest.raises(ValueError, match=f"has 5000 bytes, not {len(content)}"):
        prepared(path=folder, sample_rate_hz=RATE_HZ)
    shard.unlink()
    with pytest.raises(ValueError, match="is missing: the data set was not copied completely"):
        prepared(path=folder, sample_rate_hz=RATE_HZ)

    meta = json.loads((folder / "mclf.json").read_text())
    (folder / "mclf.json").write_text(json.dumps(meta | {"format": 99}))
    with pytest.raises(ValueError, match="has format 99"):
        prepared(path=folder, sample_rate_hz=RATE_HZ)


@pytest.mark.parametrize("encoding", ["int16", "flac"])
def test_shards_that_break_while_in_use_are_audio_errors(folders, tmp_path, encoding):
    shutil.copytree(folders[encoding], tmp_path / "copy")
    source = prepared(path=tmp_path / "copy", sample_rate_hz=RATE_HZ)
    for shard in (tmp_path / "copy").glob("*.array_record-*"):
        shard.write_bytes(b"")
    # the pipeline skips these songs and reports them
    with pytest.raises(AudioError):
        source.read(0, start_sample=0, num_samples=100)


@pytest.mark.skipif(not AUDIO.is_dir(), reason="the folder ../shared/audio is not there")
@pytest.mark.slow
def test_real_audio(tmp_path):
    files = sorted(path for path in AUDIO.rglob("*") if path.suffix in (".mp3", ".ogg", ".wav"))
    chosen = sorted(files, key=lambda path: path.stat().st_size)[:12]
    items = tuple(
        Item(item_id=path.name, file=str(path), labels=(path.suffix, "any")[i % 2 :][:1])
        for i, path in enumerate(chosen)
    )
    catalogue = Catalogue(facts=FACTS, task="single_label", items=items)
    raw = open_catalogue(catalogue, sample_rate_hz=22050)
    for encoding in ("int16", "flac"):
        folder = prepare(catalogue, tmp_path / encoding, encoding=encoding)
        source = prepared(path=folder, sample_rate_hz=22050)
        assert source.item_ids == raw.item_ids
        for i in range(len(raw)):
            assert source.num_samples(i) == raw.num_samples(i)
            window = {"start_sample": raw.num_samples(i) // 3, "num_samples": 30000}
            expected = np.clip(raw.read(i, **window), -1, 1 - 1 / 32768)
            np.testing.assert_allclose(source.read(i, **window), expected, atol=1.1 / 32768)


def test_shards_are_compared_when_a_machine_opens_them_first(folders, tmp_path, monkeypatch):
    folder = tmp_path / "copy"
    shutil.copytree(folders["int16"], folder)
    shards = sorted(folder.glob("*.array_record-*"))
    compared = []
    checksum = files.checksum

    def note(path):
        compared.append(path)
        return checksum(path)

    monkeypatch.setattr(files, "checksum", note)

    def opened(**arguments):
        compared.clear()
        prepared(path=folder, sample_rate_hz=RATE_HZ, **arguments)
        return sorted(path for path in compared if "array_record" in path.name)

    assert opened(checksums="skip") == []
    assert opened() == shards
    assert opened() == []  # which this machine remembers
    assert opened(checksums="verify") == shards
    os.utime(shards[1])
    assert opened() == [shards[1]]


def test_changed_bits_anywhere_are_noticed(folders, tmp_path, fuzz_numbers):
    folder = tmp_path / "copy"
    shutil.copytree(folders["int16"], folder)
    read = [path for path in sorted(folder.iterdir()) if path.name in TABLES or ".arr" in path.name]
    for number in fuzz_numbers:
        rng = random.Random(number)
        path = rng.choice(read)
        content = bytearray(path.read_bytes())
        bit = rng.randrange(8 * len(content))
        content[bit // 8] ^= 1 << bit % 8
        before = path.read_bytes()
        path.write_bytes(content)
        with pytest.raises(ValueError, match=str(folder)):
            prepared(path=folder, sample_rate_hz=RATE_HZ)
        path.write_bytes(before)


@pytest.mark.parametrize("name", ["mclf.json", "items.json"])
def test_damaged_json_names_file_and_field(folders, tmp_path, name):
    folder = tmp_path / "copy"
    shutil.copytree(folders["int16"], folder)
    (folder / "checksums.sha256").unlink()  # as of data that were prepared earlier
    text = (folder / name).read_text()
    changes = itertools.islice(changed_fields(text), 0, None, 5)
    for what, content in (*whole_files(text), *changes):
        (folder / name).write_bytes(content)
        try:
            prepared(path=folder, sample_rate_hz=RATE_HZ)
        except ValueError as error:
            assert str(folder) in str(error), (what, error)
