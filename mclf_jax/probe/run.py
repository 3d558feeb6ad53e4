"""Probe a run: frozen embeddings of labelled songs, classifiers on them, baselines beside them."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from mclf_jax import metrics
from mclf_jax.common import checks, files
from mclf_jax.common.progress import MODES
from mclf_jax.common.progress import bar as bar_of
from mclf_jax.common.storage.working import on_storage
from mclf_jax.data.base import targets as target_lib
from mclf_jax.data.base.columns import groups_of
from mclf_jax.data.base.source import Info, Source
from mclf_jax.data.catalogue.items import SPLITS
from mclf_jax.evaluation.evaluate import intervals_of, metrics_of
from mclf_jax.export import heads
from mclf_jax.models import Model
from mclf_jax.models.hidden import ALL, find_layers
from mclf_jax.probe import encoders, scratch, show, verification
from mclf_jax.probe.cells import (
    Cell,
    deal_cells,
    find_missing_labels,
    find_unlabelled,
)
from mclf_jax.probe.exported import as_run, is_exported
from mclf_jax.probe.opening import (
    check_splits,
    find_heard,
    method_of,
    open_parts,
    title_of,
)
from mclf_jax.probe.report import report_best
from mclf_jax.probe.result import ProbeResult, Record, amount_of
from mclf_jax.run import restore
from mclf_jax.run.directory import describe_data
from mclf_jax.run.weights import open_run
from mclf_jax.shallow.classifiers import MAX_WINDOWS, TRANSDUCTIVE
from mclf_jax.shallow.embeddings import (
    Embeddings,
    Encoder,
    Rows,
    extract,
    labelled_songs,
    of_layers,
    rows_of,
)
from mclf_jax.shallow.fit import KINDS, OF_A_MIX, Fitted, fit, in_own_unit
from mclf_jax.shallow.graph.ties import check_task
from mclf_jax.shallow.mfcc import make_mfcc
from mclf_jax.train.loop import TrainingError

_USUAL, _OF_MIX = ("linear", "mlp", "knn"), ("linear", "mlp")
"""Kinds of probes, if none are asked for."""
BASELINES = ("untrained", "mfcc", "scratch")
MIX = "mix"
"""The layer that is a learnt mix of all."""
ENCODERS = ("trained", "untrained", "mfcc")
"""What of a run can be probed: its network, the same before its first step, and MFCC statistics at
its sample rate, which have one layer."""


@on_storage("run")
def probe(
    run: str | Path,
    *,
    source: str | Source | None = None,
    arguments: Mapping[str, Any] | None = None,
    encoder: str = "trained",
    kinds: Sequence[str] | None = None,
    fractions: Sequence[float] = (1.0,),
    songs_per_label: Sequence[int] = (),
    seeds: Sequence[int] = (0,),
    num_folds: int = 0,
    baselines: Sequence[str] = BASELINES,
    layer: str | int | None = None,
    out: str | Path | None = None,
    num_windows: int | None = None,
    hop_s: float | None = None,
    max_windows: int = 50_000,
    scratch_config: ConfigDict | None = None,
    scratch_dir: str | Path | None = None,
    progress: str = "auto",
) -> ProbeResult:
    """Train classifiers on a run's frozen embeddings and score them on the test songs.

    Embeddings are made once, of windows as evaluation cuts them, in evaluation mode, without any
    augmentation, and kept below RUN/probe/embeddings. The valid split, which keeps all its labels
    whatever the fraction, decides regularisation, k and when to stop.

    Probes "linear", "mlp" and "attention" of the trained network that got all labels, with the
    first seed and fold, are kept as OUT/heads/KIND.safetensors, which `mclf_jax.load` takes. The
    one of `encoder` with the best valid score has OUT/report: scores of every song
    (`evaluation.result.load_report`) and a page.

    Args:
        run: a run directory of `mclf train`, with whatever objective, or of `mclf convert`. Or what
            `mclf export` wrote, or the name of a network that comes with the library, of which a
            run is made below `out`.
        source: name of a data set, or an open one, at the rate of the run's features; the run's
            own when not given.
        arguments: of the data set by that name, such as {"path": ...}.
        encoder: of `ENCODERS`, that is probed; baselines are for "trained" alone.
        kinds: of probes on trained and untrained network: "linear", "mlp", "knn", "svm", or
            "label_spreading" and "harmonic_functions", which learn from songs without labels, too:
            those of the split "unlabelled", where the songs are whose labels a fraction leaves out;
            or "attention", which learns how windows make a song, see `shallow.descent`. When not
            given, the first three, of layer "mix" the first two.
        fractions: of the training labels, each within the next larger one; the same songs for
            every method and run.
        songs_per_label: also with so many training songs of each label, such as (1, 3, 10), each
            within the next larger one.
        seeds: a seed deals the folds, chooses the songs of a fraction, and draws the weights of
            the networks that are trained here and of the untrained one (`make_untrained`).
        num_folds: cross-validation by group instead of the splits of the data set; 0 for those.
        baselines: "untrained", the run's network without training; "mfcc", an SVM on statistics
            of MFCCs; "scratch", the run's network trained on the same labels as a whole.
        layer: of the networks, that is probed: a name, a number counted from 1, "all" one after
            the other, or "mix", a learnt mix of all for "linear", "mlp" and "attention"; what the
            last layer reads when not given. See `models.hidden`.
        out: where tables and picture go, over those of an earlier call; RUN/probe/DATA when not
            given, or RUN/probe/DATA-LAYER.
        num_windows, hop_s: how songs are cut, if not as in the run's evaluation.
        max_windows: to train a probe on, fewer of every song; 5,000 for "svm" and 10,000,
            labelled and unlabelled, for kinds of `classifiers.TRANSDUCTIVE`.
        scratch_config: how to train from scratch; `scratch.default_config` when not given. Its
            data, folds, fraction and seed are those of the probe.
        scratch_dir: where these networks are kept, so that runs of one architecture can share
            them; below `out` when not given.
        progress: "auto", bars on terminals; "on" or "off".

    Returns:
        All records, saved already; `heads` are the probes to use.

    Raises:
        FileNotFoundError: not a run directory, or nothing was trained in it yet.
        ValueError: the data have no labels or lack a split, or an argument is not as above.
    """
    if is_exported(run):
        if out is None:
            raise ValueError(f"{run} is no run, which results could be written to: say out (--out)")
        run = as_run(run, out=Path(out) / "encoder")
    run, opened = Path(run), open_run(run)
    kinds = (_OF_MIX if layer == MIX else _USUAL) if kinds is None else kinds
    baselines = () if encoder != "trained" and baselines is BASELINES else baselines
    _check(kinds, fractions, songs_per_label, seeds, baselines, num_folds, progress)
    _check_encoder(encoder, baselines, layer)
    files.check_place("out", run / "probe" if out is None else out, kind="folder")
    restore.best_step(run / "checkpoints")  # raises, before songs are decoded
    names = () if layer is None else _find_layers(opened.model, layer, kinds)
    names = () if encoder == "mfcc" else names
    parts = open_parts(run, source, arguments, num_windows=num_windows, hop_s=hop_s)
    info, title = parts.source.info, title_of(parts)
    check_splits(info, num_folds=num_folds)
    transductive = [kind for kind in kinds if kind in TRANSDUCTIVE]
    for kind in transductive:
        check_task(info.task, kind=kind)
    if not isinstance(source, str | None) and "scratch" in baselines:
        raise ValueError(
            "source is an open data set, which training from scratch cannot open again: give its "
            "name and arguments, or leave 'scratch' out of baselines"
        )
    shown = str(layer) if layer in (ALL, MIX) else "".join(names)
    folder = f"{title}-{info.fingerprint[:8]}" + (f"-{shown}" if shown else "")
    out = run / "probe" / folder if out is None else Path(out)
    songs = np.concatenate([info.splits.get(split, ()) for split in SPLITS])
    songs = labelled_songs(parts.source, songs)
    if not len(songs):
        raise ValueError(f"not one song of {info.name} in train, valid or test has a label")
    all_cells = list(
        deal_cells(
            parts.source,
            seeds=seeds,
            num_folds=num_folds,
            fractions=fractions,
            songs_per_label=songs_per_label,
        )
    )
    # What is not of the trained weights has heard nothing.
    notes = find_heard(opened, parts, all_cells) if encoder == "trained" else []
    notes += find_missing_labels(all_cells)
    if transductive:
        songs = np.union1d(songs, find_unlabelled(parts.source))
        notes += [_graph_note(k, all_cells, max_windows=max_windows) for k in transductive]

    def embeddings(of: Encoder) -> Embeddings:
        directory = run / "probe" / "embeddings"
        found = extract(of, parts.source, songs, directory=directory, progress=progress)
        if widths := of.identity.get("layers"):  # one pass of the network gets them all
            return of_layers(found, widths=widths, names=names)
        return found

    read, made = (encoders.LAYERS if names else encoders.OUTPUT), {}
    if encoder == "trained":
        made["trained", seeds[0]] = encoders.load_trained(run, parts, read=read)
    if "untrained" in (encoder, *baselines):
        each = encoders.make_untrained(run, parts, seeds=seeds, read=read)
        made |= {("untrained", seed): each[seed] for seed in seeds}
    if "mfcc" in (encoder, *baselines):
        made["mfcc", seeds[0]] = make_mfcc(parts)
    found = {key: embeddings(each) for key, each in made.items()}
    best, probed = made[encoder, seeds[0]], found[encoder, seeds[0]]
    widths, mixed = best.identity.get("layers", {}), ()
    if layer == MIX:
        mixed = tuple(widths[name] for name in names) or probed.vectors.shape[1:]
    if skipped := len(songs) - len(np.unique(probed.songs)):
        notes.append(f"{skipped} songs could not be read and are skipped: they are in no score.")
    if source is None:
        by_name = {name: each for (name, _), each in found.items()}
        notes += verification.describe(by_name, trained=opened.config, info=info)

    # What is kept of `heads.KINDS` got all labels; of several seeds and folds it is the first.
    most = (0, max(fractions))
    whole = next((cell for cell in all_cells if cell.amount == (0, 1)), None)
    fits = [(encoder, kind) for kind in kinds]
    fits += [("untrained", kind) for kind in kinds if "untrained" in baselines]
    fits += [("mfcc", "svm")] * ("mfcc" in baselines)
    records, of_probed = [], {}
    total = len(all_cells) * len(fits)
    with bar_of(total=total, title="probes", unit="fit", progress=progress, leave=True) as bar:
        for cell in all_cells:
            for name, kind in fits:
                bar.set_postfix_str(f"{name} {kind}")
                key = (name, cell.seed) if name == "untrained" else (name, seeds[0])
                how = {"max_windows": max_windows, "widths": mixed if kind != "svm" else ()}
                fit_of = _fit(found[key], name, kind, cell, **how)
                records.append(fit_of["record"])
                if name == encoder and cell.seed == seeds[0] and cell.amount == most:
                    of_probed.setdefault(kind, []).append(fit_of | {"cell": cell})
                if name == "trained" and kind in heads.KINDS and cell is whole:
                    path = out / "heads" / f"{kind}{heads.SUFFIX}"
                    head = _head(run, best, cell.source.info, fit_of["fitted"], fit_of["record"])
                    heads.write_head(dataclasses.replace(head, hidden=names), path)
                bar.update()
    if "scratch" in baselines:
        directory = out / "scratch" if scratch_dir is None else Path(scratch_dir)
        how = scratch_config or scratch.default_config(
            parts.config, task=info.task, num_train=len(info.splits.get("train", ()))
        )
        for cell in all_cells:
            config = scratch.restrict(how, cell, data=parts.config.data, num_folds=num_folds)
            try:
                records.append(scratch.fit_network(config, cell, directory=directory))
            except TrainingError as error:
                notes.append(
                    f"From scratch with seed {cell.seed}, fold {cell.fold}, "
                    f"labels: {amount_of(*cell.amount)}: {error}"
                )
    result = ProbeResult(
        run=run.resolve().name,
        method=method_of(opened.config) if encoder == "trained" else encoder,
        step=best.identity.get("step", 0),
        data=title,
        fingerprint=info.fingerprint,
        task=info.task,
        labels=info.labels,
        num_folds=num_folds,
        records=tuple(records),
        notes=tuple(notes),
        directory=out,
        layer=shown,
    )
    show.save(result, out)
    report_best(of_probed, parts, result, embeddings=probed)
    return result


def _find_layers(model: Model, layer: str | int, kinds: Sequence[str]) -> tuple[str, ...]:
    if layer != MIX:
        return find_layers(model, layer, field="layer")
    if others := [kind for kind in kinds if kind not in OF_A_MIX]:
        raise ValueError(
            f"kinds has {others[0]!r}, which learns no mix of layers; for layer {MIX!r} allowed: "
            f"{', '.join(OF_A_MIX)}"
        )
    return find_layers(model, ALL, field="layer")


def _check_encoder(encoder: str, baselines: Sequence[str], layer: str | int | None) -> None:
    checks.choice("encoder", encoder, ENCODERS)
    if encoder != "trained" and baselines:
        raise ValueError(
            f"baselines is {list(baselines)} and encoder {encoder!r}; baselines are for 'trained', "
            "leave them out"
        )
    if encoder == "mfcc" and layer not in (None, MIX):
        raise ValueError(f"layer is {layer!r}; statistics of MFCCs have one, leave layer out")


def _check(kinds, fractions, songs_per_label, seeds, baselines, num_folds, progress) -> None:
    for field, given, allowed in (("kinds", kinds, KINDS), ("baselines", baselines, BASELINES)):
        if isinstance(given, str):
            raise ValueError(f"{field} is {given!r}; it must be a list of {', '.join(allowed)}")
        for name in given:
            checks.choice(field, name, allowed)
    for fraction in fractions:
        checks.within("fractions", fraction, 0, 1, ends="(]")
    for count in songs_per_label:
        checks.at_least("songs_per_label", count, 1)
    if len(set(songs_per_label)) < len(songs_per_label):
        raise ValueError(f"songs_per_label: {list(songs_per_label)}; none may be there twice")
    for seed in seeds:
        checks.at_least("seeds", seed, 0)
    for field, given in (("kinds", kinds), ("fractions", fractions), ("seeds", seeds)):
        if not given or len(set(given)) < len(given):
            raise ValueError(f"{field}: {list(given)}; at least one is needed, and none twice")
    if num_folds and num_folds < 3:
        raise ValueError(
            f"num_folds is {num_folds}; it must be at least 3, for train, valid and test, or 0"
        )
    checks.choice("progress", progress, MODES)
    if jax.process_count() > 1:
        raise ValueError(f"probe in one process; there are {jax.process_count()}")


def _graph_note(kind: str, all_cells: Sequence[Cell], *, max_windows: int) -> str:
    counts = sorted({len(cell.unlabelled()) for cell in all_cells})
    songs = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    most = min(max_windows, MAX_WINDOWS[kind])
    return (
        f"{kind} also learns from {songs} songs without their labels, none of valid or "
        f"test; its graph has {most:,} windows at most, but one of each labelled song."
    )


def _fit(
    embeddings: Embeddings,
    encoder: str,
    kind: str,
    cell: Cell,
    *,
    max_windows: int,
    widths: tuple[int, ...],
) -> dict[str, Any]:
    """{"fitted": `Fitted`, "record": `Record`, "songs": {split: (indices, targets)}}."""
    info = cell.source.info
    rows = {name: rows_of(embeddings, *cell.split(name)) for name in SPLITS}
    if empty := [name for name, of_split in rows.items() if not len(of_split.songs)]:
        raise ValueError(f"no labelled song of {info.name} in {' and '.join(empty)} could be read")
    fitted = fit(
        kind,
        info.task,
        train=rows["train"],
        valid=rows["valid"],
        test=rows["test"],
        labels=info.labels,
        seed=cell.seed,
        max_windows=max_windows,
        unlabelled=_without_labels(embeddings, cell) if kind in TRANSDUCTIVE else None,
        widths=widths,
    )
    fitted = in_own_unit(fitted, info.unit)
    targets = target_lib.in_own_unit(rows["test"].targets, info.unit)
    record = Record(
        encoder=encoder,
        kind=kind,
        fraction=cell.fraction,
        seed=cell.seed,
        fold=cell.fold,
        num_train=len(rows["train"].songs),
        num_test=len(rows["test"].songs),
        values=metrics_of(info, fitted.scores, targets).values,
        intervals=intervals_of(
            info,
            fitted.scores,
            targets,
            names=metrics.HEADLINES[info.task],
            groups=groups_of(info, rows["test"].songs),
        ),
        setting=fitted.setting,
        songs_per_label=cell.songs_per_label,
    )
    songs = {
        name: (rows[name].songs, target_lib.in_own_unit(rows[name].targets, info.unit))
        for name in ("valid", "test")
    }
    return {"fitted": fitted, "record": record, "songs": songs}


def _without_labels(embeddings: Embeddings, cell: Cell) -> Rows:
    songs = cell.unlabelled()
    return rows_of(embeddings, songs, np.full(len(songs), np.nan))


def _head(run: Path, encoder: Encoder, info: Info, fitted: Fitted, record: Record) -> heads.Head:
    """A fit as it is kept; `info` of the data with the splits that it got."""
    of_fit = ("kind", "setting", "seed", "fold", "num_train", "num_test")
    of_encoder = ("step", "weights", "short", "num_windows", "hop_s")
    return heads.Head(
        kind=record.kind,
        run=run,
        task=info.task,
        labels=info.labels,
        thresholds=fitted.thresholds,
        about={
            "data": describe_data(info),
            "probe": {name: getattr(record, name) for name in of_fit},
            "metrics": {"test": record.values},
        },
        layers=fitted.layers,
        aggregation=fitted.aggregation,
        **{name: encoder.identity[name] for name in of_encoder},
    )
