"""How far the spectrograms of common software are apart, on a piece of music.

    python benchmarks/consistency.py SONG.ogg

Prints the tables of docs/representations.md: what one differing choice changes, what is left
between the presets when a batch norm at the input has taken out level and scale, and how exactly
presets match the libraries that they are named after (those that are installed).
"""

import argparse
import importlib.util
from collections.abc import Iterator, Sequence

import numpy as np

from mclf_jax.audio.decode import read_audio
from mclf_jax.audio.features import PRESETS, LogMel, log_mel, preset, standardize

SIZES = {"sample_rate_hz": 16000, "n_fft": 512, "hop_length": 256, "n_mels": 96}
CHOICES = (
    {"window": "hann_symmetric"},
    {"pad_mode": "constant"},
    {"top_db": 80.0},
    {"mel_norm": "slaney"},
    {"mel_scale": "slaney"},
    {"framing": "start"},
    {"power": 1.0},
)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("audio", help="a piece of music")
    path = parser.parse_args(argv).audio
    audio = read_audio(path, sample_rate_hz=SIZES["sample_rate_hz"])

    print("| changed | mean | 99 % | largest | standardised |")
    print("|---|---|---|---|---|")
    published = log_mel(audio, LogMel(**SIZES))
    for change in CHOICES:
        other = log_mel(audio, LogMel(**SIZES, **change))
        frames = min(len(published), len(other))
        apart = np.abs(published[:frames] - other[:frames])
        (text,) = (f"`{field}={value!r}`".replace("'", '"') for field, value in change.items())
        print(
            f"| {text} | {apart.mean():.2f} dB | {np.quantile(apart, 0.99):.2f} dB "
            f"| {apart.max():.1f} dB | {residual(published[:frames], other[:frames]):.3f} |"
        )

    print("\n| |" + "".join(f" `{name}` |" for name in PRESETS))
    print("|---|" + "---|" * len(PRESETS))
    spectrograms = {name: log_mel(audio, preset(name, **SIZES)) for name in PRESETS}
    for name, spectrogram in spectrograms.items():
        cells = (residual(spectrogram, other) for other in spectrograms.values())
        print(f"| `{name}` |" + "".join(f" {cell:.3f} |" for cell in cells))
    for label, statistic in (("mean", np.mean), ("standard deviation", np.std)):
        cells = (statistic(spectrogram) for spectrogram in spectrograms.values())
        print(f"| *{label}* |" + "".join(f" {cell:.2f} |" for cell in cells))

    print("\n| preset | library | mean | largest |")
    print("|---|---|---|---|")
    for name, library, expected in libraries(path):
        found = log_mel(
            read_audio(path, sample_rate_hz=PRESETS[name].sample_rate_hz), PRESETS[name]
        )
        frames = min(len(found), len(expected))
        apart = np.abs(found[:frames] - expected[:frames])
        print(f"| `{name}` | {library} | {apart.mean():.1e} | {apart.max():.1e} |")


def residual(a: np.ndarray, b: np.ndarray) -> float:
    """Root mean square of the difference of two spectrograms [F, M], both standardised."""
    return float(np.sqrt(((standardize(a) - standardize(b)) ** 2).mean()))


def libraries(path: str) -> Iterator[tuple[str, str, np.ndarray]]:
    """(preset, library, what the library computes [F, M]) for those that are installed."""
    import librosa

    s = PRESETS["librosa"]
    audio = read_audio(path, sample_rate_hz=s.sample_rate_hz)
    mel = librosa.feature.melspectrogram(y=audio, sr=s.sample_rate_hz)
    yield "librosa", f"librosa {librosa.__version__}", librosa.power_to_db(mel).T

    s = PRESETS["musicnn"]
    audio = read_audio(path, sample_rate_hz=s.sample_rate_hz)
    mel = librosa.feature.melspectrogram(
        y=audio, sr=16000, n_fft=512, hop_length=256, n_mels=96, pad_mode="reflect"
    )
    yield "musicnn", f"librosa {librosa.__version__}", np.log10(10000 * mel.T + 1)

    if importlib.util.find_spec("torch"):
        import torch

        s = PRESETS["torchaudio"]
        audio = read_audio(path, sample_rate_hz=s.sample_rate_hz)
        window = torch.hann_window(s.n_fft)
        spectrum = torch.stft(
            torch.from_numpy(audio), s.n_fft, s.hop_length, window=window, return_complex=True
        )
        bank = librosa.filters.mel(
            sr=s.sample_rate_hz, n_fft=s.n_fft, n_mels=s.n_mels, htk=True, norm=None
        )
        mel = torch.from_numpy(bank) @ spectrum.abs() ** 2
        db = 10 * torch.log10(mel.clamp(min=s.amin))
        yield "torchaudio", f"torch.stft {torch.__version__}", db.numpy().T

    if importlib.util.find_spec("essentia"):
        import essentia
        import essentia.standard as es

        s = PRESETS["essentia"]
        audio = read_audio(path, sample_rate_hz=s.sample_rate_hz)
        window, spectrum = es.Windowing(type="hann", normalized=False), es.Spectrum()
        bands = es.MelBands(
            numberBands=s.n_mels,
            sampleRate=s.sample_rate_hz,
            lowFrequencyBound=0,
            highFrequencyBound=s.top_hz,
            inputSize=s.num_bins,
            warpingFormula="slaneyMel",
            weighting="linear",
            normalize="unit_tri",
            type="power",
        )
        decibels = es.UnaryOperator(type="lin2db", scale=2)
        cut = es.FrameGenerator(audio, frameSize=s.n_fft, hopSize=s.hop_length, startFromZero=False)
        rows = [decibels(bands(spectrum(window(frame)))) for frame in cut]
        yield "essentia", f"essentia {essentia.__version__}", np.array(rows)


if __name__ == "__main__":
    main()
