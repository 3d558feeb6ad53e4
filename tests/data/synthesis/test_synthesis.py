"""The musicians behind `synthetic`: patterns, scores, tones, and a mix that has what it says."""

import dataclasses

import numpy as np
import pytest

from mclf_jax.data.synthesis import mixer
from mclf_jax.data.synthesis.composer import compose, draw_artist, place
from mclf_jax.data.synthesis.instruments import (
    MELODIC,
    PITCHED,
    VOICES,
    draw_patch,
    energy,
    noise,
    strokes,
    tone,
)
from mclf_jax.data.synthesis.score import INSTRUMENTS
from mclf_jax.data.synthesis.styles import MODES, STYLES

RATE_HZ = 16000
SCORES = [compose(seed=0, index=index, song_s=10.0) for index in range(40)]


def _render(score, start_sample=0, num_samples=10 * RATE_HZ):
    return mixer.render(
        score, sample_rate_hz=RATE_HZ, start_sample=start_sample, num_samples=num_samples
    )


@pytest.mark.parametrize("name", STYLES)
def test_patterns_fill_the_bar_with_known_signs(name):
    style = STYLES[name]
    steps = style.steps
    grooves = [pattern for groove in style.drums for pattern in groove.values()]
    for patterns, signs in (
        (style.lead, ".-xXo"),
        (style.chords, ".-xXo0123"),
        (style.bass, ".-13568"),
        (grooves, ".-xXo"),
    ):
        for pattern in patterns:
            assert set(pattern) <= set(signs + "|"), pattern
            for bar in pattern.split("|"):
                assert len(bar) == steps and bar[0] != "-", pattern
    assert len(style.lead) >= 3
    assert all(voice in VOICES for groove in style.drums for voice in groove)
    assert all(len(progression) % 4 == 0 for progression in style.progressions)
    assert set(style.modes) <= set(MODES) and set(style.preference) <= set(MELODIC)
    assert steps % style.chords_per_bar == 0


def test_styles_differ_in_metre_and_tempo():
    assert len({(s.beats_per_bar, s.steps_per_beat) for s in STYLES.values()}) >= 4
    for score in SCORES:
        assert score.style.low_bpm <= score.tempo_bpm <= score.style.high_bpm


def test_two_songs_an_artist():
    placed = [place(index) for index in range(600)]
    assert all(placed.count(artist) == 2 for artist in set(placed))
    assert all(score.artist.style == place(i)[0] for i, score in enumerate(SCORES))


def test_artists_differ_and_are_consistent():
    one, same, other = (draw_artist(0, "waltz", number) for number in (3, 3, 4))
    assert one == same
    assert one.patches != other.patches and one.kit != other.kit and one.room != other.room
    assert draw_artist(1, "waltz", 3).kit != one.kit


def test_songs_begin_together_and_come_home():
    for score in SCORES:
        assert score.chords[-1][0] == score.tonic
        bar_s = score.bar_s
        lead = next(part for part in score.parts if part.role == "lead")
        whole = lead.pitch[lead.start_s < int(score.song_s / bar_s) * bar_s - 0.03]
        assert whole[-1] % 12 == score.tonic
        assert all(0 <= pc < 12 for chord in score.chords for pc in chord)
        for part in score.parts:
            assert part.start_s.min() >= 0 and part.start_s.max() < score.song_s


def test_notes_belong_to_the_mode_and_the_chords():
    for score in SCORES:
        mode = MODES[score.mode]
        chord_tones = {pc for chord in score.chords for pc in chord}
        allowed = {(score.tonic + step) % 12 for step in (*mode.harmony, *mode.melody)}
        for part in score.parts:
            if part.instrument == "drums":
                continue
            pitch_classes = set((part.pitch % 12).tolist())
            sixths = {(chord[0] + 9) % 12 for chord in score.chords}
            assert pitch_classes <= allowed | chord_tones | (
                sixths if part.role == "bass" else set()
            )
            assert part.pitch.min() >= 28 and part.pitch.max() <= 100


def test_chords_move_by_small_steps():
    moves = []
    for score in SCORES:
        chords = next(part for part in score.parts if part.role == "chords")
        slot_s = score.bar_s / score.style.chords_per_bar
        tops = [
            chords.pitch[
                (chords.start_s >= slot * slot_s - 0.05)
                & (chords.start_s < (slot + 1) * slot_s - 0.05)
            ]
            for slot in range(len(score.chords))
        ]
        means = [pitches.mean() for pitches in tops if len(pitches)]
        moves += np.abs(np.diff(means)).tolist()
    assert np.mean(moves) < 4.0


def test_melodies_repeat_their_motifs():
    """Some bars share their rhythm."""
    for score in SCORES:
        bar_s = score.bar_s
        steps = score.style.steps
        lead = next(part for part in score.parts if part.role == "lead")
        bars = np.floor((lead.start_s + 0.05) / bar_s).astype(int)
        rhythms = [
            tuple(np.round((lead.start_s[bars == bar] / bar_s - bar) * steps).astype(int).tolist())
            for bar in range(int(score.song_s / bar_s) - 1)
        ]
        if len(rhythms) >= 4:
            assert len(set(rhythms)) < len(rhythms)


def test_emotion_follows_mode_and_tempo():
    valence = np.array([score.emotion["valence"] for score in SCORES])
    arousal = np.array([score.emotion["arousal"] for score in SCORES])
    brightness = np.array([MODES[score.mode].brightness for score in SCORES])
    tempo = np.log([score.tempo_bpm for score in SCORES])
    assert np.abs(np.stack([valence, arousal])).max() <= 1
    assert np.corrcoef(valence, brightness)[0, 1] > 0.8
    assert np.corrcoef(arousal, tempo)[0, 1] > 0.7
    assert valence[brightness > 0.5].min() > valence[brightness < -0.5].max()


def test_every_tagged_instrument_sounds_in_every_four_seconds():
    for score in SCORES[:20]:
        assert score.instruments == tuple(
            name for name in INSTRUMENTS if name in {part.instrument for part in score.parts}
        )
        mix = _render(score)
        for part in score.parts:
            alone = _render(dataclasses.replace(score, parts=(part,)))
            # The same part without the others is louder by what the others took.
            total = sum(10 ** (p.level_db / 10) for p in score.parts)
            share = np.sqrt(10 ** (part.level_db / 10) / total)
            for start in range(0, 6 * RATE_HZ + 1, 2 * RATE_HZ):
                window = slice(start, start + 4 * RATE_HZ)
                of_part_db = 20 * np.log10(share * alone[window].std() / mix[window].std())
                assert of_part_db > -18, (score.artist.style, part.role, start)


def test_loudness_is_that_of_the_score():
    errors_db = [
        20 * np.log10(np.sqrt(np.mean(_render(score) ** 2))) - score.loudness_db for score in SCORES
    ]
    assert abs(np.mean(errors_db)) < 1 and np.std(errors_db) < 2.5
    assert np.max(np.abs(errors_db)) < 5


@pytest.mark.parametrize("index", range(10))
def test_onsets_repeat_with_the_bar(index):
    """The envelope's autocorrelation is high at one or two bars and low a little beside them."""
    score = SCORES[index]
    frames = np.lib.stride_tricks.sliding_window_view(_render(score), 512)[::160]  # 10 ms apart
    spectrum = np.abs(np.fft.rfft(frames * np.hanning(512), axis=1))
    flux = np.maximum(np.diff(np.log(spectrum + 1e-4), axis=0), 0).mean(axis=1)
    flux -= flux.mean()
    lags = np.correlate(flux, flux, "full")[len(flux) - 1 :]
    lags = lags / lags[0] * len(flux) / np.maximum(1, len(flux) - np.arange(len(flux)))
    bar = score.bar_s * 100

    def near(lag):
        return lags[round(lag) - 2 : round(lag) + 3].max()

    on_bar = max(near(bar), near(2 * bar))
    assert on_bar > 0.3
    assert on_bar > near(1.08 * bar) + 0.1


@pytest.mark.parametrize("instrument", PITCHED)
def test_tones_are_in_tune_and_start_from_silence(instrument):
    for number in range(5):
        patch = draw_patch(instrument, np.random.default_rng(number))
        hz = 110.0 if instrument == "bass" else 440.0
        wave = tone(patch, hz=hz, num_samples=RATE_HZ, sample_rate_hz=RATE_HZ)
        assert wave.shape == (2, RATE_HZ) and wave.dtype == np.float32
        assert np.isfinite(wave).all() and (wave[:, 0] == 0).all()
        spectrum = np.abs(np.fft.rfft(wave[0] * np.hanning(RATE_HZ)))  # bins of 1 Hz
        peak_hz = np.argmax(spectrum)
        harmonic = peak_hz / hz
        nearest = max(0.5, round(harmonic * 2) / 2) if instrument == "organ" else round(harmonic)
        assert nearest > 0 and abs(1200 * np.log2(harmonic / nearest)) < 15
        floor = np.median(spectrum)
        assert spectrum.max() > 50 * floor


@pytest.mark.parametrize("instrument", PITCHED)
def test_energy_is_close_to_that_of_the_samples(instrument):
    for number in range(3):
        patch = draw_patch(instrument, np.random.default_rng(number))
        hz = 82.4 if instrument == "bass" else 392.0
        even, hard = tone(patch, hz=hz, num_samples=RATE_HZ // 2, sample_rate_hz=RATE_HZ)
        rendered = np.sum((0.7 * even + 0.49 * hard) ** 2) / RATE_HZ
        (told,) = energy(
            patch, hz=np.array([hz]), length_s=np.array([0.5]), velocity=np.array([0.7])
        )
        assert abs(10 * np.log10(rendered / told)) < 3


def test_high_notes_do_not_alias():
    for instrument in ("strings", "guitar", "piano"):
        patch = draw_patch(instrument, np.random.default_rng(0))
        wave = tone(
            dataclasses.replace(patch, noise=("body", 0.0, 1.0), vibrato=(5.5, 0.0)),
            hz=1900.0,
            num_samples=8000,
            sample_rate_hz=8000,
        )
        spectrum = np.abs(np.fft.rfft(wave.sum(axis=0) * np.hanning(8000))) ** 2
        near_partials = sum(spectrum[k * 1900 - 60 : k * 1900 + 60].sum() for k in (1, 2))
        assert spectrum.sum() - near_partials < 1e-3 * spectrum.sum()


def test_notes_end_without_a_click():
    """Above 3 kHz a single soft flute note has no burst where it begins or is let go."""
    score = SCORES[0]
    artist = dataclasses.replace(score.artist, hiss_db=-200.0, room=((0.01, 0.0),), tilt=0.0)
    patch = dataclasses.replace(artist.patches["flute"], noise=("body", 0.0, 1.0))
    artist = dataclasses.replace(artist, patches={**artist.patches, "flute": patch})
    note = dataclasses.replace(
        score.parts[0],
        instrument="flute",
        start_s=np.array([1.0]),
        length_s=np.array([0.5]),
        pitch=np.array([69]),
        velocity=np.array([0.6]),
    )
    wave = _render(dataclasses.replace(score, artist=artist, parts=(note,)), 0, 3 * RATE_HZ)
    assert np.abs(wave[: RATE_HZ - 1]).max() < 1e-6
    assert np.abs(wave[RATE_HZ + RATE_HZ // 2 + RATE_HZ // 4 :]).max() < 1e-6
    steepest = np.abs(np.diff(wave)).max() / np.abs(wave).max()
    assert steepest < 2 * np.pi * 4 * 440 / RATE_HZ
    frames = wave[: len(wave) // 256 * 256].reshape(-1, 256) * np.hanning(256)
    high = np.abs(np.fft.rfft(frames, axis=1))[:, 48:].max()
    assert high < 0.01 * np.abs(np.fft.rfft(frames, axis=1)).max()


def test_drum_strokes_begin_and_end_at_zero():
    kit = draw_artist(0, "rock", 0).kit
    rendered = dict(zip(VOICES, strokes(kit, RATE_HZ), strict=True))
    for wave in rendered.values():
        assert wave[0] == 0 and abs(wave[-1]) < 1e-3
        assert 0.05 < np.abs(wave).max() < 2

    def centroid_hz(name):
        power = np.abs(np.fft.rfft(rendered[name])) ** 2
        return power @ np.fft.rfftfreq(len(rendered[name]), 1 / RATE_HZ) / power.sum()

    assert centroid_hz("kick") < 150 < centroid_hz("snare") < centroid_hz("hat")


def test_noise_is_endless_and_white_within_its_band():
    at_seam = noise("hiss", start=65530, num_samples=12, sample_rate_hz=RATE_HZ)
    np.testing.assert_array_equal(
        at_seam[6:], noise("hiss", start=0, num_samples=6, sample_rate_hz=RATE_HZ)
    )
    thump = noise("thump", start=0, num_samples=65536, sample_rate_hz=RATE_HZ)
    assert np.sqrt(np.mean(thump**2)) == pytest.approx(1, abs=1e-3)
    power = np.abs(np.fft.rfft(thump)) ** 2
    below = power[: int(2000 / RATE_HZ * 65536)].sum()
    assert below > 0.99 * power.sum()
