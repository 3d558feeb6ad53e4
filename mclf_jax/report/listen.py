"""`mclf data listen`: the augmentations of a config as players and pictures, before they train."""

from pathlib import Path
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from mclf_jax import augment
from mclf_jax.audio.decode import AudioError
from mclf_jax.augment import Augmentation
from mclf_jax.common import checks
from mclf_jax.data.base.windows import fit_length
from mclf_jax.figures.spectrogram import plot_spectrogram
from mclf_jax.report import page
from mclf_jax.report.players import add_players, alone
from mclf_jax.run import experiment
from mclf_jax.run.experiment import Experiment

PREVIEW = "clmr"
"""The chain that is shown where a config has none."""

NUM_DRAWS = 4  # of the whole chain
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
        spectrogram=parts.chains.spectrogram,
        batch=parts.chains.batch,
        songs=[_song(parts, chain, index, window, shown) for index, window in windows.items()],
    )


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
    # Two bytes a sample, and base64 makes four of three; FLAC takes off what it can.
    fitting_s = _PAGE_BYTES / num_players / (rate_hz * 2 * 4 / 3)
    seconds = min(_LONGEST_S, max(1.0, fitting_s))
    return min(parts.model.window_samples, round(seconds * rate_hz))


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
