"""Waveform to spectrogram in PyTorch, as torchaudio's transforms compute it."""

import torch
from torch import nn

from mclf_jax.audio.features import (
    Features,
    LogMel,
    PowerSpectrogram,
    mel_filter_bank,
    window_function,
)


class Spectrogram(nn.Module):
    """Short-time spectra in power, [B, T] -> [B, F, bins]; what it pads it reflects."""

    def __init__(self, settings: LogMel | PowerSpectrogram):
        super().__init__()
        length = settings.win_length or settings.n_fft
        window = torch.tensor(window_function(settings.window, length), dtype=torch.float32)
        self.register_buffer("window", window)
        self.sizes = settings.n_fft, settings.hop_length

    def forward(self, waveform):
        spectrum = torch.stft(
            waveform, *self.sizes, window=self.window, pad_mode="reflect", return_complex=True
        )
        return spectrum.abs().pow(2).transpose(-1, -2)


class MelSpectrogram(nn.Module):
    """Mel bands in decibels, [B, T] -> [B, F, M]."""

    def __init__(self, settings: LogMel):
        super().__init__()
        self.spectrogram = Spectrogram(settings)
        self.register_buffer("fb", torch.tensor(mel_filter_bank(settings), dtype=torch.float32))
        self.amin = settings.amin

    def forward(self, waveform):
        return 10 * torch.log10((self.spectrogram(waveform) @ self.fb).clamp(min=self.amin))


def front_end(settings: Features) -> nn.Module:
    """The one that a network was published with."""
    if isinstance(settings, LogMel):
        return MelSpectrogram(settings)
    return Spectrogram(settings) if isinstance(settings, PowerSpectrogram) else nn.Identity()
