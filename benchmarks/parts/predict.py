"""`mclf predict SONG` from the shell, beside PyTorch scripts; embedding; each with its memory.

A song of four minutes, MP3 at 44.1 kHz in stereo, and MusiCNN at its published size with 50 tags
that nobody trained, exported. Imports, decoding and compilation are in it. "Cold" keeps nothing
from one process to the next; "warm" has compiled programs of an earlier one, by the variable
JAX_COMPILATION_CACHE_DIR.
"""

import argparse
import importlib.util
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from benchmarks import process
from benchmarks.frame.rows import wanted

_PEER = Path(__file__).parent.parent / "peers" / "predict_song.py"
_CODE = """
import jax
from mclf_jax import models
from mclf_jax.export.archive import write_archive
from mclf_jax.export.bundle import Bundle
model = models.build("musicnn", num_labels=50)
names = tuple(f"tag {i}" for i in range(50))
weights = model.init(jax.random.key(0))
write_archive(Bundle((model,), (weights,), "multi_label", names, "tile", 16, None), "musicnn.mclf")
"""
_HALF = 0.5


def add_options(parser: Any) -> None:
    """Of a trained run."""
    parser.add_argument("--run", type=Path, help="run directory to predict with, too")


def measure(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Rows of whole processes; their medians, and the largest of their peaks."""
    minutes = 0.1 if options.size == "small" else 4
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        song = place / "song.mp3"
        soundfile.write(song, _tones(minutes * 60), 44100)
        model, weights = place / "musicnn.mclf", place / "musicnn.pt"
        subprocess.run([sys.executable, "-c", _CODE], cwd=place, check=True, env=_here())
        mclf = ["-m", "mclf_jax"]
        ours = {
            "mclf predict, cold": ([*mclf, "predict", str(model), str(song)], {}),
            "mclf predict, warm": (
                [*mclf, "predict", str(model), str(song)],
                {
                    "JAX_COMPILATION_CACHE_DIR": str(place / "programs"),
                    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
                },
            ),
        }
        if options.run:
            run = [*mclf, "predict", str(options.run), str(song)]
            ours["mclf predict of a run directory, cold"] = (run, {})
        theirs = {}
        if importlib.util.find_spec("torchaudio"):
            for loader in ("librosa", "torchaudio"):
                theirs[loader] = ([str(_PEER), str(song), str(weights), loader], {})
        asked = {name: each for name, each in ours.items() if wanted(name, options.only)}
        if asked:
            found = _alternate(asked | theirs, rounds=options.rounds)
            for name in asked:
                yield from _rows(name, found, list(theirs))
        help_words = {"mclf --help": ([*mclf, "--help"], {})}
        if wanted("mclf --help", options.only):
            found = _alternate(help_words, rounds=options.rounds)["mclf --help"]
            yield {"name": "mclf --help", "ours_s": found["seconds"], "note": "goal: 0.3 s"}
        if wanted("embedding", options.only):
            yield _embedding(model, place, options)


def _rows(name: str, found: dict[str, dict[str, float]], peers: list[str]) -> Iterator[dict]:
    own = {"ours_s": found[name]["seconds"], "ours_bytes": found[name]["peak_mib"] * 2**20}
    if not peers:
        yield {"name": name, **own}
    for peer in peers:
        yield {
            "name": f"{name}; {peer}",
            **own,
            "theirs_s": found[peer]["seconds"],
            "theirs_bytes": found[peer]["peak_mib"] * 2**20,
            "peer": f"PyTorch, {peer}",
            "goal": _HALF,
        }


def _embedding(model: Path, place: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Seconds for an hour of music: songs of four minutes as in `mclf embed`, 16 windows each."""
    songs = 2 if options.size == "small" else 15
    folder = place / "songs"
    folder.mkdir()
    for number in range(songs):
        os.link(place / "song.mp3", folder / f"{number}.mp3")
    seconds = []
    for number in range(options.rounds):
        out = place / f"embeddings_{number}.npz"  # the journal of another would say what is done
        words = ["-m", "mclf_jax", "embed", str(model), str(folder), "--out", str(out)]
        seconds.append(process.measure(words, title="mclf embed", environment=_here())["seconds"])
    took_s = statistics.median(seconds)
    hours = songs * soundfile.info(place / "song.mp3").duration / 3600
    return {
        "name": "embedding, a process for an hour of music",
        "ours_s": took_s / hours,
        "note": f"{hours / took_s:.2f} hours of music a second",
    }


def _alternate(commands: dict[str, Any], *, rounds: int) -> dict[str, dict[str, float]]:
    found: dict[str, list[dict[str, float]]] = {name: [] for name in commands}
    for round_number in range(1 + rounds):  # the first one fills caches of the disk
        for name, (words, more) in commands.items():
            used = process.measure(words, title=name, environment={**_here(), **more})
            if round_number:
                found[name].append(used)
    return {
        name: {
            "seconds": statistics.median(used["seconds"] for used in each),
            "peak_mib": max(used["peak_mib"] for used in each),
        }
        for name, each in found.items()
    }


def _here() -> dict[str, str]:
    """Processes import this checkout."""
    return {"PYTHONPATH": os.pathsep.join([os.getcwd(), os.environ.get("PYTHONPATH", "")])}


def _tones(seconds: float) -> np.ndarray:
    """Chords that decay, with noise: [T, 2] at 44.1 kHz."""
    rng = np.random.default_rng(0)
    t = np.arange(round(seconds * 44100))[:, None] / 44100
    hz = 110 * 2 ** (rng.integers(0, 36, (6, 1, 2)) / 12)
    phase = np.arange(6)[:, None, None] / 6
    sound = np.zeros((len(t), 2))
    for each, later in zip(hz, phase, strict=True):
        sound += 0.1 * np.sin(2 * np.pi * each * t) * np.exp(-2 * ((t + later) % 1))
    return (sound + 0.01 * rng.standard_normal(sound.shape)).astype(np.float32)
