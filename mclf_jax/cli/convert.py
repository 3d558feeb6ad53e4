"""`mclf convert ...`: weights become a run, and a run becomes weights for PyTorch."""

import argparse
from typing import Any

from mclf_jax.cli import flags


def add_commands(commands: Any) -> None:
    """Declare it."""
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
    from mclf_jax import models
    from mclf_jax.convert import run

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
        preset=arguments.preset or models.PUBLISHED,
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
