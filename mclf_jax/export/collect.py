"""Whatever networks come from becomes a bundle: runs, probes of them, files, other layouts."""

import dataclasses
import warnings
from collections.abc import Sequence
from pathlib import Path

from mclf_jax.common import files, parallel
from mclf_jax.common.storage.working import on_storage
from mclf_jax.export import archive
from mclf_jax.export.bundle import Bundle
from mclf_jax.export.huggingface import is_huggingface, read_huggingface
from mclf_jax.models import Model
from mclf_jax.weights import find

Paths = str | Path | Sequence[str | Path]


@on_storage("paths")
def bundle_of(paths: Paths) -> Bundle:
    """What can be used on songs, opened.

    Args:
        paths: a run directory, with the weights of its best checkpoint; or of another one that it
            kept, by its folder (`RUN/checkpoints/latest/STEP`); or a fitted probe of
            `mclf probe` (`.../heads/linear.safetensors`), with the network of its run; or a
            `.mclf` file, or a folder in the layout of Hugging Face, that was exported; or the name
            of a network that comes with the library, see `mclf_jax.weights`; or several, whose
            scores are averaged.

    Raises:
        FileNotFoundError: there is none, or nothing was trained in it yet.
        ValueError: what is there is damaged, or several do not go together, or the run of a probe
            has other weights by now.
    """
    if isinstance(paths, str | Path):
        return _open(Path(paths))
    opened = {str(path): _open(Path(path)) for path in paths}
    if not opened:
        raise ValueError("paths is empty; it must name a run or an exported file, or several")
    return next(iter(opened.values())) if len(opened) == 1 else _ensemble(opened)


def _open(path: Path) -> Bundle:
    path = find(path)
    if path.is_file() and path.suffix == archive.SUFFIX:  # needs nothing of what runs are read by
        return archive.read_archive(path)
    from mclf_jax.export.heads import NOT_KEPT, SUFFIX
    from mclf_jax.run.weights import step_of

    if path.suffix == SUFFIX:
        return _of_probe(path)
    if path.suffix == ".onnx":
        raise ValueError(
            f"{path} is for onnxruntime and programs that use it; take the run that it was "
            "exported from, or export that as a .mclf file"
        )
    if path.is_file():
        return archive.read_archive(path)
    if is_huggingface(path):
        return read_huggingface(path)
    if (path / "probe.json").is_file():
        kept = [f"heads/{each.name}" for each in sorted((path / "heads").glob(f"*{SUFFIX}"))]
        raise ValueError(
            f"{path} is a folder of `mclf probe`; "
            + (f"take what it kept: {', '.join(kept)}" if kept else NOT_KEPT)
        )
    if (step := step_of(path)) is not None:
        return _of_run(path.absolute().parents[2], step=step)
    return _of_run(path)


def _of_run(path: Path, *, step: int | None = None) -> Bundle:
    from mclf_jax.evaluation.calibrate import read_calibration
    from mclf_jax.run.weights import load_variables, open_run, why_unfit

    opened = open_run(path)
    config, meta, model = opened.config, opened.meta, opened.model
    best = load_variables(path, model, parallel.make_mesh(1), step=step)
    hop_s, reports = config.eval.hop_s, path / "report"
    labels = () if why_unfit(opened) else tuple(meta["labels"])
    fitted = read_calibration(path, step=best["step"], labels=labels) if labels else None
    thresholds = {}
    if labels and fitted is None:
        how = {"step": best["step"], "aggregation": config.eval.aggregation}
        thresholds = _thresholds(reports, **how)
    kept = ("audio", "data", "unlabelled", "packages", "python", "git_revision")
    return Bundle(
        models=(model,),
        variables=(best["variables"],),
        task=meta["task"],
        labels=labels,
        short=config.data.short,
        num_windows=config.eval.num_windows if hop_s is None else None,
        hop_s=hop_s,
        aggregation=config.eval.aggregation,
        tree=tuple(meta.get("tree", ())) if labels else (),
        unit=tuple((scale, offset) for scale, offset in meta.get("unit", ())) if labels else (),
        thresholds=thresholds if fitted is None else fitted.thresholds,
        scaling=None if fitted is None else fitted.fitted,
        about={
            **{name: meta[name] for name in kept if meta.get(name) is not None},
            "objective": config.objective.name,
            "step": best["step"],
        },
    )


def _of_probe(path: Path) -> Bundle:
    from mclf_jax.export.heads import read_head
    from mclf_jax.run.weights import digest

    head = read_head(path)
    if not (head.run / "config.json").is_file():
        raise FileNotFoundError(
            f"{path} needs the network of {head.run}, which is not there: bring it back, or move "
            "the probe with its run"
        )
    encoder = _of_run(head.run)
    if digest(encoder.variables[0]) != head.weights:
        raise ValueError(
            f"{path} was fitted on step {head.step} of {head.run}, whose best checkpoint has other "
            f"weights by now (step {encoder.about['step']}): probe the run again"
        )
    return dataclasses.replace(
        encoder,
        **{name: getattr(head, name) for name in ("task", "labels", "short", "num_windows")},
        **{name: getattr(head, name) for name in ("hop_s", "aggregation", "hidden")},
        head=head.layers,
        tree=(),
        unit=(),
        thresholds=head.thresholds,
        scaling=None,
        about={
            **encoder.about,
            **head.about,
            "encoder": {"run": head.run.name, "data": encoder.about["data"]},
        },
    )


def _thresholds(reports: Path, *, step: int, aggregation: str) -> dict[str, float]:
    """Of the tags that the valid split tells one for, if these weights were evaluated on it, with
    windows put together as they are used and on the songs of the run."""
    from mclf_jax.evaluation import result
    from mclf_jax.metrics.thresholds import best_f1_thresholds

    if "valid" not in result.saved_splits(reports):
        return {}
    valid = result.load_report(reports, "valid")
    used = valid.meta.get("asked", {}).get("eval.aggregation", "mean")
    own = valid.meta.get("same_data_as_trained_on", True)
    if (valid.task, valid.meta.get("step"), used) != ("multi_label", step, aggregation) or not own:
        return {}
    found = best_f1_thresholds(valid.scores, valid.targets)
    return {name: float(t) for name, t in zip(valid.labels, found, strict=True) if t == t}


def with_card(bundle: Bundle, paths: Paths) -> Bundle:
    """The bundle with what is told of a run to its readers: its card, metrics of its reports."""
    if bundle.card or not isinstance(paths, str | Path):
        return bundle
    if not (Path(paths) / "meta.json").is_file():  # of other layouts and of probes
        return bundle
    try:
        from mclf_jax.report.card import card_facts, write_card
    except ModuleNotFoundError as error:  # of the extra "train", which using a network needs not
        told = f"no model card and no metrics, as {error.name} is not installed"
        warnings.warn(f"{told}: pip install 'mclf-jax[train]'", stacklevel=2)
        return bundle
    measured = {
        split["report"].split: files.without_nan(split["metrics"])
        for split in card_facts(paths)["splits"]
    }
    about = {**bundle.about, "metrics": measured}
    return dataclasses.replace(bundle, about=about, card=write_card(Path(paths)))


def _ensemble(members: dict[str, Bundle]) -> Bundle:
    first_name, first = next(iter(members.items()))

    def heard(bundle: Bundle) -> dict[str, object]:
        return {
            "task": bundle.task,
            "labels": bundle.labels,
            "sample rate": bundle.sample_rate_hz,
            "samples in a window": bundle.window_samples,
            "data.short": bundle.short,
            "eval.aggregation": bundle.aggregation,
            "tree of labels": bundle.tree,
            "unit of numbers": bundle.unit,
        }

    for name, member in members.items():
        for what, value in heard(member).items():
            if value != heard(first)[what]:
                raise ValueError(
                    f"{first_name} and {name} do not go together: their {what} are "
                    f"{heard(first)[what]} and {value}; members of an ensemble hear the same "
                    "windows and score the same labels in the same order"
                )
        if member.head or not member.labels:
            raise ValueError(
                f"{name} {'is a probe' if member.head else 'has learnt no labels'}; members of an "
                "ensemble are networks that were trained with labels"
            )
    models: tuple[Model, ...] = sum((member.models for member in members.values()), ())
    return Bundle(
        models=models,
        variables=sum((member.variables for member in members.values()), ()),
        task=first.task,
        labels=first.labels,
        short=first.short,
        num_windows=first.num_windows,
        hop_s=first.hop_s,
        aggregation=first.aggregation,
        tree=first.tree,
        unit=first.unit,
        about={"members": [dict(member.about) for member in members.values()]},
    )
