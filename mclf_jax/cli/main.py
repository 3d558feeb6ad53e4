"""The `mclf` command: one function a subcommand, each a few lines around the library."""

import argparse
import itertools
import json
import os
import select
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mclf_jax.cli import convert as cli_convert
from mclf_jax.cli import data as cli_data

_SPLITS = ("train", "valid", "test", "hidden")
_HIDDEN_HELP = (
    "hidden: training songs whose labels are not used (data.fraction, data.songs_per_label)"
)
_CONFIG_HELP = "config file, with its argument after a colon: configs/quickstart.py:task=style"


def main(argv: Sequence[str] | None = None) -> int:
    """Run a subcommand; errors that a user can mend are one message and exit code 1."""
    parser = _parser()
    arguments, rest = parser.parse_known_args(argv)
    # "--config.optim.learning_rate=1e-3" cannot be declared: which fields there are is up
    # to the config.
    arguments.overrides = [text for text in rest if text.startswith("--config.")]
    of_runs = (cli_convert.convert, _evaluate, _report)
    takes = hasattr(arguments, "config") or arguments.function in of_runs
    if unknown := [text for text in rest if not takes or text not in arguments.overrides]:
        parser.error(f"unrecognised arguments: {' '.join(unknown)}")
    try:
        code = arguments.function(arguments) or 0
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        output = select.poll()
        output.register(sys.stdout.fileno(), 0)
        if not output.poll(0):  # another pipe broke, such as that of a worker
            raise
        # Whoever reads, such as `head`, has enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for Python's last flush
        return 1
    except (ValueError, OSError, ArithmeticError, ImportError) as error:
        command = " ".join([arguments.command, *getattr(arguments, "subcommand", "").split()])
        print(f"mclf {command}: {error}", file=sys.stderr)
        return 1


def _train(arguments: argparse.Namespace) -> None:
    from mclf_jax import config as config_lib
    from mclf_jax.common import parallel
    from mclf_jax.train import train

    config = config_lib.load(arguments.config, overrides=arguments.overrides)
    if arguments.distributed:
        parallel.start()
    outcome = train(config, workdir=arguments.workdir, data_change=_data_change(arguments))
    best = ""
    if outcome.best_value is not None:
        best = f"; best {config.eval.metric} {outcome.best_value:.4f} at step {outcome.best_step}"
    print(f"{outcome.status} at step {outcome.step}{best}: {arguments.workdir}")
    if outcome.status == "interrupted":
        print("the same command goes on from there")


def _data_change(arguments: argparse.Namespace) -> str:
    return "allow" if arguments.allow_data_change else "refuse"


def _run_config(arguments: argparse.Namespace) -> Any:
    """The config of a run with what the command changes, or None where it changes nothing."""
    from mclf_jax import config as config_lib
    from mclf_jax.run.directory import read_config

    if not arguments.overrides:
        return None
    trained = read_config(Path(arguments.run))
    return config_lib.apply_overrides(trained, arguments.overrides, origin=arguments.run)


def _evaluate(arguments: argparse.Namespace) -> None:
    from mclf_jax.evaluation.evaluate import evaluate

    report = evaluate(
        arguments.run,
        split=arguments.split,
        config=_run_config(arguments),
        data_change=_data_change(arguments),
    )
    path = report.save(Path(arguments.run) / "report")
    print(f"{len(report.items)} songs, {report.num_windows} windows of split {report.split}")
    for name, value in report.metrics.items():
        interval = report.intervals.get(name)
        text = f"  (95 %: {interval['low']:.4f} to {interval['high']:.4f})" if interval else ""
        print(f"{name:>22}  {value:.4f}{text}")
    if report.undefined:
        print(f"left out of macro means: {', '.join(report.undefined)}")
    print(path)


def _predict(arguments: argparse.Namespace) -> int:
    taken: set[str] = set()

    def draw(tagger, path):
        from mclf_jax.figures.taggram import save_taggram

        # Songs of several folders may share a name: "intro", "intro_2", ...
        stem = Path(path).stem
        names = itertools.chain([stem], (f"{stem}_{i}" for i in itertools.count(2)))
        name = next(name for name in names if name not in taken)
        taken.add(name)
        taggram = tagger.taggram(path)
        return save_taggram(taggram, arguments.taggram, name=name, title=Path(path).name)

    def show(tagger, path):
        scores = tagger.predict(path)
        best = sorted(scores, key=scores.get, reverse=True)[: arguments.top]
        drawn = {} if arguments.taggram is None else draw(tagger, path)
        if arguments.format == "json":
            line = {"path": path, "scores": {name: scores[name] for name in best}}
            print(json.dumps(line | {kind: str(file) for kind, file in drawn.items()}))
        else:
            print(path)
            for name in best:
                print(f"  {scores[name]:.3f}  {name}")
            for file in drawn.values():
                print(f"  {file}")

    return _for_each_file(arguments, show)


def _embed(arguments: argparse.Namespace) -> int:
    import numpy as np

    out = Path(arguments.out)
    if out.suffix != ".npz":
        raise ValueError(f"--out is {out}; it must end in .npz")
    out.parent.mkdir(parents=True, exist_ok=True)  # before hours of work, not after
    paths, embeddings = [], []

    def keep(tagger, path):
        embeddings.append(tagger.embed(path))
        paths.append(path)

    code = _for_each_file(arguments, keep)
    if paths:
        np.savez(out, paths=np.array(paths), embeddings=np.stack(embeddings))
        print(f"{len(paths)} embeddings of {embeddings[0].shape[0]} numbers: {out}")
    return code


def _probe(arguments: argparse.Namespace) -> None:
    from mclf_jax.probe import probe

    source = arguments.data
    data_arguments = None
    if source is not None:
        data_arguments = cli_data.options(source, arguments.option)
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
        seeds=range(arguments.seeds),
        num_folds=arguments.folds,
        baselines=arguments.baseline,
        out=arguments.out,
    )
    print(result.text())
    print(result.directory)


def _report(arguments: argparse.Namespace) -> None:
    from mclf_jax.report.run import report_run

    print(report_run(arguments.run, config=_run_config(arguments)))


def _inspect(arguments: argparse.Namespace) -> None:
    from mclf_jax import config as config_lib
    from mclf_jax.train.overview import describe

    for section in describe(config_lib.load(arguments.config, overrides=arguments.overrides)):
        print(section, flush=True)


def _sweep(arguments: argparse.Namespace) -> int:
    from mclf_jax import config as config_lib
    from mclf_jax.sweep import commands, probes_of, settings_of

    where = {"workdir": arguments.workdir}
    settings = settings_of(arguments.config)
    for field, count in commands.count_overruled(settings, arguments.overrides).items():
        own = f"{count} of {len(settings)} settings have a value of their own"
        print(f"--config.{field}: {own}", file=sys.stderr)
    if arguments.dry_run:
        for command in commands.make_commands(
            arguments.config, overrides=arguments.overrides, **where
        ):
            print(command)
        return 0
    from mclf_jax.sweep.run import run

    config = config_lib.load(arguments.config, overrides=arguments.overrides)
    results = run(
        config,
        settings,
        splits=arguments.split,
        probes=probes_of(arguments.config),
        **where,
    )
    if results:
        print((Path(arguments.workdir) / "sweep.md").read_text(encoding="utf-8"))
    done = [result for result in results if result["status"] == "finished"]
    return 0 if len(done) == len(settings) else 1


def _for_each_file(arguments: argparse.Namespace, function: Callable) -> int:
    """Call `function` on every audio file; a bad one is reported and the others go on."""
    from tqdm import tqdm

    from mclf_jax.api import load
    from mclf_jax.audio.decode import AUDIO_SUFFIXES, AudioError

    paths = []
    for given in arguments.audio:
        if Path(given).is_dir():
            below = sorted(str(path) for path in Path(given).rglob("*") if path.is_file())
            paths += [path for path in below if Path(path).suffix.lower() in AUDIO_SUFFIXES]
        else:
            paths.append(given)
    if not paths:
        raise ValueError(f"no audio files in {', '.join(arguments.audio)}")
    tagger = load(
        arguments.run,
        window_s=arguments.window_s,
        num_windows=arguments.num_windows,
        hop_s=arguments.hop_s,
    )
    failed = 0
    for path in tqdm(paths, unit="song", disable=len(paths) < 10 or None):
        try:
            function(tagger, path)
        except AudioError as error:
            failed += 1
            print(f"skipped: {error}", file=sys.stderr)
    return 1 if failed else 0


def _add_data_change(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--allow-data-change",
        action="store_true",
        help="go on although the data are not those that the run began with",
    )


def _add_windows(command: argparse.ArgumentParser) -> None:
    """How songs are cut, see `api.Tagger`; what the run was evaluated with when not given."""
    command.add_argument(
        "--window_s",
        type=float,
        help="seconds in a window, for networks that take any length",
    )
    cut = command.add_mutually_exclusive_group()
    cut.add_argument("--num_windows", type=int, help="windows a song, evenly spaced (usually 16)")
    cut.add_argument("--hop_s", type=float, help="or a window every so many seconds")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="mclf", description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)

    def add(function, help_text, *, to=commands):
        name = function.__name__.rpartition("_")[2]  # _data_listen is "listen" of "data"
        command = to.add_parser(name, help=help_text, description=help_text)
        command.set_defaults(function=function)
        return command

    overrides = "Any field is changed by --config.FIELD=VALUE."
    train = add(_train, f"Train what a config describes, or go on where it stopped. {overrides}")
    train.add_argument("--config", required=True, help=_CONFIG_HELP)
    train.add_argument("--workdir", required=True, help="run directory, new or to be continued")
    _add_data_change(train)
    train.add_argument(
        "--distributed", action="store_true", help="join the other processes of this run first"
    )

    evaluate = add(
        _evaluate,
        "Score a split with a run's best checkpoint. Where the data are now, and how songs are "
        "cut, is said by --config.data.args.path=DIR, --config.eval.X=...",
    )
    evaluate.add_argument("run", help="run directory")
    _add_data_change(evaluate)
    evaluate.add_argument("--split", default="test", choices=_SPLITS, help=_HIDDEN_HELP)

    predict = add(_predict, "Tag songs.")
    predict.add_argument("run", help="run directory")
    predict.add_argument("audio", nargs="+", help="audio files, or folders of them")
    predict.add_argument("--top", type=int, default=5, help="labels to show")
    predict.add_argument("--format", default="text", choices=("text", "json"))
    predict.add_argument(
        "--taggram",
        metavar="DIR",
        help="write a picture and a table of each song's scores along time, --hop_s apart or half "
        "a window",
    )
    _add_windows(predict)

    embed = add(_embed, "Write the embeddings of songs to an .npz of paths and embeddings.")
    embed.add_argument("run", help="run directory")
    embed.add_argument("audio", nargs="+", help="audio files, or folders of them")
    embed.add_argument("--out", required=True, help="the .npz file to write")
    _add_windows(embed)

    cli_convert.add_command(add)

    probe = add(
        _probe,
        "See what a run's embeddings are good for: simple classifiers on them, beside the same "
        "network untrained, trained from scratch, and statistics of MFCCs.",
    )
    probe.add_argument("run", help="run directory, with labels or without")
    probe.add_argument("--data", help="data set with labels (`mclf data list`); default: the run's")
    probe.add_argument("--from", dest="path", help="where it is on disk")
    cli_data.add_options(probe)
    probe.add_argument(
        "--kind",
        nargs="+",
        default=("linear", "mlp", "knn"),
        help="of classifiers: linear, mlp, knn, svm; label_spreading, also over unlabelled songs",
    )
    probe.add_argument(
        "--fraction", nargs="+", type=float, default=(1.0,), help="of the training labels: .01 .1 1"
    )
    probe.add_argument("--seeds", type=int, default=1, help="repetitions")
    probe.add_argument("--folds", type=int, default=0, help="cross-validate by group")
    probe.add_argument(
        "--baseline",
        nargs="*",
        default=("untrained", "mfcc"),
        help="untrained, mfcc, scratch (which trains, and takes as long)",
    )
    probe.add_argument("--out", help="folder for the results; default: in the run")

    report = add(
        _report,
        "Write the page of a run, evaluating what has not been yet. Where the data are now is said "
        "by --config.data.args.path=DIR.",
    )
    report.add_argument("run", help="run directory")

    inspect = add(_inspect, f"Look at an experiment without training it. {overrides}")
    inspect.add_argument("--config", required=True, help=_CONFIG_HELP)

    about_data = "Public data sets and your own: list, prepare, check, listen."
    data = commands.add_parser("data", help=about_data, description=about_data)
    cli_data.add_commands(data, add=add, overrides=overrides)

    sweep = add(
        _sweep,
        "Train and evaluate every setting of a config's sweep(), stages in their order, and probe "
        f"those without labels by its probes(). {overrides}",
    )
    sweep.add_argument("--config", required=True, help=_CONFIG_HELP)
    sweep.add_argument("--workdir", required=True, help="folder of the runs and of the table")
    sweep.add_argument(
        "--split",
        nargs="+",
        default=("test",),
        choices=_SPLITS,
        help=f"of songs to score, with a table each; {_HIDDEN_HELP}",
    )
    sweep.add_argument(
        "--dry_run",
        action="store_true",
        help="only print one command a setting, for a queue; when "
        "these have run, the sweep makes the tables",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
