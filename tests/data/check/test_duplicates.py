"""Copies that were planted are found, and nothing else."""

import dataclasses
import io

import numpy as np
import pytest
import soundfile

from mclf_jax.data import check
from mclf_jax.data.base.source import Info, Source
from tests.data.check.made import RATE_HZ, folder, labelled, song, verdicts


def _ogg(sound, *, gain=1.0):
    file = io.BytesIO()
    soundfile.write(file, gain * sound, RATE_HZ, format="OGG", compression_level=0.99)
    return file.getvalue()


def _check(root, songs):
    source = folder(root, songs)
    return check.check(source, num_workers=2, progress="off")


def _found(result):
    """[(kind, one, other)] by file name."""
    return [
        (match.kind, *(result.item_ids[i].split("/")[-1] for i in (match.first, match.second)))
        for match in result.duplicates.matches
    ]


CLEAN = {
    f"{split}/{split}{i}/{split}{i}.wav": song(seed)
    for seed, (split, i) in enumerate((s, i) for s in ("train", "valid", "test") for i in range(3))
}


def test_a_clean_set(tmp_path):
    result = _check(tmp_path, CLEAN)
    assert _found(result) == []
    assert result.leaks == ()
    assert verdicts(result.findings, "no recording is there twice") == ["passed"]
    assert result.duplicates.num_too_short == 0


def test_a_planted_near_duplicate(tmp_path):
    copy = _ogg(CLEAN["train/train0/train0.wav"], gain=0.5)
    result = _check(tmp_path, {**CLEAN, "test/other/copy.ogg": copy})
    assert _found(result) == [("near duplicate", "copy.ogg", "train0.wav")]
    (leak,) = result.leaks
    assert leak.topic == "duplicates"
    assert "copy.ogg [test] = train/train0/train0.wav [train]" in leak.details[0]
    assert result.duplicates.matches[0].similarity > 0.8
    assert "1 leak(s)" in result.summary()


def test_exact_copies(tmp_path):
    sound = (20_000 * song(0)).astype(np.int16)
    file = io.BytesIO()
    soundfile.write(file, sound, RATE_HZ, format="WAV")
    result = _check(
        tmp_path,
        {
            **CLEAN,
            "train/train0/train0.wav": sound,
            "valid/x/same.wav": file.getvalue(),
            "valid/y/same.flac": sound,
        },
    )
    kinds = {name: kind for kind, *names in _found(result) for name in names}
    assert kinds["same.flac"] == "same audio"
    assert {"same file", "same audio"} == {kind for kind, *_ in _found(result)}
    assert [len(cluster) for cluster in result.duplicates.clusters] == [3]
    assert len(result.leaks) == 1


def test_an_excerpt_and_a_sample(tmp_path):
    long = song(50, seconds=16)
    mixed = song(51, seconds=16)
    mixed[32_000:96_000] = song(0)[20_000:84_000]
    result = _check(
        tmp_path,
        {
            "train/long/long.wav": long,
            "valid/v/v.wav": song(1),
            "test/e/excerpt.wav": long[100_001:180_000],
            "train/zero/zero.wav": song(0, seconds=8),
            "test/m/mixed.wav": mixed,
        },
    )
    # 4 s of 8 s and 16 s: half of the shorter one or a little less
    assert ("near duplicate", "excerpt.wav", "long.wav") in _found(result)
    excerpt = next(m for m in result.duplicates.matches if "excerpt" in result.item_ids[m.first])
    assert excerpt.offset_s == pytest.approx(100_001 / RATE_HZ, abs=0.07)
    assert len(result.duplicates.matches) == 2
    assert any("mixed.wav" in names for names in _found(result))


def test_a_shared_passage_warns(tmp_path):
    one, other = song(0, seconds=16), song(1, seconds=16)
    other[32_000:112_000] = one[100_000:180_000]  # 5 of 16 s
    result = _check(
        tmp_path,
        {"train/one/one.wav": one, "valid/v/v.wav": song(2), "test/other/other.wav": other},
    )
    assert _found(result) == [("shared passage", "other.wav", "one.wav")]
    assert result.duplicates.clusters == () and result.leaks == ()
    assert verdicts(result.findings, "share a passage") == ["warning"]


def test_copies_with_other_labels_contradict(tmp_path):
    songs = {"train/x/x.wav": song(0), "train/y/y.wav": song(0), "valid/z/z.wav": song(1)}
    result = _check(tmp_path, songs)
    assert verdicts(result.findings, "under different labels") == ["warning"]
    assert verdicts(result.findings, "more than once in one split") == ["note"]
    assert result.leaks == ()


def test_short_notes_are_not_compared(tmp_path):
    time_s = np.arange(2 * RATE_HZ) / RATE_HZ
    tone = np.sin(2 * np.pi * 440 * time_s) * np.exp(-time_s)
    notes = {
        f"{split}/{split}/{split}.wav": gain * tone
        for split, gain in (("train", 0.5), ("valid", 0.3), ("test", 0.2))
    }
    result = _check(tmp_path, notes)
    assert _found(result) == []
    assert result.duplicates.num_too_short == 3
    assert verdicts(result.findings, "too short or too sparse") == ["note"]


def test_silence_is_not_a_duplicate_of_silence(tmp_path):
    quiet = np.full(8 * RATE_HZ, 1e-4)
    quiet[::2] = -1e-4
    result = _check(
        tmp_path,
        {"train/x/x.wav": quiet, "valid/y/y.wav": quiet, "test/z/z.wav": song(0)},
    )
    assert _found(result) == []


@dataclasses.dataclass
class InMemory(Source):
    """A source whose audio is in no file of its own, as that of a prepared data set."""

    info: Info
    songs: list

    @property
    def labels(self):
        return np.arange(len(self.songs), dtype=np.int32) % 2

    def num_samples(self, index):
        return len(self.songs[index])

    def read(self, index, *, start_sample, num_samples):
        return self.songs[index][start_sample : start_sample + num_samples]

    def item_id(self, index):
        return f"song{index}"


def test_audio_without_files():
    songs = [song(seed) for seed in range(5)]
    songs.append(0.5 * songs[0][20_000:])
    songs.append(songs[1].copy())
    splits = {"train": np.arange(4), "test": np.arange(4, 7)}
    labels = labelled([0, 1] * 3 + [0], splits=splits, task="single_label")
    result = check.check(InMemory(labels.info, songs), progress="off")
    assert _found(result) == [
        ("near duplicate", "song0", "song5"),
        ("same audio", "song1", "song6"),
    ]
    assert result.duplicates.matches[0].offset_s == pytest.approx(-20_000 / RATE_HZ, abs=0.05)
    assert {heard.format for heard in result.audio} == {""}
    assert len(result.leaks[0].details) == 2
