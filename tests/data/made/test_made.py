"""Made music: scores, labels along time, MIDI, and folders of what a soundfont plays."""

import importlib.util
import os
import struct
import sys
import types
from pathlib import Path

import numpy as np
import pytest

from mclf_jax import data
from mclf_jax.data.made import fonts as font_lib
from mclf_jax.data.made import render as render_lib
from mclf_jax.data.made import write as write_lib
from mclf_jax.data.made.labels import all_labels, labels_of
from mclf_jax.data.made.midi import to_midi
from mclf_jax.data.made.programs import DRUM_OF, DRUMS, PROGRAMS, family_of, range_of
from mclf_jax.data.made.score import TEXTURES, Part, Score, compose
from tests import ROOT

# Unpacked by launch/pretraining_data.sh, where somebody has run it.
PACKAGES = Path(os.environ.get("MCLF_PACKAGES", ROOT.parent / "shared" / "packages"))


def song(index, seed=0):
    return compose(seed=seed, index=index, song_s=12.0, slot_s=3.0)


def part(*notes, program=0, font=0.0):
    return Part(program, font, 0.0, np.array(notes, np.float64))


def test_general_midi_has_128_programs_of_16_families():
    assert len(PROGRAMS) == len(set(PROGRAMS)) == 128
    assert family_of(0) == "piano" and family_of(127) == "sound effect"
    assert PROGRAMS[40] == "violin" and PROGRAMS[104] == "sitar" and PROGRAMS[111] == "shanai"


def test_a_score_is_a_function_of_seed_and_index():
    for index in range(5):
        first, again, other = song(index), song(index), song(index, seed=1)
        for a, b in zip(first.parts, again.parts, strict=True):
            assert a.program == b.program
            np.testing.assert_array_equal(a.notes, b.notes)
        assert [p.program for p in first.parts] != [p.program for p in other.parts] or any(
            not np.array_equal(a.notes, b.notes)
            for a, b in zip(first.parts, other.parts, strict=True)
        )


def test_notes_are_within_the_song_and_the_range_of_their_instrument():
    seen = set()
    for index in range(120):
        score = song(index)
        seen.add(score.texture)
        assert score.parts and len(score.parts) <= 16
        assert (score.tempo_bpm == 0) == (score.texture == "notes")
        for one in score.parts:
            low, high = range_of(one.program)
            onset_s, length_s, pitch, velocity = one.notes.T
            assert (np.diff(onset_s) >= 0).all() and (onset_s >= 0).all()
            assert (onset_s < 12).all() and (length_s > 0).all()
            assert (pitch >= low).all() and (pitch <= high).all()
            assert (velocity >= 1).all() and (velocity <= 127).all()
            if one.program == DRUMS:
                assert set(pitch.astype(int)) <= set(DRUM_OF)
    assert seen == set(TEXTURES)


def test_labels_say_what_is_heard_from_when_to_when():
    score = Score(
        "duo",
        100.0,
        9.0,
        (
            part((0.0, 2.0, 60, 90), (0.0, 2.0, 64, 90), (4.0, 1.0, 40, 90), program=0),
            part((2.98, 0.5, 73, 90), program=73),
            part((4.0, 0.05, 36, 90), (5.0, 0.05, 42, 90), program=DRUMS),
        ),
    )
    assert labels_of(score, start_s=0, end_s=3, effects=["reverb"]) == (
        "program/grand piano",
        "family/piano",
        "chroma/C",
        "chroma/E",
        "register/middle",
        "polyphony/2",
        "tempo/moderate",
        "density/sparse",
        "effect/reverb",
    )
    later = labels_of(score, start_s=3, end_s=6)
    assert {"program/flute", "program/drums", "program/grand piano"} <= set(later)
    assert {"drum/kick", "drum/hi-hat", "chroma/C#", "chroma/E", "polyphony/1"} <= set(later)
    assert {"register/high", "register/low"} <= set(later)
    assert labels_of(score, start_s=6, end_s=9) == ()
    assert set(later) <= set(all_labels())


def test_density_counts_what_begins_together_once():
    chords = [(i * 0.5, 0.3, pitch, 90) for i in range(6) for pitch in (60, 64, 67)]
    score = Score("chords", 120.0, 3.0, (part(*chords),))
    assert "density/medium" in labels_of(score, start_s=0, end_s=3)  # two a second
    assert "polyphony/3" in labels_of(score, start_s=0, end_s=3)


def read_midi(content):
    """(ticks a beat, beat in microseconds, [(channel, program, [(on, off, pitch)])])."""
    size, kind, count, ticks = struct.unpack(">IHHH", content[4:14])
    assert content[:4] == b"MThd" and (size, kind) == (6, 1)
    at, beat_us, tracks = 14, 0, []
    for _ in range(count):
        length = struct.unpack(">I", content[at + 4 : at + 8])[0]
        assert content[at : at + 4] == b"MTrk"
        body, at, i, now = content[at + 8 : at + 8 + length], at + 8 + length, 0, 0
        program, channel, open_, notes = None, None, {}, []
        while i < len(body):
            delta = 0
            while True:
                delta, i = delta << 7 | body[i] & 127, i + 1
                if not body[i - 1] & 128:
                    break
            now += delta
            status = body[i]
            if status == 0xFF:
                if body[i + 1] == 0x51:
                    beat_us = int.from_bytes(body[i + 3 : i + 6], "big")
                i += 3 + body[i + 2]
                continue
            channel = status & 15
            if status >> 4 == 0xC:
                program, i = body[i + 1], i + 2
                continue
            if status >> 4 == 9:
                open_[body[i + 1]] = now
            elif status >> 4 == 8:
                notes.append((open_.pop(body[i + 1]), now, body[i + 1]))
            i += 3
        assert not open_
        if notes:
            tracks.append((channel, program, sorted(notes)))
    assert at == len(content)
    return ticks, beat_us, tracks


def test_midi_has_the_notes_of_the_score():
    score = Score(
        "duo",
        90.0,
        9.0,
        (
            part((0.5, 0.25, 60, 90), (0.75, 8.0, 60, 80), program=41),
            part((1.0, 0.1, 36, 100), program=DRUMS),
        ),
    )
    ticks, beat_us, tracks = read_midi(to_midi(score))
    assert beat_us == round(60e6 / 90)
    (channel, program, notes), (drums, no_program, hits) = tracks
    assert program == 41 and channel != 9 and drums == 9 and no_program is None
    seconds = np.array([note[:2] for note in notes]) / ticks * beat_us / 1e6
    np.testing.assert_allclose(seconds, [[0.5, 0.75], [0.75, 8.75]], atol=1e-3)
    assert [note[2] for note in notes] == [60, 60] and hits[0][2] == 36


def test_fonts_keep_to_their_split_and_to_what_they_play():
    for where in np.linspace(0, 1, 50):
        for split in ("train", "valid"):
            font, kit = font_lib.choose(where, program=5, split=split)
            assert font.split == split and font.plays == "all"
            font, kit = font_lib.choose(where, program=DRUMS, split=split)
            assert font.split == split and 0 <= kit < len(font.drums)
    of = [font_lib.choose(w, program=5, split="train")[0].package for w in np.linspace(0, 1, 101)]
    assert 70 < of.count("fluid-soundfont-gm") < 80  # three parts of four
    with pytest.raises(ValueError, match="plays program 5"):
        font_lib.choose(0.5, program=5, split="train", fonts=font_lib.FONTS[2:])


def test_a_font_that_is_missing_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="FluidR3_GM.sf2 is missing.*pretraining_data.sh"):
        write_lib.write(tmp_path / "made", packages=tmp_path, hours=0.01)


def test_without_tinysoundfont_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "tinysoundfont", None)
    with pytest.raises(ImportError, match="pip install --no-deps tinysoundfont"):
        render_lib.Player({}, sample_rate_hz=8000)


class Tones:
    """In the place of `tinysoundfont.Synth`: a sine for each note, as long as it is held."""

    def __init__(self, gain, samplerate):
        self.samplerate, self.sounding, self.time = samplerate, {}, 0
        self.programs, self.tuning = {}, {}

    def sfload(self, path):
        assert Path(path).is_file()

    def program_select(self, channel, font, bank, preset, is_drums):
        self.programs[channel] = (bank, preset, is_drums)

    def set_tuning(self, channel, semitones):
        self.tuning[channel] = semitones

    def control_change(self, channel, controller, value):
        assert controller == 7 and 0 <= value <= 127

    def noteon(self, channel, pitch, velocity):
        self.sounding[channel, pitch] = velocity / 127 / 8

    def noteoff(self, channel, pitch):
        self.sounding.pop((channel, pitch), None)

    def sounds_off(self):
        self.sounding.clear()

    def generate(self, count):
        at = np.arange(self.time, self.time + count) / self.samplerate
        self.time = (self.time + count) * bool(self.sounding)
        out = np.zeros((count, 2), np.float32)
        for (channel, pitch), level in self.sounding.items():
            hz = 440 * 2 ** ((pitch + self.tuning[channel] - 69) / 12)
            out += (level * np.sin(2 * np.pi * hz * at)).astype(np.float32)[:, None]
        return memoryview(out.tobytes())


@pytest.fixture
def packages(tmp_path, monkeypatch):
    """Packages with empty fonts, which `Tones` plays."""
    module = types.ModuleType("tinysoundfont")
    module.Synth = Tones
    monkeypatch.setitem(sys.modules, "tinysoundfont", module)
    for font in font_lib.FONTS:
        path = tmp_path / "packages" / font.package / font.file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return tmp_path / "packages"


def loudest_hz(audio, rate_hz):
    spectrum = np.abs(np.fft.rfft(audio * np.hanning(len(audio))))
    return np.fft.rfftfreq(len(audio), 1 / rate_hz)[spectrum.argmax()]


def test_formants_move_and_pitches_and_times_do_not(packages):
    player = render_lib.Player(font_lib.find(packages), sample_rate_hz=8000)
    score = Score("melody", 90.0, 2.0, (part((0.5, 1.0, 69, 100)),))
    for semitones in (0.0, -3.0, 2.5):
        audio = player.play(score, split="train", formant_semitones=semitones)
        assert audio.shape == (16000,) and audio.dtype == np.float32
        assert not audio[:3990].any() and audio[4010:11990].any() and not audio[12010:].any()
        assert loudest_hz(audio[4000:12000], 8000) == pytest.approx(440, abs=2)


def test_a_folder_of_made_music_is_a_data_set_that_grows(packages, tmp_path, monkeypatch):
    monkeypatch.setattr(write_lib, "SAMPLE_RATE_HZ", 8000)
    folder = tmp_path / "made"
    how = {"packages": packages, "progress": "off"}
    assert write_lib.write(folder, hours=11 * 12 / 3600, **how) == 11
    before = {path.name: path.read_bytes() for path in (folder / "audio").iterdir()}
    rows = (folder / "manifest.csv").read_text().splitlines()
    assert write_lib.write(folder, hours=12 * 12 / 3600, **how) == 12
    after = {path.name: path.read_bytes() for path in (folder / "audio").iterdir()}
    assert len(before) == 11 and len(after) == 12 and before.items() <= after.items()
    assert len(list((folder / "midi").iterdir())) == 12
    assert (folder / "manifest.csv").read_text().splitlines()[: len(rows)] == rows
    (folder / "audio" / "000003.flac").unlink()  # as if killed; made again, whatever came before it
    write_lib.write(folder, hours=12 * 12 / 3600, **how)
    again = {path.name: path.read_bytes() for path in (folder / "audio").iterdir()}
    assert again == after

    source = data.build("folder", path=str(folder), sample_rate_hz=8000)
    assert source.info.task == "multi_label" and set(source.info.labels) <= set(all_labels())
    assert {name: len(found) > 0 for name, found in source.info.splits.items()} == dict.fromkeys(
        ("train", "valid", "test"), True
    )
    of_group = {}
    for split, found in source.info.splits.items():
        for i in found:
            assert of_group.setdefault(source.info.groups[i], split) == split
    example = source[0]
    assert example["audio"].shape == (24000,) and example["label"].sum() >= 4
    assert 0.05 < np.abs(example["audio"]).max() <= 1


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("tinysoundfont") is None, reason="tinysoundfont is not installed"
)
@pytest.mark.skipif(
    not all((PACKAGES / font.package / font.file).is_file() for font in font_lib.FONTS),
    reason="MCLF_PACKAGES names no folder with the soundfonts of launch/pretraining_data.sh",
)
def test_soundfonts_play_the_pitches_of_the_score():
    player = render_lib.Player(font_lib.find(PACKAGES), sample_rate_hz=22050)
    flute = Score("melody", 90.0, 2.0, (part((0.2, 1.5, 69, 100), program=73),))
    for split in ("train", "valid"):
        audio = player.play(flute, split=split)
        assert loudest_hz(audio[8000:30000], 22050) % 440 == pytest.approx(0, abs=6)
    busy = song(3)
    first = render_lib.render(player, busy, seed=0, index=3, split="train")
    render_lib.render(player, song(7), seed=0, index=7, split="train")
    again = render_lib.render(player, busy, seed=0, index=3, split="train")
    np.testing.assert_array_equal(first, again)
