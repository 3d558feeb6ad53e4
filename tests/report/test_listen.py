"""The listening page: what its players hold, what it says, and the command that writes it."""

import base64
import dataclasses
import io
import re
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from mclf_jax.cli import main as cli
from mclf_jax.report.listen import NUM_DRAWS, _label, write_listening_page
from mclf_jax.run import experiment
from tests.report.parsed import HOSTILE, Page
from tests.songs import Songs
from tests.tiny import tiny_config

CHAIN = (
    ("gain", 0.5, {"min_db": -20.0, "max_db": -20.0}),
    ("polarity_inversion", 1.0, {}),
)


@pytest.fixture(autouse=True)
def quiet_songs(monkeypatch):
    """Those of the tests lie around their number, which no file of samples can hold."""
    read = Songs.read

    def scaled(self, index, **where):
        return (read(self, index, **where) - index).astype(np.float32)

    monkeypatch.setattr(Songs, "read", scaled)


def write(folder, *, num_songs=2, **changes):
    config = tiny_config(**changes)
    path = write_listening_page(config, folder / "a" / "x.html", title="a <b>", num_songs=num_songs)
    return config, path.read_text(encoding="utf-8")


def players(page):
    """[(label, samples [T])], and all of them at the rate of the songs."""
    found = []
    for label, data in re.findall(
        r'<audio controls[^>]*aria-label="([^"]*)" src="data:audio/flac;base64,([^"]+)"', page
    ):
        audio, rate_hz = soundfile.read(io.BytesIO(base64.b64decode(data)), dtype="float32")
        assert rate_hz == 1000
        found.append((label, audio))
    return found


@pytest.mark.slow
def test_players_hold_the_windows_and_what_becomes_of_them(tmp_path):
    config, page = write(tmp_path, augment__chain=CHAIN)
    heard = players(page)
    draws = [f"Draw {i}" for i in range(1, NUM_DRAWS + 1)]
    assert [label for label, _ in heard] == 2 * ["Original", "Gain", "PolarityInversion", *draws]
    parts = experiment.build(config)
    first, last = parts.indices("train")[[0, -1]]
    for index, (original, quieter, inverted, *drawn) in (
        (first, [audio for _, audio in heard[: 3 + NUM_DRAWS]]),
        (last, [audio for _, audio in heard[3 + NUM_DRAWS :]]),
    ):
        start = (parts.source.num_samples(index) - 500) // 2
        expected = parts.source.read(index, start_sample=start, num_samples=500)
        np.testing.assert_allclose(original, expected, atol=1e-4)
        np.testing.assert_allclose(quieter, expected / 10, atol=1e-4)
        np.testing.assert_allclose(inverted, -expected, atol=1e-4)
        for audio in drawn:
            factor = np.round(audio @ expected / (expected @ expected), 2)
            assert factor in (-1.0, -0.1)
    assert "In 50 % of windows: Gain(min_db=-20.0, max_db=-20.0)" in page
    assert "In every window: PolarityInversion()" in page
    assert page.count("<svg") == len(heard)


def test_the_page_stands_alone_and_escapes(tmp_path, monkeypatch):
    original = Songs.__post_init__

    def hostile_labels(self):
        original(self)
        labels = (f"low {HOSTILE}", f"high {HOSTILE}")
        self.info = dataclasses.replace(self.info, labels=labels)

    monkeypatch.setattr(Songs, "__post_init__", hostile_labels)
    monkeypatch.setattr(Songs, "item_id", lambda self, index: f"song {HOSTILE}")
    config = tiny_config(augment__chain=CHAIN)
    path = write_listening_page(config, tmp_path / "x.html", title=f"title {HOSTILE}", num_songs=1)
    page = Page(path.read_text(encoding="utf-8"))
    for begin in ("title", "song", "low"):
        assert f"{begin} {HOSTILE}" in page.text
    assert "random_apply(Gain(min_db=-20.0, max_db=-20.0), p=0.5)" in page.text


def test_all_players_of_a_song_are_turned_down_by_one_factor(tmp_path):
    chain = (("gain", 1.0, {"min_db": 20.0, "max_db": 20.0}),)
    _, page = write(tmp_path, num_songs=1, augment__chain=chain)
    (_, original), (_, louder), *_ = players(page)
    assert 0.99 < np.abs(louder).max() <= 1
    np.testing.assert_allclose(louder, 10 * original, atol=2e-3)
    assert "All players of this song are turned down by" in page


def test_long_windows_are_heard_in_part(tmp_path):
    changes = {"model__window_s": 8.0, "augment__chain": (("reverse", 1.0, {}),)}
    _, page = write(tmp_path, num_songs=1, **changes)
    assert "windows of 8 s at 1000 Hz, of which the first 5 s are heard" in page
    assert {len(audio) for _, audio in players(page)} == {5000}


def test_spectrogram_augmentations_are_pictures(tmp_path):
    masks = {"augment__num_time_masks": 2, "augment__mixup_alpha": 0.4}
    _, page = write(tmp_path, num_songs=1, augment__chain=CHAIN, **masks)
    assert "Spectrograms, as the network sees them" in page
    assert page.count("<svg") == len(players(page)) + 1 + NUM_DRAWS
    assert "TimeMask(num_masks=2, max_fraction=0.1)" in page and "Mixup(alpha=0.4)" in page


def test_songs_that_cannot_be_read_are_passed_over(tmp_path, monkeypatch):
    original = Songs.__post_init__

    def break_all_but_one(self):
        original(self)
        self.broken = tuple(i for i in range(24) if i != 15)

    monkeypatch.setattr(Songs, "__post_init__", break_all_but_one)
    _, page = write(tmp_path, num_songs=3, augment__chain=CHAIN)
    assert re.findall(r'<h2 id="song\d">([^<]*)', page) == ["song 15"]


@pytest.mark.slow
def test_the_command(tmp_path, capsys):
    """On a config without a chain, which is what most users begin with."""
    out = tmp_path / "listen.html"
    arguments = ["data", "listen", "--config", "configs/quickstart.py", "--out", str(out)]
    arguments += ["--songs", "1", "--config.data.args.num_songs=30"]
    assert cli.main(arguments) == 0
    said = capsys.readouterr().out
    assert "changes no waveforms; the page lets you hear the preset clmr" in said
    assert said.splitlines()[-1] == str(out)
    page = out.read_text(encoding="utf-8")
    assert "This config changes no waveforms in training." in page
    assert page.count("<audio") == 1 + 7 + NUM_DRAWS
    assert cli.main([*arguments, "--config.augment.waveform=tutorial"]) == 0
    assert "preset" not in capsys.readouterr().out
    assert "changes no waveforms" not in out.read_text(encoding="utf-8")


def test_songs_without_a_data_set_and_two_chains_side_by_side(tmp_path, capsys):
    noise = np.random.default_rng(0).standard_normal(9000) / 20
    soundfile.write(tmp_path / "song.wav", noise, 8000)
    out = tmp_path / "two.html"
    command = ["data", "listen", "--audio", str(tmp_path / "song.wav"), "--out", str(out)]
    chain = '(("gain", 1.0, {"min_db": -20.0, "max_db": -20.0}),)'
    turned = '[["polarity_inversion", 1.0, {}]]'
    assert cli.main([*command, "--chain", chain, "--chain", turned]) == 0
    text = out.read_text(encoding="utf-8")
    assert text.count("<audio") == 1 + 2 + 2 * NUM_DRAWS
    assert text.count('class="players two"') == 1
    assert "Gain(min_db=-20.0" in text and "PolarityInversion()" in text
    for wrong, message in (
        (["--chain", "loud"], "augment.waveform is 'loud'; allowed"),
        (["--chain", "(1"], "chain '(1' cannot be read"),
        (["--config", "quickstart"], "say what to hear: --config"),
    ):
        assert cli.main([*command, *wrong]) == 1
        assert message in capsys.readouterr().err


def test_errors(tmp_path, capsys):
    with pytest.raises(ValueError, match="num_songs is 0; it must be at least 1"):
        write(tmp_path, num_songs=0)
    arguments = [
        "data",
        "listen",
        "--config",
        "configs/quickstart.py",
        "--out",
        str(tmp_path / "x"),
    ]
    assert cli.main([*arguments, "--config.augment.waveform=loud"]) == 1
    assert "mclf data listen: augment.waveform is 'loud'; allowed: " in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        cli.main(["data"])
    with pytest.raises(SystemExit, match="2"):
        cli.main([*arguments, "--top", "3"])


def test_what_is_said_of_a_song_before_listening():
    labels = [np.array([np.nan, 1.0]), np.array([np.nan, 0.0])]
    info = SimpleNamespace(task="multi_label", labels=("a", "b"))
    parts = SimpleNamespace(source=SimpleNamespace(info=info, targets=labels))
    assert [_label(parts, index) for index in range(2)] == ["b", "no label"]
    info.task = "regression"
    assert _label(parts, 0) == "a unknown, b 1"
