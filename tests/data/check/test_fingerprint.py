"""Landmarks outlast what happens to copies, and are not shared by other music."""

import io

import numpy as np
import pytest
import soundfile
import soxr

from mclf_jax.data.check import candidates, fingerprint
from tests.data.check.made import song

RATE_HZ = fingerprint.RATE_HZ


def _song(seed, *, seconds=20.0):
    return song(seed, seconds=seconds, rate_hz=RATE_HZ)


def _encoded(audio, *, container, subtype, rate_hz):
    file = io.BytesIO()
    sound = soxr.resample(audio, RATE_HZ, rate_hz)
    soundfile.write(file, sound, rate_hz, format=container, subtype=subtype, compression_level=0.99)
    file.seek(0)
    return soxr.resample(soundfile.read(file, dtype="float32")[0], rate_hz, RATE_HZ)


def _noisy(audio):
    noise = np.random.default_rng(0).standard_normal(len(audio)).astype(np.float32)
    return audio + 10 ** (-20 / 20) * np.std(audio) * noise


DAMAGES = {
    "half the amplitude": lambda a: 0.5 * a,
    "MP3 at the lowest quality": lambda a: _encoded(
        a, container="MP3", subtype="MPEG_LAYER_III", rate_hz=16000
    ),
    "Ogg at the lowest quality": lambda a: _encoded(
        a, container="OGG", subtype="VORBIS", rate_hz=8000
    ),
    "eight bits": lambda a: np.round(127 * a) / 127,
    "noise at 20 dB": _noisy,
    "a cut of 6 s": lambda a: a[50_123:98_123],
    "cut, encoded, quieter": lambda a: (
        0.5 * _encoded(a[30_777:], container="OGG", subtype="VORBIS", rate_hz=8000)
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_copies_share_a_passage(damage):
    original = _song(0)
    copy = DAMAGES[damage](original).astype(np.float32)
    shared = candidates.shared_passage(fingerprint.landmarks(original), fingerprint.landmarks(copy))
    assert shared.share > 0.1
    passage_s = (shared.stop_frame - shared.start_frame) * fingerprint.HOP_S
    assert passage_s > 0.75 * len(copy) / RATE_HZ
    cut_s = {"a cut of 6 s": 50_123, "cut, encoded, quieter": 30_777}.get(damage, 0) / RATE_HZ
    assert shared.offset_frames * fingerprint.HOP_S == pytest.approx(-cut_s, abs=0.07)


def test_other_music_shares_nothing():
    marks = [fingerprint.landmarks(_song(seed)) for seed in range(8)]
    assert all(len(found) > 100 for found in marks)
    index = candidates.build(marks)
    for a in range(8):
        for b in candidates.partners(index, marks[a], item=a):
            assert candidates.shared_passage(marks[a], marks[b]) is None


def test_the_index_finds_partners_once():
    songs = [_song(seed) for seed in range(4)]
    marks = [fingerprint.landmarks(audio) for audio in (*songs, songs[1][8000:], songs[1])]
    index = candidates.build(marks)
    found = {a: candidates.partners(index, marks[a], item=a) for a in range(len(marks))}
    assert set(found[1]) >= {4, 5} and 5 in found[4]
    assert all(b > a for a, partners in found.items() for b in partners)


def test_a_sample_in_another_song():
    one, other = _song(0), _song(1)
    other[40_000:80_000] = one[100_000:140_000]
    shared = candidates.shared_passage(fingerprint.landmarks(one), fingerprint.landmarks(other))
    start_s, stop_s = (f * fingerprint.HOP_S for f in (shared.start_frame, shared.stop_frame))
    assert 11.5 < start_s < 14 and 16 < stop_s < 19  # 12.5 to 17.5 s of the first
    assert shared.offset_frames * fingerprint.HOP_S == pytest.approx(-7.5, abs=0.07)


def test_thinning_keeps_the_same_hashes_everywhere():
    original = _song(0)
    whole, thin = (fingerprint.landmarks(original, keep_one_in=k) for k in (1, 4))
    assert 0.15 < len(thin) / len(whole) < 0.35
    kept = set(thin.hashes.tolist())
    assert np.isin(whole.hashes, list(kept)).sum() == len(thin)
    copy = fingerprint.landmarks(0.5 * original, keep_one_in=4)
    np.testing.assert_array_equal(copy.hashes, thin.hashes)


def test_thinning_begins_where_memory_would_run_out():
    hours = candidates.MAX_LANDMARKS / fingerprint.PER_S / 3600
    assert candidates.thinning(0.99 * hours * 3600) == 1
    assert candidates.thinning(1.01 * hours * 3600) == 2
    assert candidates.thinning(10 * hours * 3600) == 10


@pytest.mark.parametrize("audio", [np.zeros(RATE_HZ), np.zeros(10), np.full(RATE_HZ, 0.5)])
def test_nothing_to_hear_has_no_landmarks(audio):
    assert len(fingerprint.landmarks(audio.astype(np.float32))) == 0


def test_loops_are_found_although_their_hashes_repeat():
    bar = _song(3, seconds=2.0)
    loop = np.tile(bar, 15)
    marks = [fingerprint.landmarks(a) for a in (loop, loop[33_000:], _song(4))]
    index = candidates.build(marks)
    assert candidates.partners(index, marks[0], item=0) == [1]
    shared = candidates.shared_passage(marks[0], marks[1])
    assert (shared.stop_frame - shared.start_frame) * fingerprint.HOP_S > 20
