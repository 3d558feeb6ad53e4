"""A piece scores alike as WAV, FLAC, Ogg, MP3 and AAC: real music, by how much at most."""

import numpy as np
import pytest
import soundfile
import soxr

import mclf_jax as mclf
from tests import SHARED
from tests.small_run import write_run

PIECES = SHARED / "audio" / "pieces"
NAMES = ("brahms_hungarian_dance_5", "lets_go_fishin", "vibe_ace", "solo_trumpet")
RATE_HZ = 44100
# Of a network by chance; docs/exporting.md says what that of the quick start differs by.
MOST = {"flac": 1e-6, "ogg": 0.2, "mp3": 0.2, "m4a": 0.06}
LOG_MEL = {"sample_rate_hz": 16000, "n_fft": 512, "hop_length": 256, "n_mels": 32}

pytestmark = pytest.mark.skipif(not PIECES.exists(), reason="../shared/audio/pieces is not there")


@pytest.fixture(scope="module")
def pieces():
    """16-bit, stereo: 4 s of each piece, and .46 s of one, which are repeated to fill a window."""
    found = {}
    for name in NAMES:
        sound, rate_hz = soundfile.read(PIECES / f"{name}.ogg", stop=100_000, always_2d=True)
        sound = soxr.resample(sound.mean(axis=1), rate_hz, RATE_HZ)[: 4 * RATE_HZ]
        found[name] = np.int16(30000 * np.stack([sound, sound], axis=1).clip(-1, 1))
    return found | {"short": found["solo_trumpet"][RATE_HZ : RATE_HZ + 20_184]}


@pytest.fixture(scope="module")
def tagger(tmp_path_factory, pieces):
    """Of a network that tells windows of these pieces apart as well as it can by chance."""
    heard = [soxr.resample(piece.mean(axis=1) / 32768, RATE_HZ, 16000) for piece in pieces.values()]
    windows = np.stack([np.resize(x, 64000)[at : at + 16000] for x in heard for at in (0, 40000)])
    run = tmp_path_factory.mktemp("run") / "run"
    return mclf.load(
        write_run(run, windows.astype(np.float32), features=LOG_MEL, window_s=1.0, n_channels=8)
    )


@pytest.mark.slow  # tests/audio/files hold lengths and places of every format
def test_a_piece_scores_alike_in_every_format(pieces, tagger, tmp_path):
    pytest.importorskip("av")
    from tests.audio.files import containers

    def scores(path):
        return np.array(list(tagger.predict(path).values()))

    differences = {kind: [] for kind in MOST}
    all_scores = []
    for name, piece in pieces.items():
        path = tmp_path / f"{name}.wav"
        soundfile.write(path, piece, RATE_HZ)
        all_scores.append(wanted := scores(path))
        for kind in MOST:
            path = tmp_path / f"{name}.{kind}"
            sound = piece / np.float32(32768)
            if kind == "m4a":
                path.write_bytes(containers.encoded("aac.m4a", sounds=[sound.T]))
            elif kind == "flac":
                soundfile.write(path, piece, RATE_HZ)
            else:
                with soundfile.SoundFile(path, "w", RATE_HZ, 2) as file:
                    for start in range(0, len(sound), 4096):
                        file.write(sound[start : start + 4096])
            differences[kind].append(np.abs(scores(path) - wanted).max())
    for kind, most in MOST.items():
        assert max(differences[kind]) <= most, (kind, differences[kind])
    assert np.ptp(all_scores, axis=0).max() > 0.2  # it is no network that says one thing of all
