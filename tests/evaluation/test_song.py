"""Songs on object storage are fetched, and what cannot be is told by its address."""

import pytest

from mclf_jax.audio.decode import AudioError
from mclf_jax.common.storage import places, tries
from mclf_jax.evaluation.song import Song
from tests.audio.broken import encoded

URL = "s3://bucket/song.wav"


class Storage:
    """It has what it was told, or answers with an error."""

    def __init__(self):
        self.found, self.asked = {}, 0

    def cat_file(self, url):
        self.asked += 1
        answer = self.found[url]
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def storage(monkeypatch):
    one = Storage()
    monkeypatch.setattr(places, "filesystem", lambda scheme: one)
    monkeypatch.setattr(tries, "_FIRST_WAIT_S", 0)
    return one


def test_a_song_is_fetched(storage):
    storage.found[URL] = encoded("wav", duration_s=1)
    song = Song(URL, rate=1000, sample_rate_hz=None)
    assert (song.name, song.length) == (URL, 1000)


@pytest.mark.parametrize(
    ("answer", "asked", "reason"),
    [
        (b"", 1, "the file is empty"),
        (FileNotFoundError(2, "x"), 1, "no such file"),
        (OSError(5, "Input/output error"), 7, "fetching it failed 7 times"),
    ],
)
def test_one_that_cannot_be_is_told(storage, answer, asked, reason):
    storage.found[URL] = answer
    with pytest.raises(AudioError, match=f"^{URL}: {reason}"):
        Song(URL, rate=1000, sample_rate_hz=None)
    assert storage.asked == asked


def test_other_addresses_are_refused(storage):
    with pytest.raises(AudioError, match="http://host/song.wav; allowed: .* gs://BUCKET"):
        Song("http://host/song.wav", rate=1000, sample_rate_hz=None)
    assert not storage.asked
