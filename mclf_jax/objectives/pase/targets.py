"""What PASE's workers have to tell of a waveform: spectra and the like, a frame for each latent.

Frame f is centred on sample f times the hop. (Latent f of the published encoder is centred 150
samples later, and hears both.) Sizes are in samples, published for 16 kHz and a hop of 160. What
differs from the published code: frames of spectra have a Hamming window, where its LPS has none;
MFCCs are of 40 mel bands and not of librosa's 128, many of which are empty in 400 samples; the
logarithms stop at -100 dB; filter banks are without pre-emphasis, which is an offset once
normalised; gammatone filters act on spectra; F0 is by autocorrelation and not by SWIPE.
"""

import dataclasses
import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from mclf_jax.audio.arrays import constant
from mclf_jax.audio.features import Stft, log_mel, mfcc, spectrogram
from mclf_jax.audio.gammatone import gammatone
from mclf_jax.objectives.pase.prosody import prosody

_DELTA_WIDTH = 9
_BANDS = 40
# As published, for speech: music has tones below.
_GAMMATONE_F_MIN_HZ = 500.0


@dataclasses.dataclass(frozen=True)
class Settings:
    """What targets depend on.

    Attributes:
        sample_rate_hz: rate of the waveform.
        hop_length: samples between frames.
        n_mfcc: coefficients of "mfcc": 20 in PASE, 13 in PASE+; "mfcc_long" has 20.
        f0_hz: where "prosody" looks for the fundamental frequency.
        num_deltas: how many derivatives in time stand beside the values: 0 in PASE, 2 in PASE+.
    """

    sample_rate_hz: int = 16000
    hop_length: int = 160
    n_mfcc: int = 20
    f0_hz: tuple[float, float] = (60.0, 600.0)
    num_deltas: int = 0


def target(waveform: jax.Array, name: str, settings: Settings, *, num_frames: int) -> jax.Array:
    """A target by its name in `TARGETS`, [..., T] -> [..., num_frames, M].

    Args:
        waveform: floating point, at least (num_frames - 1) hops.
        name: which one.
        settings: of all of them.
        num_frames: from the beginning; at least 9 if there are derivatives.

    Raises:
        ValueError: too few frames for a derivative.
    """
    values = TARGETS[name](waveform, settings)[..., :num_frames, :]
    orders = range(1, settings.num_deltas + 1)
    return jnp.concatenate([values, *(deltas(values, order=order) for order in orders)], axis=-1)


def deltas(values: jax.Array, *, order: int) -> jax.Array:
    """Derivatives in time as `librosa.feature.delta`, [..., F, M] -> [..., F, M].

    Of polynomials of that order through 9 frames, at the ends the first and the last 9.

    Raises:
        ValueError: there are fewer frames.
    """
    if (num_frames := values.shape[-2]) < _DELTA_WIDTH:
        raise ValueError(
            f"objective.args.num_deltas is {order}, which takes {_DELTA_WIDTH} frames, and the "
            f"network returns {num_frames}; raise model.window_s"
        )
    matrix = constant(_derivative, num_frames, order, like=values)
    return jnp.einsum("fg,...gm->...fm", matrix, values, precision="highest")


def _derivative(num_frames: int, order: int) -> np.ndarray:
    """[F, F]: what a linear filter is to all its inputs."""
    from scipy.signal import savgol_filter

    return savgol_filter(
        np.eye(num_frames), _DELTA_WIDTH, polyorder=order, deriv=order, axis=0, mode="interp"
    )


def _lps(waveform, s: Settings, *, win_length: int):
    return spectrogram(waveform, **_frames(s, n_fft=2048, win_length=win_length))


def _fbank(waveform, s: Settings, *, n_fft: int, win_length: int):
    return log_mel(waveform, **_frames(s, n_fft=n_fft, win_length=win_length), n_mels=_BANDS)


def _gammatone(waveform, s: Settings, *, n_fft: int, win_length: int):
    settings = Stft(**_frames(s, n_fft=n_fft, win_length=win_length))
    return gammatone(waveform, settings, n_bands=_BANDS, f_min_hz=_GAMMATONE_F_MIN_HZ)


def _mfcc(waveform, s: Settings, *, n_fft: int, n_mfcc: int | None):
    return mfcc(
        waveform,
        **_frames(s, n_fft=n_fft, win_length=n_fft) | {"window": "hann"},
        n_mels=_BANDS,
        n_mfcc=n_mfcc or s.n_mfcc,
        mel_scale="slaney",
        mel_norm="slaney",
        top_db=80.0,
    )


def _prosody(waveform, s: Settings):
    return prosody(
        waveform,
        sample_rate_hz=s.sample_rate_hz,
        hop_length=s.hop_length,
        win_length=400,
        f0_hz=s.f0_hz,
    )


def _frames(s: Settings, *, n_fft: int, win_length: int) -> dict:
    return {
        "sample_rate_hz": s.sample_rate_hz,
        "hop_length": s.hop_length,
        "n_fft": n_fft,
        "win_length": win_length,
        "window": "hamming",
    }


# [..., T] and settings -> [..., F, M]. The windows are those of the published configurations.
TARGETS: dict[str, Callable[[jax.Array, Settings], jax.Array]] = {
    "lps": functools.partial(_lps, win_length=400),
    "lps_long": functools.partial(_lps, win_length=512),
    "fbank": functools.partial(_fbank, n_fft=512, win_length=400),
    "fbank_long": functools.partial(_fbank, n_fft=1024, win_length=1024),
    "gammatone": functools.partial(_gammatone, n_fft=512, win_length=400),
    "gammatone_long": functools.partial(_gammatone, n_fft=2048, win_length=2048),
    "mfcc": functools.partial(_mfcc, n_fft=400, n_mfcc=None),
    "mfcc_long": functools.partial(_mfcc, n_fft=2048, n_mfcc=20),
    "prosody": _prosody,
}
