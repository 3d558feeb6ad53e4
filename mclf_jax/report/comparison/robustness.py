"""How a score falls as songs are changed: louder, noisier, slower, encoded, for some runs."""

import contextlib
import copy
import dataclasses
import io
import math
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from mclf_jax import metrics
from mclf_jax.augment import (
    Compressor,
    Downsample,
    Gain,
    Mp3,
    Noise,
    Ogg,
    PitchShift,
    TimeStretch,
    WaveformAugmentation,
)
from mclf_jax.augment.pitch import frame_length
from mclf_jax.common import checks, files, parallel
from mclf_jax.common import progress as progress_lib
from mclf_jax.common.storage.working import on_storage
from mclf_jax.common.text import tables
from mclf_jax.data import pipeline
from mclf_jax.data.base import targets as target_lib
from mclf_jax.data.base.columns import groups_of
from mclf_jax.evaluation.aggregation import song_scores
from mclf_jax.evaluation.windows import Rows, make_step, rows_of, song_windows
from mclf_jax.figures import comparison as figures
from mclf_jax.metrics import bootstrap, counted, paired
from mclf_jax.objectives.supervised import tree_of_run
from mclf_jax.run import experiment
from mclf_jax.run.directory import check_data
from mclf_jax.run.experiment import Experiment
from mclf_jax.run.weights import load_variables, open_run, why_unfit

Strength = float | None  # None: as it is


@dataclasses.dataclass(frozen=True)
class Effect:
    """A change of songs, in several strengths.

    Attributes:
        title: in print.
        unit: of the strengths.
        strengths: in the order in which they are drawn, None where nothing is changed.
        make: (strength, rate in Hz) -> the augmentation that always has it.
    """

    title: str
    unit: str
    strengths: tuple[Strength, ...]
    make: Callable[[float, int], WaveformAugmentation]


EFFECTS = {
    "gain": Effect("gain", "dB", (-24, -12, -6, None, 6, 12), lambda db, rate: Gain(db, db)),
    "noise": Effect(
        "white noise", "dB SNR", (None, 40, 30, 20, 10, 0), lambda snr, rate: Noise(snr, snr)
    ),
    "time_stretch": Effect(
        "time stretch",
        "times as fast",
        (0.7, 0.85, None, 1.15, 1.3),
        lambda speed, rate: TimeStretch(speed, speed, n_fft=frame_length(rate)),
    ),
    "pitch_shift": Effect(
        "pitch shift",
        "semitones",
        (-4, -2, -1, None, 1, 2, 4),
        lambda steps, rate: PitchShift(rate, steps, steps),
    ),
    "compressor": Effect(
        "compressor",
        "to one",
        (None, 2, 4, 8, 20),
        lambda ratio, rate: Compressor(rate, ratio, ratio),
    ),
    "mp3": Effect(
        "MP3", "kbit/s", (None, 128, 64, 48, 32, 16, 8), lambda kbps, rate: Mp3(rate, kbps, kbps)
    ),
    "ogg": Effect("Ogg Vorbis", "quality", (None, 8, 5, 2, 0), lambda q, rate: Ogg(rate, q, q)),
    "sample_rate": Effect(
        "sample rate",
        "Hz",
        (None, 22050, 16000, 11025, 8000, 4000),
        lambda hz, rate: Downsample(rate, rates_hz=(hz,)),
    ),
}
"""What `measure_robustness` does to songs, by name."""

_LONGER = 1.3  # than a window is read, for what is played faster
_NUM_RESAMPLES = 500


@dataclasses.dataclass(frozen=True, eq=False)
class Robustness:
    """What was found.

    Attributes:
        split: of the songs.
        metric: of the scores.
        rows: "run", "effect", "strength" (None: as it is), "unit", "songs", "value" with "low" and
            "high" (95 %, over songs or their groups), and "change" from the songs as they are, with
            "change_low" and "change_high" of the same resamples.
    """

    split: str
    metric: str
    rows: list[dict[str, Any]]

    def plot(self) -> Figure:
        """A panel for each effect, a line for each run."""
        titles = {name: f"{one.title} ({one.unit})" for name, one in EFFECTS.items()}
        return figures.robustness_curves(self.rows, metric=self.metric, titles=titles)

    def save(self, directory: str | os.PathLike) -> Path:
        """Write robustness.png, .csv and .json to a folder; returns the path of the picture."""
        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        files.write_json(directory / "robustness.json", dataclasses.asdict(self))
        text = io.StringIO(newline="")
        columns = list(self.rows[0])
        tables.write_rows(text, [columns, *([row[name] for name in columns] for row in self.rows)])
        files.write_text(directory / "robustness.csv", text.getvalue())
        with files.replacing(directory / "robustness.png") as path:
            self.plot().savefig(path, dpi=150)
        return directory / "robustness.png"


@on_storage("runs")
def measure_robustness(
    runs: Sequence[str | os.PathLike],
    *,
    split: str = "test",
    effects: Sequence[str] = tuple(EFFECTS),
    num_songs: int | None = None,
    metric: str | None = None,
    path: str | os.PathLike = "",
    seed: int = 0,
    progress: str = "auto",
) -> Robustness:
    """Scores of songs as they are and changed, each effect in several strengths.

    Every window that a network hears is changed at the network's rate, and read once for all
    effects. Draws of a window, such as its noise, depend on the seed and the window alone.
    Strengths that a rate does not allow, such as a bit rate of MP3, are left out.

    Args:
        runs: run directories whose labels are of one task.
        split: whose songs are heard.
        effects: of `EFFECTS`.
        num_songs: at most so many of them, evenly over the split; all when not given.
        metric: of `metrics.names_of`; the headline of the task when not given.
        path: where the data are now; where the runs say when not given.
        seed: of noise.
        progress: "auto", "on" or "off".

    Raises:
        FileNotFoundError: not a run directory, or nothing was trained in it yet.
        ValueError: no such effect or split, the data are not those of a run, or it has learnt no
            labels.
    """
    for name in effects:
        checks.choice("effects", name, tuple(EFFECTS))
    if num_songs is not None:
        checks.whole("num_songs", num_songs, lowest=1)
    if not runs or not effects:
        raise ValueError("give at least one run and one effect")
    opened = [open_run(run) for run in dict.fromkeys(map(Path, runs))]
    tasks = {one.meta["task"] for one in opened}
    if len(tasks) > 1:
        raise ValueError(
            f"the runs are of {len(tasks)} tasks, {', '.join(sorted(tasks))}; give runs of one"
        )
    (task,) = tasks
    metric = metric or metrics.HEADLINES[task][0]
    for one in opened:
        known = metrics.names_of(task, one.meta.get("labels", ()))
        checks.choice(f"metric of {task}", metric, known)
    names = [one.path.resolve().name for one in opened]
    if len(set(names)) < len(names):
        names = [str(one.path) for one in opened]
    rows = []
    for one, name in zip(opened, names, strict=True):
        if why := why_unfit(one):
            raise ValueError(f"{one.path}: {why}, so there is nothing to score")
        config = copy.deepcopy(one.config)
        if os.fspath(path):
            with config.unlocked():
                config.data.args.path = os.fspath(path)
        parts = experiment.build(config)
        check_data(one.path, dict(one.meta), parts.source, data_change="refuse")
        songs = parts.indices(split)
        if num_songs is not None and num_songs < len(songs):
            songs = songs[np.linspace(0, len(songs) - 1, num_songs).round().astype(int)]
        changes = _changes(effects, parts.source.info.sample_rate_hz)
        found = _scores(
            parts, songs, one.path, changes=changes, seed=seed, title=name, progress=progress
        )
        rows += [{"run": name} | row for row in _rows(task, found, changes=changes, metric=metric)]
    return Robustness(split, metric, rows)


def _changes(
    effects: Sequence[str], rate_hz: int
) -> dict[tuple[str, Strength], WaveformAugmentation | None]:
    """The augmentation of each effect and strength that there is at a rate; None: as it is."""
    found: dict[tuple[str, Strength], WaveformAugmentation | None] = {}
    for name in effects:
        for strength in EFFECTS[name].strengths:
            if strength is None:
                found[name, None] = None
            elif name != "sample_rate" or strength < rate_hz:
                try:
                    found[name, strength] = EFFECTS[name].make(strength, rate_hz)
                except ValueError:  # a rate that MP3 has not, or a bit rate that the rate has not
                    continue
    return found


def _scores(
    parts: Experiment,
    songs: np.ndarray,
    run: Path,
    *,
    changes: Mapping[tuple[str, Strength], WaveformAugmentation | None],
    seed: int,
    title: str,
    progress: str,
) -> dict[str, Any]:
    """{"targets", "groups", "scores": {change: [N, K]}} of the songs that can be read."""
    config, source, window = parts.config, parts.source, parts.model.window_samples
    mesh = parallel.make_mesh(config.runtime.num_devices)
    parallel.check_batch_size(config.eval.batch_size, mesh, field="eval.batch_size")
    variables = load_variables(run, parts.model, mesh)["variables"]
    tree = tree_of_run(config, source.info)
    how = {"task": source.info.task, "tree": tree, "unit": source.info.unit, "mesh": mesh}
    step = make_step(parts.model, outputs=("scores",), **how)
    inputs = dataclasses.replace(
        parts.inputs, features=None, num_samples=math.ceil(_LONGER * window)
    )
    batches = pipeline.evaluation_batches(
        source, song_windows(parts, songs), inputs=inputs, batch_size=config.eval.batch_size
    )
    distinct = {None: ("", None)} | {made: change for change, made in changes.items() if made}
    heard: list[list[Rows]] = [[] for _ in distinct]
    order = np.argsort(songs)
    bar = progress_lib.bar(
        total=len(batches) * len(distinct), title=title, unit="batch", progress=progress
    )

    with (
        contextlib.closing(parts.iterate(batches)) as stream,
        ThreadPoolExecutor(os.cpu_count() or 1) as pool,
        bar,
    ):
        for batch in stream:
            batch.pop("failed")
            longer = batch["audio"]
            for number, change in enumerate(distinct):

                def changed(row: int, change=change, longer=longer, rows=batch["row"]):
                    if change is None:
                        return longer[row, :window]
                    kept = longer[row] if isinstance(change, TimeStretch) else longer[row, :window]
                    return change(np.random.default_rng([seed, int(rows[row])]), kept)[:window]

                audio = np.stack(list(pool.map(changed, range(len(longer)))))
                for found in rows_of(step, variables, [batch | {"audio": audio}], mesh=mesh):
                    places = order[np.searchsorted(songs, found["index"], sorter=order)]
                    heard[number].append({"index": places, "scores": found["scores"]})
                bar.update()
    how = {"how": config.eval.aggregation, "task": source.info.task}
    every = [song_scores(rows, num_songs=len(songs), **how) for rows in heard]
    readable = every[0]["counts"] > 0
    if not readable.any():
        raise ValueError("not one song of the split could be read")
    place = {made: number for number, made in enumerate(distinct)}
    return {
        "targets": target_lib.in_own_unit(source.targets[songs[readable]], source.info.unit),
        "groups": groups_of(source.info, songs[readable]),
        "scores": {
            change: every[place[made]]["means"][readable] for change, made in changes.items()
        },
    }


def _rows(
    task: str,
    found: Mapping[str, Any],
    *,
    changes: Mapping[tuple[str, Strength], Any],
    metric: str,
) -> list[dict[str, Any]]:
    scores, targets = [found["scores"][change] for change in changes], found["targets"]
    how = {"metric": metric, "num_resamples": _NUM_RESAMPLES}
    groups = bootstrap.numbered(found["groups"])
    drawn = bootstrap.resampled(task, scores, targets, groups=groups, **how)
    values = [float(counted.value(metric, task, each, targets)[0]) for each in scores]
    clean = next(number for number, (_, strength) in enumerate(changes) if strength is None)
    rows = []
    for number, (effect, strength) in enumerate(changes):
        change = paired.difference(drawn[number], drawn[clean])
        rows.append(
            {"effect": effect, "strength": strength, "unit": EFFECTS[effect].unit}
            | {"songs": len(targets), "value": values[number]}
            | bootstrap.percentiles(drawn[number])
            | {"change": values[number] - values[clean]}
            | {"change_low": change["low"], "change_high": change["high"]}
        )
    return rows
