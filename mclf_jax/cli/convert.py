"""`mclf convert` and `soup`: weights become a run, a run weights for PyTorch, runs one run."""

import argparse
from typing import Any

from mclf_jax.cli import flags


def add_commands(commands: Any) -> None:
    """Declare them."""
    command = flags.add_command(
        commands,
        _convert,
        examples=(
            "mclf convert best_model.pth --model musicnn --labels mtat --out runs/musicnn",
            "mclf convert runs/musicnn --to torch --out musicnn.safetensors",
        ),
        fields="taken",
    )
    command.add_argument(
        "source", help="file of weights (.pth .pt .ckpt .safetensors .npz), or run"
    )
    command.add_argument("--to", default="run", choices=("run", "torch"))
    command.add_argument("--out", required=True, help="run directory, or file of weights, to write")
    command.add_argument("--model", help="architecture of the weights, such as fcn")
    command.add_argument(
        "--labels",
        help="of the outputs, in their order: a list that ships (mtat, msd_lastfm, jamendo_top50, "
        "gtzan, ...) or a text file with one a line; encoders without a last layer need none",
    )
    command.add_argument(
        "--task",
        choices=("single_label", "multi_label", "regression"),
        help="that of the list, or multi_label for a file, when not given",
    )
    command.add_argument(
        "--preset",
        help="of a published version whose strides and the like do not show in weights: large of "
        "wav2vec and musicnn, speech of cpc, plus of pase",
    )
    command.add_argument("--licence", help="of the weights, to keep with them")

    soup = flags.add_command(
        commands,
        _soup,
        examples=(
            "mclf soup runs/tuned1 runs/tuned2 runs/tuned3 --out runs/soup",
            "mclf soup runs/tuned1 runs/tuned2 --choose greedy --out runs/soup",
        ),
    )
    soup.add_argument("runs", nargs="+", metavar="RUN", help="run directories, two or more")
    soup.add_argument(
        "--choose",
        default="all",
        choices=("all", "greedy"),
        help="greedy: the best on valid, and each that does not make it worse there",
    )
    soup.add_argument("--out", required=True, help="run directory to make")


def _convert(arguments: argparse.Namespace) -> None:
    """Make a run directory of published weights, or write the weights of a run for PyTorch.
    What the weights were trained with and do not show is said by --config.model.args.X=...,
    --config.features.X=... and --config.model.window_s=SECONDS."""
    if arguments.to == "torch":
        _weights_from_run(arguments)
    else:
        _run_from_weights(arguments)


def _weights_from_run(arguments: argparse.Namespace) -> None:
    from mclf_jax.convert import run

    of_runs = ("model", "labels", "task", "preset", "licence")
    given = [f"--{name}" for name in of_runs if getattr(arguments, name) is not None]
    if given := given + arguments.overrides:
        raise ValueError(f"--to torch takes a run as it is, not {', '.join(given)}")
    written = run.weights_from_run(arguments.source, arguments.out)
    print(f"{written['model'].name} under PyTorch's names: {arguments.out}")
    if written["labels_file"] is None:
        print("without its last layer, because it has learnt no labels")
    else:
        print(f"labels, in the order of the outputs: {written['labels_file']}")
    print(f"back again: {written['command']}")


def _run_from_weights(arguments: argparse.Namespace) -> None:
    from mclf_jax.convert import run
    from mclf_jax.models import presets

    if arguments.model is None:
        raise ValueError(
            "to make a run of weights, --model and --labels are needed; "
            "to write those of a run, --to torch"
        )
    labels = None
    if arguments.labels is not None:
        labels = run.read_labels(arguments.labels, task=arguments.task)
    made = run.run_from_weights(
        arguments.source,
        model=arguments.model,
        labels=labels,
        out=arguments.out,
        overrides=arguments.overrides,
        preset=arguments.preset or presets.PUBLISHED,
        licence=arguments.licence or "unknown",
    )
    _say_what_was_made(made, arguments)


def _say_what_was_made(made: dict[str, Any], arguments: argparse.Namespace) -> None:
    out = arguments.out
    model, trained = made["model"], made["last_layer"] == "trained"
    what = f"{model.module.num_labels} labels ({arguments.labels})" if trained else "no labels"
    print(
        f"{model.name} on windows of {model.window_s:.4g} s, {made['num_parameters']:,} "
        f"parameters, {what}: {out}"
    )
    if made["left_out"]:
        print(f"skipped: {', '.join(made['left_out'])}")
    if trained:
        print(f"next: mclf predict {out} SONG.mp3")
        return
    print("an encoder: it has no last layer, so it embeds songs and does not tag them")
    if unused := [name for name in ("--labels", "--task") if getattr(arguments, name[2:])]:
        print(f"{', '.join(unused)}: not used, as labels come with the data to learn them from")
    print(f"next: mclf embed {out} SONG.mp3 --out FILE.npz")
    print(f"      mclf probe {out} --data NAME --from DIR")
    print(f"      mclf train ... --config.model.name={model.name} --config.init.path={out}")


def _soup(arguments: argparse.Namespace) -> None:
    """Make one run of several that were trained from the same start: the mean of their weights. It
    is as fast as one of them, and often better than each."""
    from mclf_jax.common import files
    from mclf_jax.convert.soup import make_soup

    files.check_place("--out", arguments.out, kind="folder")
    made = make_soup(arguments.runs, arguments.out, choose=arguments.choose)
    for run, score in made["valid"].items():
        place = "in" if run in made["runs"] else "left out"
        print(f"valid {score:.4f} with {run}: {place}")
    print(f"the mean of the weights of {len(made['runs'])} runs: {arguments.out}")
    print(f"next: mclf compare {arguments.out} {' '.join(arguments.runs)}")
