"""Log-mel spectrograms: clips in one call and one by one, beside librosa and torch.stft."""

import argparse
from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks.frame.alternate import alternate
from benchmarks.frame.rows import wanted
from benchmarks.peers import features
from mclf_jax.audio.features import LogMel

# Ours, and whom it is measured with; all make the same numbers.
_ROWS = {
    "numpy, all clips in one call": ("mclf_jax, numpy", "librosa", 0.2),
    "numpy, clip by clip": ("mclf_jax, numpy, one by one", "librosa, one by one", 0.2),
    "jax, all clips in one call": ("mclf_jax, jax", "torch.stft", None),
}


def measure(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """32 clips of 3.69 s at 16 kHz, 128 bands."""
    num_clips = 2 if options.size == "small" else 32
    rng = np.random.default_rng(0)
    audio = 0.1 * rng.standard_normal((num_clips, 59049), dtype=np.float32)
    calls = features.candidates(audio, LogMel(n_mels=128))
    expected = calls["librosa"]()
    for name, (ours, theirs, goal) in _ROWS.items():
        if not wanted(name, options.only) or theirs not in calls:
            continue
        for each in (ours, theirs):
            np.testing.assert_allclose(calls[each](), expected, atol=1e-2, err_msg=each)
        times = alternate({each: calls[each] for each in (ours, theirs)}, rounds=options.rounds)
        yield {
            "name": name,
            "ours_s": times[ours].median_s,
            "theirs_s": times[theirs].median_s,
            "peer": theirs,
            "goal": goal,
        }
