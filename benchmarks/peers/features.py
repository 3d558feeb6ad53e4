"""Log-mel spectrograms of the same clips here, in librosa and, where it is installed, in PyTorch.

PyTorch's is torch.stft, a product with the filter bank and the logarithm, which is what
torchaudio's MelSpectrogram and AmplitudeToDB do. For numpy all clips are one batch, and also one by
one, which is how a data loader meets them.
"""

import importlib.util
from collections.abc import Callable

import jax
import jax.numpy as jnp
import librosa
import numpy as np

from mclf_jax.audio.features import LogMel, log_mel, mel_filter_bank


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
