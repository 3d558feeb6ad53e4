"""Front ends by name: each maps an input to a sequence, [B, F, D]."""

from mclf_jax.models.fronts import (
    frames,
    harmonic,
    leaf,
    log_mel,
    log_mel_res,
    musicnn,
    patches,
    waveform,
    waveform_se,
)

FRONTS = {
    "waveform": waveform.WaveformConv,
    "frames": frames.Frames,
    "waveform_se": waveform_se.WaveformSE,
    "log_mel": log_mel.LogMelConv,
    "log_mel_res": log_mel_res.LogMelRes,
    "harmonic": harmonic.Harmonic,
    "musicnn": musicnn.TallAndLong,
    "patches": patches.Patches,
    "leaf": leaf.LeafConv,
}
