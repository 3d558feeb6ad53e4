"""`mclf evaluate`, `report`, `card` and `probe`: how good a run is, as numbers and in words."""

import argparse
from pathlib import Path
from typing import Any

from mclf_jax.cli import flags
from mclf_jax.cli.songs.along import evaluate_along
from mclf_jax.common import checks

_PLACE = "--config.data.args.path="


def add_commands(commands: Any) -> None:
    """Declare them."""
    evaluate = flags.add_command(
        commands,
        _evaluate,
        examples=(
            "mclf evaluate runs/mine",
            "mclf evaluate runs/mine --split valid --from DIR --metrics lwlrap map_at_3",
            "mclf evaluate runs/mine --segments truth.csv --from DIR",
            "mclf evaluate tagger.mclf --data mtat --from DIR --synonyms names.toml",
            "mclf evaluate runs/words --words 'slow piano, sad'",
        ),
        fields="taken",
    )
    evaluate.add_argument("run", help="run directory; with --data also an exported file")
    flags.add_from(evaluate)
    flags.add_data_change(evaluate)
    evaluate.add_argument(
        "--segments",
        metavar="TRUTH",
        help="score along songs instead, by a table of path, start_s, end_s, label",
    )
    evaluate.add_argument(
        "--split",
        choices=(*flags.SPLITS, "all"),
        help=f"default: test; {flags.HIDDEN}; all: of --data, as taken if it has no splits",
    )
    evaluate.add_argument(
        "--data", help="other data: a name (`mclf data list`, mtat, jamendo, ...) or a folder"
    )
    flags.add_reader_options(evaluate)
    evaluate.add_argument(
        "--synonyms",
        metavar="FILE",
        help="names that mean the same, in JSON or TOML; or a taxonomy",
    )
    flags.add_words(evaluate)
    evaluate.add_argument(
        "--metrics",
        nargs="+",
        metavar="NAME",
        help="beside those of the task (eval.metrics): lwlrap, f0.5_macro, top_5_accuracy, ...",
    )
    evaluate.add_argument(
        "--out",
        metavar="DIR",
        help="folder for the report, of other data (in the run if not given) and of --segments "
        "with a page",
    )

    calibrate = flags.add_command(
        commands,
        _calibrate,
        examples=(
            "mclf calibrate runs/mine",
            "mclf calibrate runs/mine --thresholds precision:0.9",
            "mclf calibrate runs/mine --scaling none --thresholds f_beta:0.5",
        ),
        fields="taken",
    )
    calibrate.add_argument("run", help="run directory")
    flags.add_from(calibrate)
    calibrate.add_argument(
        "--scaling",
        choices=("temperature", "platt", "none"),
        help="how scores are put right: temperature, one number (default for single labels); "
        "platt, two for each tag (default for tags); none",
    )
    calibrate.add_argument(
        "--thresholds",
        metavar="TARGET",
        help="of tags: f1 (default), f_beta:B, precision:P, recall:R, such as precision:0.9; none",
    )
    calibrate.add_argument(
        "--risk",
        type=float,
        default=0.05,
        help="say what share of decisions is wrong no more often than this",
    )

    report = flags.add_command(
        commands,
        _report,
        examples=("mclf report runs/mine", "mclf report runs/mine --from DIR"),
        fields="taken",
    )
    report.add_argument("run", help="run directory")
    flags.add_from(report)

    card = flags.add_command(
        commands, _card, examples=("mclf card runs/mine", "mclf card runs/mine --out README.md")
    )
    card.add_argument("run", help="run directory")
    card.add_argument("--out", help="the file to write; default: report/card.md in the run")

    probe = flags.add_command(
        commands,
        _probe,
        examples=(
            "mclf probe runs/clmr",
            "mclf probe runs/clmr --data gtzan --from DIR --kind linear knn --fraction .1 1",
            "mclf probe runs/clmr --kind svm --songs 1 3 10 --folds 5 --seeds 3",
            "mclf probe runs/clmr --layer mix --kind mlp attention",
            "mclf probe small --data folder --from DIR --kind svm --folds 5 --out probes",
        ),
        goes_on="yes",
    )
    probe.add_argument("run", help="run directory, or with --out an exported file")
    probe.add_argument("--data", help="data set with labels (`mclf data list`); default: the run's")
    probe.add_argument("--from", dest="path", help="where it is on disk")
    flags.add_reader_options(probe)
    probe.add_argument(
        "--kind",
        nargs="+",
        help="of classifiers: linear, mlp, knn, svm; label_spreading and harmonic_functions, "
        "also over unlabelled songs; attention, which learns how windows make a song (default: "
        "linear mlp knn, of a mix linear mlp)",
    )
    probe.add_argument(
        "--fraction", nargs="+", type=float, default=(1.0,), help="of the training labels: .01 .1 1"
    )
    probe.add_argument(
        "--songs", nargs="+", type=int, default=(), help="also of each label so many songs: 1 3 10"
    )
    probe.add_argument("--seeds", type=int, default=1, help="repetitions")
    probe.add_argument("--folds", type=int, default=0, help="cross-validate by group")
    probe.add_argument(
        "--baseline",
        nargs="*",
        default=("untrained", "mfcc"),
        help="untrained, mfcc, scratch (which trains, and takes as long)",
    )
    probe.add_argument(
        "--layer",
        help="of the network, by name or by number counted from 1; all, one after the other; mix, "
        "which is learnt; a wrong one lists them",
    )
    probe.add_argument("--out", help="folder for the results; default: in the run")


def _evaluate(arguments: argparse.Namespace) -> None:
    """Score a split with a run's best checkpoint, or any model on other data (--data). How songs
    are cut is said by --config.eval.X=..."""
    if arguments.segments:
        fields = [word for word in arguments.overrides if not word.startswith(_PLACE)]
        flag = {"data_change": "allow-data-change"}
        for name in ("data", "synonyms", "split", "option", "data_change", "metrics", "words"):
            if getattr(arguments, name) not in (None, [], "refuse"):
                fields.append(f"--{flag.get(name, name)}")
        if fields:
            raise ValueError(f"{fields[0]} is not for --segments; leave one of them out")
        evaluate_along(arguments)
        return
    from mclf_jax.common import files
    from mclf_jax.report.baseline import set_beside, tell

    beside = None
    out = Path(arguments.out or Path(arguments.run) / "report")
    if arguments.data is None:
        if Path(arguments.run).is_file():
            raise ValueError(f"{arguments.run} has no data of its own: say which by --data NAME")
        files.check_place("the report", out, kind="folder")
        report = _on_own_data(arguments)
        written = [report.save(out)]
        beside = set_beside(Path(arguments.run), report)
    else:
        from mclf_jax.trial.page import report_folder, write_report

        if arguments.out:
            files.check_place("the report", out, kind="folder")
        found = _on_other_data(arguments)
        report = found["report"]
        written = write_report(
            found, out if arguments.out else report_folder(arguments.run, report)
        ).values()
    windows = f"{len(report.items)} songs, {report.num_windows} windows of split {report.split}"
    print(windows + (f" of {report.dataset}" if arguments.data is not None else ""))
    for name, value in report.metrics.items():
        interval = report.intervals.get(name)
        text = f"  (95 %: {interval['low']:.4f} to {interval['high']:.4f})" if interval else ""
        print(f"{name:>22}  {value:.4f}{text}")
    if beside:
        print(tell(beside))
    if arguments.data is not None:
        labels, others = report.meta["labels"], report.meta["songs_of_other_labels"]
        print(f"over {labels['both']} labels that both have")
        print("\n".join(labels["told"]), end="\n" * bool(labels["told"]))
        if others:
            print(f"{others} songs of other labels are left out")
    if report.skipped:
        item, reason = report.skipped[0]
        print(f"{len(report.skipped)} songs skipped, such as {item}: {reason}")
    if report.undefined:
        print(f"not in macro means: {', '.join(report.undefined)}")
    print(f"intervals: {report.meta['intervals']}")
    print(*written, sep="\n")


def _on_own_data(arguments: argparse.Namespace) -> Any:
    from mclf_jax.trial.evaluate import evaluate

    for name in ("option", "synonyms"):
        if getattr(arguments, name):
            raise ValueError(f"--{name} is for other data: say which by --data NAME")
    if arguments.split == "all":
        raise ValueError("--split all is for other data (--data); allowed here: test, valid, train")
    return evaluate(
        arguments.run,
        split=arguments.split,
        config=flags.config_of_run(arguments),
        data_change=arguments.data_change,
        metrics=arguments.metrics,
        words=flags.words_of(arguments),
    )


def _on_other_data(arguments: argparse.Namespace) -> Any:
    from mclf_jax.data.published import PUBLISHED
    from mclf_jax.trial.evaluate import on_other_data

    if arguments.data_change != "refuse":
        raise ValueError("--allow-data-change is of the run's own data: leave it or --data out")
    cut = {"eval.num_windows": int, "eval.hop_s": float}
    how: dict[str, Any] = {"metrics": arguments.metrics}
    for word in arguments.overrides:
        field, _, value = word.removeprefix("--config.").partition("=")
        if field == "eval.metrics":
            how["metrics"] = _names(word)
        elif field in cut:
            try:
                how[field.removeprefix("eval.")] = cut[field](value)
            except ValueError as error:
                raise ValueError(f"{word}: {value!r} is no number") from error
        elif not word.startswith(_PLACE):
            allowed = ", ".join((*cut, "eval.metrics"))
            raise ValueError(f"{word}: with --data only {allowed} may be others")
    places = [word.removeprefix(_PLACE) for word in arguments.overrides if _PLACE in word]
    name = arguments.data
    options = {}
    if arguments.option:
        reader = PUBLISHED[name].reader if name in PUBLISHED else name
        reader = "folder" if Path(reader).is_dir() else reader
        options = flags.reader_options(arguments, reader)
    return on_other_data(
        arguments.run,
        name,
        split=arguments.split,
        path=places[-1] if places else None,
        arguments=options,
        synonyms=arguments.synonyms,
        words=flags.words_of(arguments),
        **how,
    )


def _names(word: str) -> tuple[str, ...]:
    """Of --config.eval.metrics=..., as for a run's own data."""
    from mclf_jax import config as config_lib

    config = config_lib.base()
    return config_lib.apply_overrides(config, [word], origin="the command line").eval.metrics


def _calibrate(arguments: argparse.Namespace) -> None:
    """Fit on the valid split what makes scores be what comes true, and choose thresholds for a
    target; predict and every export use both from then on."""
    from mclf_jax.evaluation.calibrate import FILE, calibrate, effect
    from mclf_jax.evaluation.evaluate import evaluate_once
    from mclf_jax.metrics.confidence.selective import coverage_at

    checks.within("--risk", arguments.risk, 0, 1)
    run, config = Path(arguments.run), flags.config_of_run(arguments)
    how = {"scaling": arguments.scaling or "", "thresholds": arguments.thresholds or ""}
    found = calibrate(run, config=config, **how)
    print(f"fitted on the {found.num_songs} songs of split valid: scaling {found.scaling}", end="")
    if found.scaling == "temperature":
        print(f", temperature {1 / found.scale[0]:.4g}", end="")
    print(f", thresholds {found.target}")
    if found.unreached:
        reason = "no threshold reaches it, or valid does not have both kinds of songs"
        print(f"target not reached by {checks.few(found.unreached)}: {reason}")
    try:
        test = evaluate_once(run, config=config)
    except ValueError as error:
        print(f"no test songs to see what it does: {error}")
    else:
        told = effect(test, found)
        print(f"{f'{len(test.items)} test songs':>22}  before  after")
        names = {"calibration_error": "calibration error", "log_loss": "log loss", "aurc": "AURC"}
        for key, name in names.items():
            print(f"{name:>22}  {told['before'][key]:.4f}  {told['after'][key]:.4f}")
        best = coverage_at(told["after"]["curve"], risk=arguments.risk)
        if best["coverage"]:
            print(
                f"{best['coverage']:.1%} of decisions, those at least {best['score']:.3f} sure, "
                f"are wrong in at most {arguments.risk:.1%}"
            )
        else:
            print(f"even the surest decisions are wrong in more than {arguments.risk:.1%}")
    print(run / "report" / FILE)


def _report(arguments: argparse.Namespace) -> None:
    """Write the page of a run, evaluating what has not been yet."""
    from mclf_jax.report.run import report_run

    print(report_run(arguments.run, config=flags.config_of_run(arguments)))


def _card(arguments: argparse.Namespace) -> None:
    """Write the model card of a run: what it is, its data, where it fails, what it cost. What only
    a person knows is read from card.toml of the run, which is made with empty fields."""
    from mclf_jax.common import files
    from mclf_jax.evaluation.result import saved_splits
    from mclf_jax.report.card import stated, write_card
    from mclf_jax.run.directory import read_meta

    run = Path(arguments.run)
    out = Path(arguments.out or run / "report" / "card.md")
    files.check_place("--out", out, kind="file")
    text = write_card(run)
    path = stated.write_template(run)
    out.parent.mkdir(parents=True, exist_ok=True)
    files.write_text(out, text)
    print(out)
    if read_meta(run)["labels"] and not saved_splits(run / "report"):
        print(f"no split is evaluated yet: mclf evaluate {run}")
    if missing := [name for name, value in stated.read(run).items() if not value]:
        print(f"not stated in {path}: {', '.join(missing)}")


def _probe(arguments: argparse.Namespace) -> None:
    """See what a run's embeddings are good for: simple classifiers on them, beside the same
    network untrained, trained from scratch, and statistics of MFCCs."""
    from mclf_jax.probe import probe, show

    source = arguments.data
    data_arguments = None
    if source is not None:
        data_arguments = flags.reader_options(arguments, source)
        if arguments.path is not None:
            data_arguments["path"] = arguments.path
    elif arguments.path is not None or arguments.option:
        raise ValueError("--from and --option are for --data NAME")
    result = probe(
        arguments.run,
        source=source,
        arguments=data_arguments,
        kinds=arguments.kind,
        fractions=arguments.fraction,
        songs_per_label=arguments.songs,
        seeds=range(arguments.seeds),
        num_folds=arguments.folds,
        baselines=arguments.baseline,
        layer=arguments.layer,
        out=arguments.out,
    )
    print(show.text(result))
    if result.heads:
        print("fitted probes, in place of a run for mclf predict, embed and export:")
        print("\n".join(f"  {path}" for path in result.heads.values()))
    page = Path(result.directory) / "report" / "index.html"
    print(f"the best of them on valid songs, song by song: {page}")
    print(result.directory)
