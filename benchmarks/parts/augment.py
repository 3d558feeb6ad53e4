"""Augmentations of waveforms, each and in CLMR's chain, beside (torch-)audiomentations.

In numpy clip by clip, as in the processes of a pipeline, and on the device in one jitted call on
the batch, as in a training step. Both peers are on the processor. Time is of one clip of 2.68 s.
"""

import argparse
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import soundfile

from benchmarks.frame.alternate import alternate
from benchmarks.frame.rows import wanted
from benchmarks.peers import augment

_PAIRS = {
    "numpy": ("numpy, clip", "audiomentations"),
    "jax": ("jax, batch", "torch-audiomentations"),
}


def measure(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Rows "numpy: gain", "jax: gain", ..."""
    warnings.filterwarnings("ignore", module=".*audiomentations")
    num_clips = 2 if options.size == "small" else 32
    clips = augment.make_clips(num_clips, 59049)
    with tempfile.TemporaryDirectory() as folder:
        response = str(Path(folder) / "response.wav")
        soundfile.write(response, augment.make_response(), augment.RATE_HZ)
        for title, calls in augment.candidates(clips, response).items():
            for kind, (ours, theirs) in _PAIRS.items():
                name = f"{kind}: {title}"
                if not wanted(name, options.only) or (kind == "jax" and theirs not in calls):
                    continue
                both = {each: calls[each] for each in (ours, theirs) if each in calls}
                times = alternate(both, rounds=options.rounds)
                row = {"name": name, "ours_s": times[ours].median_s / num_clips}
                if theirs in both:
                    goal = 1 / 3 if title == "CLMR chain" else 1.0
                    row |= {"theirs_s": times[theirs].median_s / num_clips, "peer": theirs}
                    row |= {"goal": goal}
                yield row
