"""Made-up songs, and a source of labels in memory."""

import dataclasses

import numpy as np
import soundfile

from mclf_jax import data
from mclf_jax.data.base.source import Info, Source

RATE_HZ = 16000


def song(seed, *, seconds=8.0, rate_hz=RATE_HZ):
    """Float32 [T]: notes of a scale at random times, with harmonics, over a little noise."""
    rng = np.random.default_rng(seed)
    sound = 0.001 * rng.standard_normal(int(seconds * rate_hz))
    for start_s in rng.uniform(0, seconds, int(6 * seconds)):
        midi = 45 + rng.choice([0, 2, 4, 5, 7, 9, 11]) + 12 * rng.integers(4)
        frequency_hz = 440 * 2 ** ((midi - 69) / 12)
        time_s = np.arange(int(rng.uniform(0.2, 0.9) * rate_hz)) / rate_hz
        note = sum(
            rng.uniform(0.2, 1) / h * np.sin(2 * np.pi * h * frequency_hz * time_s)
            for h in range(1, 5)
        ) * np.exp(-4 * time_s)
        start = int(start_s * rate_hz)
        note = note[: len(sound) - start]
        sound[start : start + len(note)] += 0.1 * note
    return sound.astype(np.float32)


def folder(root, songs):
    """A folder of songs {path: sound, or its bytes as a file} with a manifest, as a source.

    The manifest comes from the paths: split/group/anything; labels alternate.
    """
    rows = []
    for i, (path, sound) in enumerate(songs.items()):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        if isinstance(sound, bytes):
            (root / path).write_bytes(sound)
        else:
            sound, rate_hz = sound if isinstance(sound, tuple) else (sound, RATE_HZ)
            soundfile.write(root / path, sound, rate_hz)
        split, group, _ = path.split("/")
        rows.append(f"{path},{'ab'[i % 2]},{split},{group}")
    (root / "manifest.csv").write_text("\n".join(["path,label,split,group", *rows]))
    return data.build("folder", path=str(root), sample_rate_hz=RATE_HZ, progress="off")


@dataclasses.dataclass
class Labelled(Source):
    """A source without audio: what is checked with audio="skip"."""

    info: Info
    labels: np.ndarray

    def num_samples(self, index):
        raise AssertionError("there is no audio")

    def read(self, index, *, start_sample, num_samples):
        raise AssertionError("there is no audio")

    def item_id(self, index):
        return f"item{index}"


def labelled(values, *, splits, labels=None, name="made", task="multi_label", groups=None, **info):
    """A source of float [N, K] tags or int [N] labels; splits {name: indices}."""
    values = np.asarray(values, np.int32 if task == "single_label" else np.float32)
    count = int(values.max()) + 1 if task == "single_label" else values.shape[1]
    found = Info(
        name=name,
        task=task,
        labels=tuple(labels or (f"label{k}" for k in range(count))),
        sample_rate_hz=RATE_HZ,
        splits={split: np.asarray(indices) for split, indices in splits.items()},
        groups=tuple(groups or (f"item{i}" for i in range(len(values)))),
        version="1",
        fingerprint="made",
        licence="none",
        **info,
    )
    return Labelled(found, values)


def verdicts(findings, words):
    """Verdicts of the findings whose message has these words."""
    return [found.verdict for found in findings if words in found.message]
