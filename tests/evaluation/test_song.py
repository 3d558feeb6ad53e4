"""Songs on object storage are fetched, and what cannot be is told by its address."""

import pytest
from etils import epath

from mclf_jax.audio.decode import AudioError
from mclf_jax.evaluation.song import Song
from tests.audio.broken import encoded

URL = "s3://bucket/song.wav"


@pytest.fixture
def stored(monkeypatch):
    """What a storage has, or the error that it answers with, by address."""
    found = {}

    def read_bytes(self):
        answer = found[str(self)]
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(type(epath.Path(URL)), "read_bytes", read_bytes)
    return found


def test_a_song_is_fetched(stored):
    stored[URL] = encoded("wav", duration_s=1)
    song = Song(URL, rate=1000, sample_rate_hz=None)
    assert (song.name, song.length) == (URL, 1000)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"", "the file is empty"),
        (FileNotFoundError(2, "x"), "no such file"),
        (OSError(5, "Input/output error"), "it cannot be fetched"),
    ],
)
def test_one_that_cannot_be_is_told(stored, answer, reason):
    stored[URL] = answer
    with pytest.raises(AudioError, match=f"^{URL}: {reason}"):
        Song(URL, rate=1000, sample_rate_hz=None)
    with pytest.raises(AudioError, match="no such storage"):
        Song("http://host/song.wav", rate=1000, sample_rate_hz=None)
