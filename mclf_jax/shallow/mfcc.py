"""Statistics of MFCCs over a song: the vectors of what was done before networks."""

import numpy as np

from mclf_jax.audio.decode import AudioError
from mclf_jax.audio.features import Mfcc, mfcc, to_json
from mclf_jax.common import threads
from mclf_jax.data.base.windows import fit_length
from mclf_jax.run.experiment import Experiment
from mclf_jax.shallow.embeddings import Embeddings, Encoder


def make_mfcc(parts: Experiment, *, most_s: float | None = None) -> Encoder:
    """Mean and standard deviation over a song of 20 MFCCs and of their deltas: 80 numbers.

    Args:
        parts: of the songs.
        most_s: seconds from the middle of a song that are heard; all of it when not given.
    """
    settings = Mfcc(sample_rate_hz=parts.model.features.sample_rate_hz, n_mfcc=20)
    identity = {"features": to_json(settings)} | ({"most_s": most_s} if most_s else {})

    def statistics(index: int) -> np.ndarray | None:
        length = parts.source.num_samples(index)
        heard = min(length, round(most_s * settings.sample_rate_hz)) if most_s else length
        try:
            start = (length - heard) // 2
            audio = parts.source.read(index, start_sample=start, num_samples=heard)
        except AudioError:
            return None
        return mfcc_statistics(audio, settings) if len(audio) else None

    def encode(songs: np.ndarray, progress: str) -> Embeddings:
        made = threads.each(
            statistics,
            map(int, songs),
            total=len(songs),
            title="embeddings (mfcc)",
            num_workers=parts.config.runtime.num_threads,
            progress=progress,
        )
        found = {index: vector for index, vector in made if vector is not None}
        vectors = np.array(list(found.values()), np.float32).reshape(-1, 4 * settings.n_mfcc)
        return Embeddings(np.array(list(found), np.int64), vectors)

    return Encoder("mfcc", identity, encode)


def mfcc_statistics(audio: np.ndarray, settings: Mfcc) -> np.ndarray:
    """Float32 [4 n_mfcc] of a song [T]: means and deviations of coefficients, then of deltas.

    Deltas are slopes over nine frames, as librosa has them.
    """
    import librosa

    coefficients = mfcc(fit_length(audio, max(len(audio), settings.n_fft), short="tile"), settings)
    deltas = librosa.feature.delta(coefficients, axis=0, mode="nearest")
    parts = (coefficients.mean(0), coefficients.std(0), deltas.mean(0), deltas.std(0))
    return np.concatenate(parts).astype(np.float32)
