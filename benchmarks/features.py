"""Time of a log-mel spectrogram here, in librosa and in PyTorch, on the same clips in one process.

    python benchmarks/features.py                       # 32 clips of 3.69 s at 16 kHz
    python benchmarks/features.py --clips 128 --n-mels 96

All clips are one batch, and for numpy also one by one, which is how a data loader meets them. One
thread or all is the library's own choice unless the environment says otherwise (OMP_NUM_THREADS,
OPENBLAS_NUM_THREADS). PyTorch is measured if it is installed: torch.stft, a product with the filter
bank and the logarithm, which is what torchaudio's MelSpectrogram and AmplitudeToDB do. Rounds go
through all candidates in turn, so that whatever else the machine does hits all of them; times are
medians.
"""

import argparse
import importlib.util
import time
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import librosa
import numpy as np

from mclf_jax.audio.features import LogMel, log_mel, mel_filter_bank


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=32)
    parser.add_argument("--samples", type=int, default=59049, help="of a clip, at 16 kHz")
    parser.add_argument("--n-mels", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args(argv)

    settings = LogMel(n_mels=arguments.n_mels)
    shape = (arguments.clips, arguments.samples)
    audio = 0.1 * np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    found = candidates(audio, settings)
    expected = found["librosa"]()
    seconds: dict[str, list[float]] = {name: [] for name in found}
    for name, call in found.items():  # compiles, and shows that all compute the same
        np.testing.assert_allclose(call(), expected, atol=1e-2, err_msg=name)
    for _ in range(arguments.rounds):
        for name, call in found.items():
            call()  # puts up with what the previous one left behind: busy threads, other caches
            start = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - start)
    medians = {name: float(np.median(times)) for name, times in seconds.items()}

    print(f"{arguments.clips} clips of {arguments.samples / 16000:.2f} s, {settings.n_mels} bands")
    print(f"jax on {jax.devices()[0].device_kind}, median of {arguments.rounds}\n")
    print("| | time | librosa takes | librosa one by one takes |")
    print("|---|---|---|---|")
    for name, median in medians.items():
        batch, single = (medians[peer] / median for peer in ("librosa", "librosa, one by one"))
        print(f"| {name} | {median * 1e3:.1f} ms | {batch:.1f} x | {single:.1f} x |")


def candidates(audio: np.ndarray, settings: LogMel) -> dict[str, Callable[[], np.ndarray]]:
    """Calls by name; each makes the whole batch, [B, F, M] or transposed, and waits for it."""
    s = settings
    on_device = jnp.asarray(audio)
    compiled = jax.jit(settings)

    def with_librosa(waveform):
        mel = librosa.feature.melspectrogram(
            y=waveform,
            sr=s.sample_rate_hz,
            n_fft=s.n_fft,
            hop_length=s.hop_length,
            n_mels=s.n_mels,
            pad_mode=s.pad_mode,
            htk=True,
            norm=None,
        )
        return librosa.power_to_db(mel, top_db=None).swapaxes(-1, -2)

    calls = {
        "librosa": lambda: with_librosa(audio),
        "librosa, one by one": lambda: np.stack([with_librosa(clip) for clip in audio]),
        "mclf_jax, numpy": lambda: log_mel(audio, settings),
        "mclf_jax, numpy, one by one": lambda: np.stack(
            [log_mel(clip, settings) for clip in audio]
        ),
        "mclf_jax, jax": lambda: compiled(on_device).block_until_ready(),
    }
    if importlib.util.find_spec("torch"):
        import torch

        waveform = torch.from_numpy(audio)
        window = torch.hann_window(s.n_fft)
        bank = torch.from_numpy(mel_filter_bank(s).astype(np.float32))

        def with_torch():
            spectrum = torch.stft(
                waveform, s.n_fft, s.hop_length, window=window, return_complex=True
            )
            power = spectrum.abs().pow(2).transpose(-1, -2)
            return (10.0 * torch.log10((power @ bank).clamp(min=s.amin))).numpy()

        calls["torch.stft"] = with_torch
    return calls


if __name__ == "__main__":
    main()
