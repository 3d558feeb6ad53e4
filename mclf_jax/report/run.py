"""The page of a run: whatever has not been evaluated yet is, then everything is drawn."""

import dataclasses
import functools
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from ml_collections import ConfigDict

from mclf_jax import objectives
from mclf_jax.audio.features import LogMel, log_mel, mel_frequencies_hz
from mclf_jax.common import files, parallel
from mclf_jax.common.storage.working import on_storage
from mclf_jax.data.base.columns import columns_of
from mclf_jax.evaluation.along import taggrams
from mclf_jax.evaluation.evaluate import config_of, evaluate_once
from mclf_jax.evaluation.result import Report
from mclf_jax.evaluation.windows import make_step
from mclf_jax.figures.spectrogram import plot_spectrogram
from mclf_jax.objectives.supervised import tree_of_run
from mclf_jax.report.card import write_card
from mclf_jax.report.page import CARD
from mclf_jax.report.players import as_flac
from mclf_jax.report.pretraining import write_pretraining_page
from mclf_jax.report.scores import write_scores_page
from mclf_jax.report.songs.along import TaggramOf
from mclf_jax.run import experiment
from mclf_jax.run.directory import read_config, read_meta
from mclf_jax.run.experiment import Experiment
from mclf_jax.run.weights import load_variables

# Enough to see what a song is like; a whole song would be a blur.
_SHOWN_S = 10.0
_HEARD_S = 5.0


@on_storage("run")
def report_run(run: str | Path, *, config: ConfigDict | None = None) -> Path:
    """Write `report/index.html` and `card.md` of a run directory; returns the path of the page.

    Test scores come first, then validation; splits that the data set lacks are skipped. A run
    without labels has no scores, and a page of its own.

    Args:
        run: a run directory.
        config: that of the run with other fields of `data` and `eval`, as in `evaluation.evaluate`.

    Raises:
        FileNotFoundError: not a run directory, or nothing was trained in it yet.
        ValueError: there is neither split, or `config` has nothing to do with them.
    """
    run = Path(run)
    objective = read_config(run).objective.name
    if not objectives.traits(objective).predicts_labels:
        if config is not None:
            raise ValueError(
                f"{run} was trained without labels: its page shows what was logged, and no field "
                "of data or eval changes that"
            )
        _write_card(run)
        return write_pretraining_page(run, meta=read_meta(run), objective=objective)
    config = config_of(run, config)
    parts = experiment.build(config)
    splits = [name for name in ("test", "valid") if len(parts.source.info.splits.get(name, ()))]
    if not splits:
        raise ValueError(f"{parts.source.info.name} has no test and no valid songs to report on")
    reports = [evaluate_once(run, split=split, config=config) for split in splits]
    _write_card(run)
    return write_scores_page(
        run,
        reports=[_with_columns(each, parts) for each in reports],
        taggram_of=_taggram_of(run, parts),
        **hearing(parts),
    )


def _taggram_of(run: Path, parts: Experiment) -> TaggramOf:
    """From the name of a song to its scores along time, by the run's best checkpoint."""

    @functools.lru_cache(maxsize=1)  # loaded if a song is asked for
    def opened() -> TaggramOf:
        mesh = parallel.make_mesh(parts.config.runtime.num_devices)
        info = parts.source.info
        step = make_step(
            parts.model,
            outputs=("scores", "loss"),  # as in evaluation, so that it is compiled once
            task=info.task,
            distance=parts.config.objective.distance,
            tree=tree_of_run(parts.config, info),
            unit=info.unit,
            mesh=mesh,
        )
        variables = load_variables(run, parts.model, mesh)["variables"]
        return taggrams(parts, variables, step=step, mesh=mesh)

    return lambda item: opened()(item)


def _with_columns(report: Report, parts: Experiment) -> Report:
    """One of an earlier version with what is known of its songs."""
    if report.columns:
        return report
    index_of = {parts.source.item_id(i): i for i in range(len(parts.source))}
    columns = columns_of(parts.source, [index_of[item] for item in report.items])
    return dataclasses.replace(report, columns=columns)


def hearing(parts: Experiment) -> dict[str, Any]:
    """{"picture_of", "sound_of"}: functions from the name of a song to a figure, and to FLAC."""
    index_of = {parts.source.item_id(i): i for i in range(len(parts.source))}
    features = parts.model.features
    if not isinstance(features, LogMel) or features.unit != "dB":
        # People read decibels whatever the network takes.
        features = LogMel(sample_rate_hz=features.sample_rate_hz)

    @functools.lru_cache(maxsize=1)
    def read(item: str) -> np.ndarray:
        length = round(_SHOWN_S * features.sample_rate_hz)
        return parts.source.read(index_of[item], start_sample=0, num_samples=length)

    def picture_of(item: str) -> Figure:
        audio = read(item)
        return plot_spectrogram(
            log_mel(audio, features),
            duration_s=len(audio) / features.sample_rate_hz,
            mel_centre_hz=mel_frequencies_hz(features),
        )

    def sound_of(item: str) -> str:
        audio = read(item)[: round(_HEARD_S * features.sample_rate_hz)]
        audio = audio / max(1.0, np.abs(audio).max(initial=0))
        return as_flac(audio, rate_hz=features.sample_rate_hz)

    return {"picture_of": picture_of, "sound_of": sound_of}


def _write_card(run: Path) -> None:
    """Before the page, which refers to it."""
    text = write_card(run)
    (run / "report").mkdir(exist_ok=True)
    files.write_text(run / "report" / CARD, text)
