"""`mclf data listen`: the augmentations of a config as players and pictures, before they train."""

import ast
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from mclf_jax import augment
from mclf_jax.audio.decode import AudioError
from mclf_jax.audio.features import LogMel
from mclf_jax.augment import Augmentation
from mclf_jax.common import checks, walk
from mclf_jax.config.fields import base
from mclf_jax.data.base.windows import fit_length
from mclf_jax.evaluation.song import Song
from mclf_jax.figures.spectrogram import plot_spectrogram
from mclf_jax.report import page
from mclf_jax.report.players import add_players, alone
from mclf_jax.run import experiment
from mclf_jax.run.experiment import Experiment

PREVIEW = "clmr"
"""The chain that is shown where a config has none."""

NUM_DRAWS = 4  # of the whole chain
_BESIDE = "Draws of both chains, side by side"
_LONGEST_S = 5.0
_PAGE_BYTES = 12e6  # all players together, at most; pictures come on top


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
    checks.at_least("num_songs", num_songs, 1)
    parts = experiment.build(config)
    rate_hz, chain = parts.source.info.sample_rate_hz, parts.chains.waveform
    if preview := chain is None:
        chain = augment.PRESETS[PREVIEW](rate_hz)
    windows = _windows(parts, num_songs)
    shown = _shown_samples(parts, len(windows) * (1 + len(chain.augmentations) + NUM_DRAWS))
    return page.write(
        out,
        "listen",
        title=title,
        window_s=parts.model.window_s,
        shown_s=shown / rate_hz,
        rate_hz=rate_hz,
        preset=PREVIEW if preview else None,
        presets=sorted(augment.PRESETS),
        where=config.augment.on,
        waveform=chain,
        chains={},
        beside=_BESIDE,
        spectrogram=parts.chains.spectrogram,
        batch=parts.chains.batch,
        songs=[_song(parts, chain, index, window, shown) for index, window in windows.items()],
    )


def write_songs_page(
    paths: Sequence[str],
    out: str | Path,
    *,
    chains: Sequence[str] = (PREVIEW,),
    window_s: float = _LONGEST_S,
    sample_rate_hz: int = 22050,
    seed: int = 0,
) -> Path:
    """The same page of files, without a config or a data set; of two chains the draws stand side by
    side.

    Args:
        paths: of audio; the middle of each is heard.
        out: the file to write.
        chains: one or two: names of `augment.PRESETS`, or what `augment.chain` takes, as text.
        window_s: what is heard of each, shorter where there is less.
        sample_rate_hz: of what is heard.
        seed: of the draws.

    Raises:
        AudioError: a file cannot be read.
        ValueError: no file, more than two chains, or one that is none.
    """
    if not paths or not 1 <= len(chains) <= 2:
        raise ValueError(f"got {len(paths)} songs and {len(chains)} chains; one or two are heard")
    made = {name: _chain(name, sample_rate_hz=sample_rate_hz) for name in chains}
    draws = NUM_DRAWS * len(made) + sum(len(chain.augmentations) for chain in made.values())
    fitting_s = _fitting_s(len(paths) * (1 + draws), rate_hz=sample_rate_hz)
    shown = round(min(window_s, fitting_s) * sample_rate_hz)
    songs = []
    for number, path in enumerate(paths):
        song = Song(path, rate=sample_rate_hz, sample_rate_hz=None)
        length = min(song.length, round(window_s * sample_rate_hz))
        start = np.array([(song.length - length) // 2])
        window = next((audio for _, audio in song.windows(start, length, "pad")), None)
        if window is None:
            raise AudioError(song.name, "ends before its header says")
        heard = {"The window itself": [{"title": "Original", "caption": "", "audio": window}]}
        drawn = []
        for name, chain in made.items():
            rng = np.random.default_rng([seed, number])
            heard[f"{name}: each augmentation alone"] = [
                alone(each, rng, window) for each in chain.augmentations
            ]
            drawn.append([(f"{name}, draw {i + 1}", chain(rng, window)) for i in range(NUM_DRAWS)])
        # Of two chains: one of each in a row.
        heard[_BESIDE if len(made) == 2 else f"The whole chain, drawn {NUM_DRAWS} times"] = [
            {"title": title, "caption": "", "audio": audio}
            for row in zip(*drawn, strict=True)
            for title, audio in row
        ]
        turned_down_db = add_players(sum(heard.values(), []), rate_hz=sample_rate_hz, shown=shown)
        songs.append(
            {
                "name": walk.shown(path),
                "label": "",
                "turned_down_db": turned_down_db,
                "groups": heard,
            }
        )
    return page.write(
        out,
        "listen",
        title=" and ".join(made),
        window_s=window_s,
        shown_s=shown / sample_rate_hz,
        rate_hz=sample_rate_hz,
        preset=None,
        presets=(),
        where="",
        waveform=None,
        chains=made,
        beside=_BESIDE,
        spectrogram=None,
        batch=None,
        songs=songs,
    )


def _chain(text: str, *, sample_rate_hz: int) -> Any:
    """Of the name of a preset, or of the text of a tuple of `augment.chain`."""
    settings = base().augment
    if text.lstrip().startswith(("(", "[")):
        try:
            settings.chain = checks.as_tuples(ast.literal_eval(text))
        except (ValueError, SyntaxError, TypeError) as error:
            raise ValueError(f"chain {text!r} cannot be read: {error}") from error
    else:
        settings.waveform = text
    made = augment.build(settings, features=LogMel(sample_rate_hz=sample_rate_hz)).waveform
    if made is None:
        raise ValueError(f"chain {text!r} changes nothing; presets: {', '.join(augment.PRESETS)}")
    return made


def _windows(parts: Experiment, num_songs: int) -> dict[int, np.ndarray]:
    """By index, the window [T] from the middle of songs that can be read."""
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
    return found


def _window(parts: Experiment, index: int) -> np.ndarray:
    length = parts.model.window_samples
    start = max(0, parts.source.num_samples(index) - length) // 2
    audio = parts.source.read(index, start_sample=start, num_samples=length)
    if not len(audio):
        raise AudioError(parts.source.item_id(index), "ends before its header says")
    return fit_length(audio, length, short=parts.config.data.short)


def _shown_samples(parts: Experiment, num_players: int) -> int:
    rate_hz = parts.source.info.sample_rate_hz
    seconds = _fitting_s(num_players, rate_hz=rate_hz)
    return min(parts.model.window_samples, round(seconds * rate_hz))


def _fitting_s(num_players: int, *, rate_hz: int) -> float:
    # Two bytes a sample, and base64 makes four of three; FLAC takes off what it can.
    fitting_s = _PAGE_BYTES / num_players / (rate_hz * 2 * 4 / 3)
    return min(_LONGEST_S, max(1.0, fitting_s))


def _song(
    parts: Experiment, chain: Augmentation, index: int, window: np.ndarray, shown: int
) -> dict[str, Any]:
    """What the template shows of a song: its clips, and by how much they are turned down."""
    rng = np.random.default_rng([parts.config.seed, index])
    draws = range(1, NUM_DRAWS + 1)
    heard = {
        "The window itself": [{"title": "Original", "caption": "", "audio": window}],
        "Each augmentation alone": [alone(each, rng, window) for each in chain.augmentations],
        f"The whole chain, drawn {NUM_DRAWS} times": [
            {"title": f"Draw {i}", "caption": "", "audio": chain(rng, window)} for i in draws
        ],
    }
    found = {
        "name": parts.source.item_id(index),
        "label": _label(parts, index),
        "turned_down_db": add_players(
            sum(heard.values(), []), rate_hz=parts.source.info.sample_rate_hz, shown=shown
        ),
        "groups": heard,
    }
    if (masks := parts.chains.spectrogram) is not None:
        plain = parts.model.features(window)
        pictures = {"Unchanged": plain} | {f"Draw {i}": masks(rng, plain) for i in draws}
        scale = {
            "duration_s": parts.model.window_s,
            "peak_db": max(float(values.max()) for values in pictures.values()),
        }
        found["groups"]["Spectrograms, as the network sees them"] = [
            {"title": name, "caption": "", "picture": plot_spectrogram(values, **scale)}
            for name, values in pictures.items()
        ]
    return found


def _label(parts: Experiment, index: int) -> str:
    info, label = parts.source.info, parts.source.targets[index]
    if info.task == "single_label":
        return info.labels[int(label)]
    if info.task == "multi_label":
        # More than a half: a label that nobody looked for is NaN.
        return ", ".join(info.labels[k] for k in np.flatnonzero(label > 0.5)) or "no label"
    values = ("unknown" if np.isnan(value) else f"{value:.3g}" for value in label)
    return ", ".join(map(" ".join, zip(info.labels, values, strict=True)))
