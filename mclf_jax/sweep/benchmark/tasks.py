"""Tasks of MARBLE that our readers have, and what others published for them.

Light, because config files import it: nothing here needs jax.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any


@dataclasses.dataclass(frozen=True)
class Task:
    """A data set with its own splits, and what is measured on its test songs.

    Attributes:
        reader: of `data.READERS`.
        arguments: of the reader, beside `path`.
        metrics: a column each.
    """

    reader: str
    arguments: Mapping[str, Any]
    metrics: tuple[str, ...]


MARBLE = {
    "gtzan": Task("gtzan", {}, ("accuracy",)),
    "giantsteps_key": Task("giantsteps_key", {}, ("key_score",)),
    "emomusic": Task("emomusic", {}, ("r2",)),
    "vocalset_singer": Task("vocalset", {"target": "singer", "excerpt_s": 3.0}, ("accuracy",)),
    "vocalset_technique": Task(
        "vocalset", {"target": "technique", "excerpt_s": 3.0}, ("accuracy",)
    ),
    "mtat": Task("magnatagatune", {"split": "pons"}, ("roc_auc_macro", "pr_auc_macro")),
    "nsynth_instrument": Task("nsynth", {"target": "family"}, ("accuracy",)),
    "nsynth_pitch": Task("nsynth", {"target": "pitch"}, ("accuracy",)),
}
"""Tasks of Yuan et al. 2023 (https://arxiv.org/abs/2306.10548) by name."""

RULES = {"kinds": ("mlp",), "layer": "mix", "baselines": ()}
"""Arguments of `probe.probe` that are its protocol: a learnt mix of all layers, one hidden layer of
512, dropout .2, stopped after 10 epochs that are no better on valid, see `shallow.descent`."""


def probes_of(
    name: str,
    path: str,
    *,
    column: str = "",
    num_folds: int = 0,
    num_seeds: int = 1,
    num_windows: int | None = None,
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and arguments of `probe.probe` of a task, for each seed.

    Args:
        name: one of `MARBLE`, in the splits of its data set; under any other name it is a folder of
            songs (`data.readers.folder`).
        path: where the data are.
        column: of the manifest of a folder, that has the labels; "label" or "labels" if not given.
        num_folds: of a folder, cross-validated by group; 0 for its own splits.
        num_seeds: of probes.
        num_windows: evenly over each song; those of the run's own evaluation when not given.

    Raises:
        ValueError: a task of `MARBLE` has labels of its own.
    """
    if name in MARBLE:
        if column:
            raise ValueError(f"task {name} has labels of its own, not those of {column!r}")
        task = MARBLE[name]
        how = {"source": task.reader, "arguments": {**task.arguments, "path": path}}
    else:
        labels = {"task": "single_label", "targets": column} if column else {}
        how = {"source": "folder", "arguments": {"path": path, **labels}, "num_folds": num_folds}
    for seed in range(num_seeds):
        yield f"{name},seed={seed}", {**RULES, **how, "num_windows": num_windows, "seeds": (seed,)}


SOURCE = "MARBLE probes as Zhu et al. 2025 print them, https://arxiv.org/abs/2501.01108"
_COLUMNS = (
    *(("gtzan", "accuracy"), ("giantsteps_key", "key_score"), ("emomusic", "r2")),
    *(("vocalset_singer", "accuracy"), ("vocalset_technique", "accuracy")),
    *(("mtat", "roc_auc_macro"), ("mtat", "pr_auc_macro")),
    *(("nsynth_instrument", "accuracy"), ("nsynth_pitch", "accuracy")),
)
# In per cent; of emotion valence and arousal, of which `r2` is the mean.
_PRINTED = {
    "MERT-330M": (78.6, 65.6, (61.2, 74.7), 87.1, 76.9, 91.3, 40.2, 72.6, 94.4),
    "MusicFM (MSD)": (83.8, 63.9, (60.3, 76.3), 92.0, 78.4, 91.3, 40.0, 76.2, 91.1),
    "MuQ (Music4All)": (84.0, 63.7, (60.0, 76.0), 95.2, 80.8, 91.1, 39.0, 76.9, 91.2),
    "MuQ": (85.5, 63.5, (60.9, 75.4), 95.8, 82.4, 91.4, 40.3, 79.2, 92.3),
    "MuQ iter": (85.6, 65.0, (62.8, 76.1), 96.2, 81.6, 91.4, 40.1, 79.7, 91.3),
}


def _mean(value: float | tuple[float, ...]) -> float:
    of = value if isinstance(value, tuple) else (value,)
    return round(sum(of) / len(of) / 100, 6)


PUBLISHED = {
    name: dict(zip(_COLUMNS, map(_mean, values), strict=True)) for name, values in _PRINTED.items()
}
"""{encoder: {(task, metric): score}}: other people's, of encoders that nobody ran here."""
