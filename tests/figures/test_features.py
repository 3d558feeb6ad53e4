"""`mclf.plot`: what is drawn is where the axes say it is."""

import subprocess
import sys

import jax.numpy as jnp
import numpy as np
import pytest
from matplotlib.colors import to_hex

import mclf_jax as mclf
from mclf_jax.audio.cqt import filter_response, frequencies_hz
from mclf_jax.audio.features import mel_frequencies_hz
from mclf_jax.figures.taggram import plot_taggram

RATE = 16000
f = mclf.features
TIME_S = np.arange(2 * RATE) / RATE
# 440 Hz from 1.0 s to 1.5 s.
TONE = (np.sin(2 * np.pi * 440 * TIME_S) * ((TIME_S >= 1) & (TIME_S < 1.5))).astype(np.float32)


def axes_of(figure):
    figure.canvas.draw()
    return figure.axes[0]


def ticks(axis):
    low, high = sorted(axis.get_view_interval())
    shown = zip(axis.get_majorticklocs(), axis.get_ticklabels(), strict=True)
    return {label.get_text(): at for at, label in shown if low <= at <= high}


def brightest(axes):
    """Where the picture is brightest, in the units of its axes, and when it is within 10 dB."""
    (image,) = axes.images
    values = np.asarray(image.get_array())
    left, right, bottom, top = image.get_extent()
    row = values.max(axis=1).argmax()
    loud = np.flatnonzero(values[row] > values[row].max() - 10)
    width = (right - left) / values.shape[1]
    return {
        "y": bottom + (row + 0.5) * (top - bottom) / values.shape[0],
        "from_s": left + loud[0] * width,
        "to_s": left + (loud[-1] + 1) * width,
    }


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("array", [np.asarray, jnp.asarray])
@pytest.mark.parametrize(
    "settings",
    [
        f.Spectrogram(n_fft=1024),
        f.Spectrogram(framing="start"),
        f.PowerSpectrogram(),
        f.LogMel(n_mels=40),
        f.CQT(f_min_hz=220.0, num_bins=24),
    ],
)
def test_a_tone_is_at_its_time_and_its_frequency(settings, array):
    axes = axes_of(mclf.plot.spectrogram(settings(array(TONE)), settings, title="a tone"))
    at = brightest(axes)
    assert at["from_s"] == pytest.approx(1.0, abs=0.03)
    assert at["to_s"] == pytest.approx(1.5, abs=0.03)
    assert axes.get_xlabel() == "seconds"
    assert axes.get_title(loc="left") == "a tone"
    labels = ticks(axes.yaxis)
    if isinstance(settings, f.CQT):
        assert axes.get_ylabel() == "note"
        assert at["y"] == pytest.approx(labels["A4"], abs=0.01) == 12
        assert labels["C4"] == pytest.approx(3, abs=0.01)
    elif isinstance(settings, f.LogMel):
        assert axes.get_ylabel() == "Hz (mel)"
        centres_hz = mel_frequencies_hz(settings)
        assert at["y"] == np.abs(centres_hz - 440).argmin()
        for text, row in labels.items():
            hz = float(text.replace("k", "")) * (1000 if text.endswith("k") else 1)
            assert np.interp(row, np.arange(40), centres_hz) == pytest.approx(hz)
        assert {"500", "1k", "2k", "4k"} <= labels.keys()
    else:
        assert axes.get_ylabel() == "Hz"
        assert axes.get_ylim() == (0, RATE / 2)
        assert at["y"] == pytest.approx(440, abs=RATE / settings.n_fft / 2)
        assert labels["2k"] == 2000 and labels["8k"] == 8000


@pytest.mark.parametrize("framing", ["center", "start", "kaldi"])
def test_time_runs_from_the_first_frame_to_the_last(framing):
    settings = f.Spectrogram(framing=framing)
    left, right = axes_of(mclf.plot.spectrogram(settings(TONE), settings)).get_xlim()
    # A frame is drawn from half a hop (8 ms) before its middle to half a hop after it.
    assert left == pytest.approx(0 if framing == "center" else 0.008)
    assert right == pytest.approx(2.008 if framing == "center" else 2 - 0.008)


@pytest.mark.parametrize(
    ("num_bins", "f_min_hz", "expected"),
    [
        (84, 32.7, ["C1", "C2", "C3", "C4", "C5", "C6", "C7"]),
        (12, 261.63, ["C4", "C♯4", "D4", "D♯4", "E4", "F4", "F♯4", "G4", "G♯4", "A4", "A♯4", "B4"]),
        (24, 220.0, ["A3", "C4", "E4", "G4", "A4", "C5", "E5", "G5"]),
    ],
)
def test_notes(num_bins, f_min_hz, expected):
    s = f.CQT(num_bins=num_bins, f_min_hz=f_min_hz)
    axes = axes_of(mclf.plot.spectrogram(s(TONE), s))
    assert list(ticks(axes.yaxis)) == expected


def colours(figure):
    (image,) = figure.axes[0].images
    return {"label": figure.axes[-1].get_ylabel(), "limits": image.get_clim()}


@pytest.mark.parametrize(
    ("values", "settings", "label"),
    [
        (f.stft(TONE), f.Stft(), "magnitude"),
        (np.abs(f.stft(TONE)), f.Stft(), "magnitude"),
        (f.power_spectrogram(TONE), f.PowerSpectrogram(), "power"),
        (f.cqt(TONE, f.CQT()), f.CQT(), "magnitude"),
        (f.CQT(compression="none")(TONE), f.CQT(compression="none"), "magnitude"),
    ],
)
def test_energies_are_shown_in_decibels_unless_asked_for(values, settings, label):
    power = np.abs(values) ** (2 if label == "magnitude" else 1)
    peak_db = 10 * np.log10(power.max())
    shown = colours(mclf.plot.spectrogram(values, settings, range_db=60))
    assert shown["label"] == "dB"
    assert shown["limits"] == pytest.approx((peak_db - 60, peak_db), abs=1e-3)
    shown = colours(mclf.plot.spectrogram(values, settings, scale="values"))
    assert shown["label"] == label
    assert shown["limits"][1] == pytest.approx(np.abs(values).max())


@pytest.mark.parametrize(
    ("settings", "label"),
    [
        (f.LogMel(compression="log10_10000"), "log10(1 + 10000 x)"),
        (f.LogMel(compression="pcen", power=1.0), "PCEN"),
        (f.LogMel(normalization="standardize"), "normalized"),
    ],
)
def test_what_has_no_unit_is_shown_as_it_is(settings, label):
    values = settings(TONE)
    shown = colours(mclf.plot.spectrogram(values, settings))
    assert shown["label"] == label
    assert shown["limits"] == pytest.approx((values.min(), values.max()))


def test_loudness_does_not_take_the_colours_of_mfccs():
    settings = f.Mfcc()
    values = settings(TONE)
    figure = mclf.plot.spectrogram(values, settings)
    assert colours(figure)["limits"] == pytest.approx((values[:, 1:].min(), values[:, 1:].max()))
    assert axes_of(figure).get_ylabel() == "coefficient"
    assert all(float(label).is_integer() for label in ticks(figure.axes[0].yaxis))


@pytest.mark.parametrize("values", [np.zeros(RATE), np.zeros(1)])
def test_silence_and_a_single_frame(values):
    for settings in (f.LogMel(), f.CQT(), f.Mfcc(), f.PowerSpectrogram()):
        figure = mclf.plot.spectrogram(settings(values.astype(np.float32)), settings)
        left, right = axes_of(figure).get_xlim()
        assert left == 0 < right


@pytest.mark.parametrize("num_samples", [100, 200_000])
def test_waveform_shows_every_peak(num_samples):
    audio = np.zeros(num_samples, np.float32)
    audio[num_samples // 4], audio[num_samples // 2] = 0.9, -0.7
    axes = axes_of(mclf.plot.waveform(jnp.asarray(audio), sample_rate_hz=1000, title="two clicks"))
    assert axes.get_xlim() == (0, num_samples / 1000)
    assert axes.get_ylim() == (-1, 1)
    lines = [line.get_xydata() for line in axes.lines]
    shapes = [path.vertices for c in axes.collections for path in c.get_paths()]
    points = np.concatenate(lines + shapes)
    for at, height in ((1 / 4, 0.9), (1 / 2, -0.7)):
        x = points[np.isclose(points[:, 1], height), 0]
        assert x == pytest.approx(at * num_samples / 1000, abs=num_samples / 1000 / 1600)


def test_waveform_axes():
    long = mclf.plot.waveform(np.zeros(150 * 100), sample_rate_hz=100)
    assert axes_of(long).get_xlabel() == "minutes:seconds"
    assert ticks(axes_of(long).xaxis)["2:00"] == 120
    loud = np.array([0.0, 1.5, -0.2])
    assert axes_of(mclf.plot.waveform(loud, sample_rate_hz=100)).get_ylim() == (-1.5, 1.5)
    quiet = mclf.plot.waveform(loud / 100, sample_rate_hz=100, limit=None)
    assert axes_of(quiet).get_ylim() == pytest.approx((-0.015, 0.015))


def test_compare_shares_colours_and_seconds():
    settings = f.LogMel()
    given = {"whole": settings(TONE), "quiet half": settings(TONE[:RATE] * 0.1 + 0.001)}
    figure = mclf.plot.compare(given, settings)
    axes_of(figure)
    first, second = figure.axes[:2]
    assert [a.get_title(loc="left") for a in (first, second)] == list(given)
    assert first.get_xlim() == second.get_xlim() == (0, pytest.approx(2.008))
    assert first.images[0].get_clim() == second.images[0].get_clim()
    assert first.images[0].get_clim()[1] == pytest.approx(given["whole"].max())
    assert second.images[0].get_extent()[1] == pytest.approx(1.0)
    # The bands are the same: one set of labels is enough.
    assert (first.get_ylabel(), second.get_ylabel()) == ("Hz (mel)", "")


def test_compare_by_peak_across_representations():
    settings = {"stft": f.Spectrogram(), "mel": f.LogMel(), "cqt": f.CQT()}
    figure = mclf.plot.compare({k: s(TONE) for k, s in settings.items()}, settings, levels="peak")
    axes_of(figure)
    assert [a.get_ylabel() for a in figure.axes] == ["Hz", "Hz (mel)", "note", "dB from the peak"]
    for axes in figure.axes[:3]:
        assert axes.images[0].get_clim() == (-80, 0)
        assert np.asarray(axes.images[0].get_array()).max() == pytest.approx(0)


def test_compare_breaks_long_rows():
    settings = f.LogMel()
    figure = mclf.plot.compare(dict.fromkeys("abcdefg", settings(TONE)), settings)
    axes_of(figure)
    tops = [round(axes.get_position().y1, 2) for axes in figure.axes[:7]]
    assert len(set(tops[:4])) == len(set(tops[4:])) == 1 and tops[0] > tops[4]
    assert len(figure.axes) == 8


def curves(axes):
    return [segment for c in axes.collections for segment in c.get_segments()]


def test_mel_filter_bank():
    settings = f.LogMel(n_mels=30, n_fft=2048, f_min_hz=100.0, f_max_hz=6000.0)
    axes = axes_of(mclf.plot.filter_bank(settings))
    assert axes.get_xlim() == (100, 6000)
    peaks_hz = [curve[curve[:, 1].argmax(), 0] for curve in curves(axes)]
    np.testing.assert_allclose(peaks_hz, mel_frequencies_hz(settings), atol=RATE / 2048)
    assert axes.get_title(loc="left") == "30 mel filters, htk scale"
    starved = f.LogMel(n_mels=128, n_fft=256)
    empty = (f.mel_filter_bank(starved).max(axis=0) == 0).sum()
    assert empty > 0
    assert (
        axes_of(mclf.plot.filter_bank(starved))
        .get_title(loc="left")
        .endswith(f", {empty} of them empty")
    )


def test_constant_q_filter_bank():
    settings = f.CQT(num_bins=36)
    axes = axes_of(mclf.plot.filter_bank(settings))
    peaks_hz = [curve[curve[:, 1].argmax(), 0] for curve in curves(axes)]
    np.testing.assert_allclose(peaks_hz, frequencies_hz(settings), rtol=0.003)
    assert ticks(axes.xaxis)["125"] == 125
    # A neighbour's gain is what a tone there leaves in the bin.
    centre_hz = frequencies_hz(settings)
    gain = filter_response(settings, centre_hz[[20, 21]])[:, 20]
    tones = np.sin(2 * np.pi * np.outer(centre_hz[[20, 21]], TIME_S))
    found = np.abs(f.cqt(tones, settings))[:, 60, 20]
    assert gain[0] == pytest.approx(1)
    assert found[1] / found[0] == pytest.approx(gain[1], abs=1e-3)


def test_harmonic_filters_are_at_multiples():
    settings = f.PowerSpectrogram(n_fft=4096)
    axes = axes_of(mclf.plot.harmonic_filters(settings, num_harmonics=4))
    assert list(ticks(axes.yaxis)) == ["1", "2", "3", "4"]
    names = [text.get_text() for text in axes.get_legend().get_texts()]
    assert names[:3] == ["C1", "C2", "C3"]
    assert len({to_hex(c.get_color()[0]) for c in axes.collections}) == len(names)
    for octave, collection in enumerate(axes.collections):
        for harmonic, curve in enumerate(collection.get_segments(), start=1):
            peak_hz = curve[curve[:, 1].argmax(), 0]
            assert peak_hz == pytest.approx(harmonic * 32.703 * 2**octave, abs=RATE / 4096)
            assert curve[:, 1].min() == harmonic


def test_taggram_is_there_too():
    assert mclf.plot.taggram is plot_taggram is mclf.plot_taggram


def test_nothing_touches_pyplot():
    code = """
import sys, numpy as np, mclf_jax as mclf
settings = mclf.features.LogMel()
mclf.plot.spectrogram(settings(np.zeros(9000, np.float32)), settings)
assert "matplotlib.pyplot" not in sys.modules and "jax" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mclf.plot.waveform(np.zeros((2, 9)), sample_rate_hz=9), r"got shape \(2, 9\)"),
        (
            lambda: mclf.plot.spectrogram(np.zeros((9, 80)), f.LogMel()),
            r"must be \[frames, 96\] by its settings \(LogMel\), got shape \(9, 80\)",
        ),
        (lambda: mclf.plot.spectrogram(np.zeros((2, 9, 96)), f.LogMel()), "give one example"),
        (lambda: mclf.plot.spectrogram(np.zeros((9, 96)), f.Waveform()), "settings are Waveform"),
        (
            lambda: mclf.plot.spectrogram(np.zeros((9, 96)), f.LogMel(), scale="db"),
            "scale is 'db'; allowed: auto, values",
        ),
        (lambda: mclf.plot.compare({}, f.LogMel()), "no spectrogram to compare"),
        (
            lambda: mclf.plot.compare({"a": np.zeros((9, 96))}, {"b": f.LogMel()}),
            r"no settings for 'a'; there are some for \['b'\]",
        ),
        (
            lambda: mclf.plot.compare({"a": np.zeros((9, 96))}, f.LogMel(), levels="own"),
            "levels is 'own'; allowed: shared, peak",
        ),
        (
            lambda: mclf.plot.compare(
                dict.fromkeys("ab", np.zeros((9, 96))),
                {"a": f.LogMel(), "b": f.LogMel(compression="log")},
            ),
            "cannot share one scale of colours: {'a': 'dB', 'b': 'log'}",
        ),
        (
            lambda: mclf.plot.compare(
                {"a": np.zeros((9, 96))}, f.LogMel(compression="log"), levels="peak"
            ),
            'a is not in decibels but log; take levels="shared"',
        ),
        (lambda: mclf.plot.filter_bank(f.Spectrogram()), "Spectrogram has no filter bank"),
    ],
)
def test_errors_say_what_to_change(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_the_mean_spectrum_has_its_peak_at_the_tone():
    settings = f.Spectrogram(n_fft=1024)
    loud, quiet = (settings(gain * TONE) for gain in (1.0, 0.1))
    axes = axes_of(mclf.plot.mean_spectrum({"loud": loud, "quiet": jnp.asarray(quiet)}, settings))
    assert [line.get_label() for line in axes.lines] == ["loud", "quiet"]
    for line in axes.lines:
        assert line.get_xdata()[line.get_ydata().argmax()] == pytest.approx(440, abs=RATE / 1024)
    (values,) = axes_of(mclf.plot.mean_spectrum(loud, settings, scale="values")).lines
    assert np.allclose(values.get_ydata(), loud.mean(0))
    assert axes_of(mclf.plot.mean_spectrum(f.CQT()(TONE), f.CQT())).get_xscale() == "log"
    with pytest.raises(ValueError, match="no spectrogram"):
        mclf.plot.mean_spectrum({}, settings)
