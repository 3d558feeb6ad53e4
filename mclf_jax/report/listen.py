"""`mclf data listen`: the augmentations of a config as players and pictures, before they train."""

import base64
import io
import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
from ml_collections import ConfigDict

from mclf_jax import augment
from mclf_jax.audio.decode import AudioError
from mclf_jax.audio.features import LogMel, log_mel, mel_frequencies_hz
from mclf_jax.augment import Augmentation, RandomApply, compose
from mclf_jax.data.base.windows import fit_length
from mclf_jax.figures.spectrogram import plot_spectrogram
from mclf_jax.report.markup import escape, write_document
from mclf_jax.report.svg import inline_svg
from mclf_jax.run import experiment
from mclf_jax.run.experiment import Experiment

PREVIEW = "clmr"
"""The chain that is shown where a config has none."""

NUM_DRAWS = 4  # of the whole chain
_LONGEST_S = 5.0
_PAGE_BYTES = 12e6  # all players together, at most; pictures come on top


class Clip(NamedTuple):
    """One player, or one picture without sound.

    Attributes:
        title, caption: text.
        audio: float32 [T] or None.
        decibels: [F, M], of the picture.
    """

    title: str
    caption: str
    audio: np.ndarray | None
    decibels: np.ndarray


def write_listening_page(
    config: ConfigDict, out: str | Path, *, title: str, num_songs: int = 3
) -> Path:
    """Write one HTML file with windows of training songs: as they are, and augmented.

    For each song: the original, each augmentation of the chain alone (whatever its probability),
    and several draws of the whole chain; then, if the config changes spectrograms, pictures of
    that. The songs lie evenly over the training split, the window in the middle of each. The
    chain is applied to the whole window, of which the first seconds are heard. A config
    without augmentation of waveforms is shown with the preset `PREVIEW`, and the page says so.

    The sound is FLAC of 16 bits. All players of a song are turned down by the same factor where
    one of them would clip.

    Args:
        config: of the experiment.
        out: the file to write.
        title: of the page, such as the config's file.
        num_songs: how many, at most.

    Raises:
        ValueError: `num_songs` is not positive, the config does not make sense, or none of
            the songs can be read.
    """
    if num_songs < 1:
        raise ValueError(f"the number of songs is {num_songs}; it must be at least 1")
    parts = experiment.build(config)
    chain, preview = parts.chains.waveform, False
    if chain is None:
        chain, preview = augment.PRESETS[PREVIEW](parts.source.info.sample_rate_hz), True
    songs = _songs(parts, num_songs)
    num_players = len(songs) * (1 + len(chain.augmentations) + NUM_DRAWS)
    shown = _shown_samples(parts, num_players)
    body = [_header(parts, title, chain, preview=preview, songs=songs, shown=shown)]
    for number, (index, window) in enumerate(songs):
        rng = np.random.default_rng([config.seed, index])
        groups = {
            "The window itself": [_clip("Original", "", window, shown, parts)],
            "Each augmentation alone": _alone(chain, rng, window, shown, parts),
            f"The whole chain, drawn {NUM_DRAWS} times": _draws(chain, rng, window, shown, parts),
            "Spectrograms, as the network sees them": _spectrograms(rng, window, parts),
        }
        heading = f"{parts.source.item_id(index)}"
        body.append(f'<h2 id="song{number}">{escape(heading)}</h2>')
        body.append(f'<p class="note">{escape(_label(parts, index))}</p>')
        body += _song(groups, parts, name=f"s{number}")
    return write_document(
        Path(out),
        title=f"{title}: augmentations",
        body=body,
        footer="Draws differ from those of training, which depend on the step; settings, code and "
        "windows are the same. Evaluation never augments.",
    )


def _header(parts: Experiment, title: str, chain, *, preview: bool, songs, shown: int) -> str:
    where = {"pipeline": "in the pipeline", "device": "on the device"}[parts.config.augment.on]
    heard = f"Waveforms are changed, {where}, by"
    note = ""
    if preview:
        heard = f"Heard below is the preset {PREVIEW}:"
        presets = ", ".join(sorted(augment.PRESETS))
        note = (
            "<p><b>This config changes no waveforms in training.</b> To train with a chain, or to "
            f"hear another one, set <code>augment.waveform</code> to one of {escape(presets)}, or "
            "write your own into <code>augment.chain</code>.</p>"
        )
    text = [_shown_chain(heard, chain)]
    for name, other in (
        ("Spectrograms are changed by", parts.chains.spectrogram),
        ("Across the batch, which cannot be heard, inputs are mixed by", parts.chains.batch),
    ):
        if other is not None:
            text.append(_shown_chain(name, other))
    links = [
        f'<a href="#song{n}">{escape(parts.source.item_id(index))}</a>'
        for n, (index, _) in enumerate(songs)
    ]
    info, window_s = parts.source.info, parts.model.window_s
    about = f"Augmentation in training: windows of {window_s:.4g} s at {info.sample_rate_hz} Hz"
    if (shown_s := shown / info.sample_rate_hz) < window_s:
        about += f", of which the first {shown_s:.2g} s are heard"
    return (
        f"<header><h1>{escape(title)}</h1><p>{about}</p><nav>{''.join(links)}</nav></header>"
        f"<section>{note}{''.join(text)}</section>"
    )


def _shown_chain(heading: str, chain: Augmentation) -> str:
    return f'<h3>{escape(heading)}</h3><div class="panel"><pre>{escape(repr(chain))}</pre></div>'


def _songs(parts: Experiment, num_songs: int) -> list[tuple[int, np.ndarray]]:
    """(index, window [T] from the middle) of songs that can be read."""
    indices = parts.indices("train")
    places = np.linspace(0, len(indices) - 1, min(num_songs, len(indices))).round().astype(int)
    found: dict[int, np.ndarray] = {}
    for place in places:
        # Where one cannot be read, the next takes its place, as in training.
        for index in map(int, np.roll(indices, -place)):
            if index in found:
                continue
            try:
                found[index] = _window(parts, index)
                break
            except AudioError as unreadable:
                error = unreadable
    if not found:
        raise error
    return list(found.items())


def _window(parts: Experiment, index: int) -> np.ndarray:
    length = parts.model.window_samples
    start = max(0, parts.source.num_samples(index) - length) // 2
    audio = parts.source.read(index, start_sample=start, num_samples=length)
    if not len(audio):
        raise AudioError(parts.source.item_id(index), "ends before its header says")
    return fit_length(audio, length, short=parts.config.data.short)


def _shown_samples(parts: Experiment, num_players: int) -> int:
    rate_hz = parts.source.info.sample_rate_hz
    # Two bytes a sample, and base64 makes four of three; FLAC takes off what it can.
    fitting_s = _PAGE_BYTES / num_players / (rate_hz * 2 * 4 / 3)
    seconds = min(_LONGEST_S, max(1.0, fitting_s))
    return min(parts.model.window_samples, round(seconds * rate_hz))


def _alone(chain, rng, window, shown, parts) -> list[Clip]:
    clips = []
    for member in chain.augmentations:
        members, often = (member,), "In every window"
        if isinstance(member, RandomApply):
            members, often = member.augmentations, f"In {100 * member.p:.3g} % of windows"
        title = " → ".join(type(one).__name__ for one in members)
        caption = f"{often}: {', '.join(map(repr, members))}"
        clips.append(_clip(title, caption, compose(members)(rng, window), shown, parts))
    return clips


def _draws(chain: Augmentation, rng, window, shown, parts) -> list[Clip]:
    drawn = [chain(rng, window) for _ in range(NUM_DRAWS)]
    return [_clip(f"Draw {i}", "", x, shown, parts) for i, x in enumerate(drawn, start=1)]


def _clip(title: str, caption: str, audio: np.ndarray, shown: int, parts: Experiment) -> Clip:
    audio = audio[:shown]
    return Clip(title, caption, audio, log_mel(audio, _picture_settings(parts)))


def _spectrograms(rng, window, parts: Experiment) -> list[Clip]:
    chain, features = parts.chains.spectrogram, parts.model.features
    if chain is None:
        return []
    plain = features(window)
    drawn = [Clip(f"Draw {i}", "", None, chain(rng, plain)) for i in range(1, NUM_DRAWS + 1)]
    return [Clip("Unchanged", "", None, plain), *drawn]


def _picture_settings(parts: Experiment) -> LogMel:
    return LogMel(sample_rate_hz=parts.source.info.sample_rate_hz, n_fft=1024, hop_length=256)


def _song(groups: dict[str, list[Clip]], parts: Experiment, *, name: str) -> list[str]:
    rate_hz = parts.source.info.sample_rate_hz
    heard = [clip for clips in groups.values() for clip in clips if clip.audio is not None]
    loudest = max(1.0, *(float(np.abs(clip.audio).max()) for clip in heard))
    peak_db = max(float(clip.decibels.max()) for clip in heard)
    centre_hz = mel_frequencies_hz(_picture_settings(parts))
    html = []
    for g, (heading, clips) in enumerate(groups.items()):
        if not clips:
            continue
        cards = []
        for i, clip in enumerate(clips):
            if clip.audio is None:
                peak = max(float(other.decibels.max()) for other in clips)
                drawn = plot_spectrogram(
                    clip.decibels, duration_s=parts.model.window_s, peak_db=peak
                )
            else:
                drawn = plot_spectrogram(
                    clip.decibels,
                    duration_s=len(clip.audio) / rate_hz,
                    mel_centre_hz=centre_hz,
                    peak_db=peak_db,
                )
            picture = inline_svg(drawn, name=f"{name}g{g}c{i}", description=clip.title)
            player = ""
            if clip.audio is not None:
                player = _player(clip.audio / loudest, rate_hz, label=clip.title)
            caption = f"<figcaption>{escape(clip.caption)}</figcaption>" if clip.caption else ""
            cards.append(f"<figure><b>{escape(clip.title)}</b>{player}{picture}{caption}</figure>")
        html.append(f'<h3>{escape(heading)}</h3><div class="players">{"".join(cards)}</div>')
    if loudest > 1:
        down_db = 20 * math.log10(loudest)
        html.append(
            f'<p class="note">All players of this song are turned down by {down_db:.1f} dB, as one '
            "of them would clip. The network gets what is not turned down.</p>"
        )
    return html


def _player(audio: np.ndarray, rate_hz: int, *, label: str) -> str:
    buffer = io.BytesIO()
    soundfile.write(buffer, audio, rate_hz, format="FLAC", subtype="PCM_16")
    data = base64.b64encode(buffer.getvalue()).decode("ascii")
    return (
        f'<audio controls preload="metadata" aria-label="{escape(label)}" '
        f'src="data:audio/flac;base64,{data}"></audio>'
    )


def _label(parts: Experiment, index: int) -> str:
    info, label = parts.source.info, parts.source.labels[index]
    if info.task == "single_label":
        return info.labels[int(label)]
    if info.task == "multi_label":
        # More than a half: a label that nobody looked for is NaN.
        return ", ".join(info.labels[k] for k in np.flatnonzero(label > 0.5)) or "no label"
    values = ("unknown" if np.isnan(value) else f"{value:.3g}" for value in label)
    return ", ".join(map(" ".join, zip(info.labels, values, strict=True)))
