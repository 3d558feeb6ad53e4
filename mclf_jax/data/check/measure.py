"""One pass over the audio of every item: what it is like, its digest and its landmarks."""

import collections
import dataclasses
import hashlib
from collections.abc import Iterable, Iterator

import numpy as np
import soundfile
import soxr

from mclf_jax.audio import decode
from mclf_jax.audio.files.sound import open_sound
from mclf_jax.common import threads
from mclf_jax.data.base.source import Source
from mclf_jax.data.check import candidates, fingerprint
from mclf_jax.data.check.fingerprint import Landmarks
from mclf_jax.data.sources.files import Files

SILENCE_DB = -60.0
"""A stretch whose root mean square lies below, relative to full scale, counts as silent."""

FULL_SCALE = 0.999
"""Three samples in a row at or above are clipped: flat tops that the recording did not have."""

BAND_DB = -70.0
"""Audio reaches as high as its mean spectrum stays above this, relative to its largest value."""

_BLOCKS_HZ = 20  # how finely silence is looked for
_CHUNK_FRAMES = 4096  # hops of landmarks at once: two minutes
_SPECTRUM = 4096
# Ten times the noise of rounding to 16 bits, in a bin of a spectrum with a Hann window.
_NOISE = 10 * 0.375 * _SPECTRUM * 2.0**-30 / 12
_READ_S = 240


@dataclasses.dataclass(frozen=True)
class Measured:
    """What one item's audio is like."""

    duration_s: float  # of what can be decoded
    # Of the file; where the item is not a whole file, or there is no file, of what the source
    # yields (its rate, 1).
    sample_rate_hz: int
    num_channels: int
    format: str  # "WAV PCM_16", "MP3 MPEG_LAYER_III"...; "" where the item is not a whole file
    peak: float  # largest magnitude; 1 is full scale
    clipped: float  # share of the samples that stand in runs at full scale
    dc_offset: float  # mean of the samples
    level_db: float  # root mean square, relative to full scale
    silent_share: float  # of the duration, below `SILENCE_DB`
    longest_silence_s: float  # in one stretch
    band_hz: float  # how high the audio reaches, see `BAND_DB`; 0 in silence
    digest: str  # of the decoded samples, as hex; equal for a WAV and a FLAC made of it
    landmarks: Landmarks  # for near duplicates

    def to_dict(self) -> dict:
        """All but the landmarks."""
        names = [field.name for field in dataclasses.fields(self) if field.name != "landmarks"]
        return {name: getattr(self, name) for name in names}


def without_landmarks(heard: Measured | str) -> Measured | str:
    """The same in little memory, for when duplicates have been found."""
    if isinstance(heard, str):
        return heard
    return dataclasses.replace(heard, landmarks=fingerprint.join([]))


def files_of(source: Source) -> tuple[str, ...]:
    """The file of each item; nothing where the audio is not in files of its own."""
    return source.files if isinstance(source, Files) else ()


def measure_all(source: Source, *, num_workers: int | None, progress: str) -> list[Measured | str]:
    """What each item's audio is like, or why it cannot be decoded."""
    num_samples = sum(source.num_samples(i) for i in range(len(source)))
    keep_one_in = candidates.thinning(num_samples / source.info.sample_rate_hz)
    times_used = collections.Counter(files_of(source))

    def measure(index: int) -> Measured | str:
        try:
            return _measure_item(source, index, times_used, keep_one_in=keep_one_in)
        except (decode.AudioError, soundfile.SoundFileError) as error:
            return getattr(error, "reason", None) or str(error)

    found: list[Measured | str] = [""] * len(source)
    for index, result in threads.each(
        measure,
        range(len(source)),
        total=len(source),
        title="listening to the audio",
        num_workers=num_workers,
        progress=progress,
    ):
        found[index] = result
    return found


def _measure_item(source: Source, index: int, times_used, *, keep_one_in: int) -> Measured:
    rate_hz = source.info.sample_rate_hz
    if times_used:
        path = source.files[index]  # pyright: ignore
        # An item that is a part of a file is heard through the source, which knows which part.
        sound = open_sound(path)
        num_samples = decode.resampled_length(
            sound.num_frames, source_rate_hz=sound.sample_rate_hz, sample_rate_hz=rate_hz
        )
        # A header can promise somewhat more than there is.
        is_whole = source.starts[index] == 0 and source.num_samples(index) >= 0.9 * num_samples  # pyright: ignore
        if is_whole and times_used[path] == 1:
            kind = f"{sound.format} {sound.subtype}"
            blocks = (block for _, block in sound.blocks())
            return measure_blocks(blocks, sound.sample_rate_hz, kind, keep_one_in=keep_one_in)
    return measure_blocks(_source_blocks(source, index), rate_hz, "", keep_one_in=keep_one_in)


def _source_blocks(source: Source, index: int) -> Iterator[np.ndarray]:
    step = _READ_S * source.info.sample_rate_hz
    for start in range(0, source.num_samples(index), step):
        yield source.read(index, start_sample=start, num_samples=step)[:, None]


def measure_blocks(
    blocks: Iterable[np.ndarray], rate_hz: int, kind: str, *, keep_one_in: int
) -> Measured:
    """Of float32 [T, C] in blocks, in bounded memory."""
    digest = hashlib.blake2b(f"{rate_hz} ".encode(), digest_size=16)
    marks = _Marker(rate_hz, keep_one_in)
    frame = max(1, rate_hz // _BLOCKS_HZ)
    powers, left = [], np.zeros(0, np.float32)
    num_frames = num_channels = clipped = num_spectra = 0
    peak = total = square = 0.0
    spectrum = np.zeros(_SPECTRUM // 2 + 1)
    for block in blocks:
        num_frames += len(block)
        num_channels = block.shape[1]
        digest.update(np.ascontiguousarray(block))
        magnitude = np.abs(block)
        peak = max(peak, float(magnitude.max(initial=0)))
        clipped += _in_runs(magnitude >= FULL_SCALE)
        mono = block[:, 0] if num_channels == 1 else block.mean(axis=1)
        total += float(mono.sum(dtype=np.float64))
        square += float(np.square(mono, dtype=np.float64).sum())
        left = np.concatenate([left, mono])
        whole = len(left) // frame * frame
        powers.append(np.square(left[:whole].reshape(-1, frame)).mean(axis=1))
        left = left[whole:]
        # A few of many frames are enough for a mean.
        for start in range(0, len(mono) - _SPECTRUM + 1, max(_SPECTRUM, len(mono) // 8)):
            spectrum += _power(mono[start : start + _SPECTRUM])
            num_spectra += 1
        marks.add(mono)
    if not num_frames:
        raise decode.AudioError("", "nothing in it can be decoded")
    if not num_spectra:  # shorter than a frame
        spectrum = _power(np.pad(mono, (0, max(0, _SPECTRUM - len(mono))))[:_SPECTRUM])
    silent = np.concatenate(powers or [np.zeros(0)]) < 10 ** (SILENCE_DB / 10)
    spectrum /= max(1, num_spectra)
    (loud_bins,) = np.nonzero(spectrum > max(spectrum.max() * 10 ** (BAND_DB / 10), _NOISE))
    return Measured(
        duration_s=num_frames / rate_hz,
        sample_rate_hz=rate_hz,
        num_channels=num_channels,
        format=kind,
        peak=peak,
        clipped=clipped / (num_frames * num_channels),
        dc_offset=total / num_frames,
        level_db=10 * float(np.log10(square / num_frames + 1e-12)),
        silent_share=float(silent.mean()) if len(silent) else 0.0,
        longest_silence_s=_longest_run(silent) * frame / rate_hz,
        band_hz=float(loud_bins[-1] * rate_hz / _SPECTRUM) if len(loud_bins) else 0.0,
        digest=digest.hexdigest(),
        landmarks=marks.finish(),
    )


class _Marker:
    """Landmarks of audio that comes in blocks, at whatever rate."""

    def __init__(self, rate_hz: int, keep_one_in: int):
        self._resampler = None
        if rate_hz != fingerprint.RATE_HZ:
            self._resampler = soxr.ResampleStream(
                rate_hz, fingerprint.RATE_HZ, 1, dtype="float32", quality="MQ"
            )
        self._keep_one_in = keep_one_in
        self._held: list[np.ndarray] = []
        self._num_held = 0
        self._first_frame = 0
        self._found: list[Landmarks] = []

    def add(self, mono: np.ndarray, *, last: bool = False) -> None:
        if self._resampler is not None:
            mono = self._resampler.resample_chunk(mono, last=last)
        self._held.append(mono)
        self._num_held += len(mono)
        chunk = _CHUNK_FRAMES * fingerprint.HOP_LENGTH
        overlap = fingerprint.N_FFT - fingerprint.HOP_LENGTH
        if not last and self._num_held < chunk + overlap:
            return
        audio = np.concatenate(self._held)
        while len(audio) >= chunk + overlap:
            self._mark(audio[: chunk + overlap])
            audio = audio[chunk:]
            self._first_frame += _CHUNK_FRAMES
        if last and len(audio):
            self._mark(audio)
        self._held, self._num_held = [audio], len(audio)

    def finish(self) -> Landmarks:
        self.add(np.zeros(0, np.float32), last=True)
        return fingerprint.join(self._found)

    def _mark(self, audio: np.ndarray) -> None:
        self._found.append(
            fingerprint.landmarks(
                audio, first_frame=self._first_frame, keep_one_in=self._keep_one_in
            )
        )


def _power(frame: np.ndarray) -> np.ndarray:
    spectrum = np.fft.rfft(frame * np.hanning(_SPECTRUM))
    return spectrum.real**2 + spectrum.imag**2


def _in_runs(full: np.ndarray) -> int:
    """How many of bool [T, C] stand in runs of three or more along time."""
    if not full.any():
        return 0
    middle = full[2:] & full[1:-1] & full[:-2]
    inside = np.zeros_like(full)
    for shift in range(3):
        inside[shift : len(full) - 2 + shift] |= middle
    return int(inside.sum())


def _longest_run(flags: np.ndarray) -> int:
    edges = np.flatnonzero(np.diff(np.r_[False, flags, False].astype(np.int8)))
    return int((edges[1::2] - edges[::2]).max(initial=0))
