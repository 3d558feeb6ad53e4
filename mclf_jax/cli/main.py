"""The `mclf` command: reads the command line, and turns errors into one line."""

import argparse
import functools
import os
import select
import sys
import traceback
import warnings
from collections.abc import Sequence
from typing import Any

from mclf_jax.cli import (
    compare,
    convert,
    data,
    doctor,
    evaluate,
    export,
    flags,
    predict,
    serve,
    train,
)
from mclf_jax.cli.collection import catalogue
from mclf_jax.common import disk, interrupt


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; errors that a user can mend are one line and exit code 1.

    So is what a signal interrupts, with 75 if it has saved where to go on from, else with 128 and
    the number of the signal.
    """
    arguments = argparse.Namespace(title="mclf", goes_on="no")
    try:
        with interrupt.ending_in_a_line("mclf"):
            return _run(arguments, sys.argv[1:] if argv is None else argv)
    except interrupt.Interrupted as error:
        hint = ["the same command goes on from there"] * (arguments.goes_on == "yes")
        print(f"{arguments.title}: {error}", *hint, sep="; ", file=sys.stderr)
        if argv is None:
            interrupt.leave(error.status)
        return error.status


def _run(arguments: argparse.Namespace, words: Sequence[str]) -> int:
    """Read the words of the command line into `arguments`, and do what they say."""
    parser = make_parser()
    words = flags.joined_fields(flags.with_dashes(words))
    _, rest = parser.parse_known_args(words, arguments)
    if arguments.command is None:
        parser.print_help()
        return 0
    arguments.parser = parser
    # "--config.optim.learning_rate=1e-3" cannot be declared: which fields there are is up
    # to the config.
    taken = arguments.fields == "taken"
    arguments.overrides = [word for word in rest if taken and word.startswith("--config.")]
    if taken and arguments.__dict__.get("data_path"):
        arguments.overrides.append(f"--config.data.args.path={arguments.data_path}")
    if arguments.level != "usual":
        from mclf_jax.common import progress

        progress.set_level(arguments.level)
    if unknown := [word for word in rest if word not in arguments.overrides]:
        parser.error(f"unrecognised arguments: {' '.join(unknown)}")
    try:
        with (
            warnings.catch_warnings(),
            flags.on_disk(arguments),
            disk.explained(_written_to(arguments)),
        ):
            warnings.showwarning = functools.partial(_show_warning, arguments.title)
            code = arguments.run_command(arguments) or 0
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
        from mclf_jax.common import plugins
        from mclf_jax.common.text import troubles

        # Of a network or config that somebody else wrote, he wants to see where.
        outside = plugins.outside_frame(error)
        if arguments.debug or outside:
            where = error.__traceback__ if arguments.debug else outside
            traceback.print_exception(type(error), error, where)
        message = f"{error}{_advice(error)}"
        print(f"{arguments.title}: {message}", file=sys.stderr)
        if not outside and (where := troubles.where_explained(message)):
            print(f"more about it: {where}", file=sys.stderr)
        return 1


def _show_warning(title: str, message: Warning | str, *where: Any, **more: Any) -> None:
    """A line without the place in the code, which is nothing to who types commands."""
    print(f"{title}: {message}", file=sys.stderr)


def _written_to(arguments: argparse.Namespace) -> str:
    """The folder that a command writes to, as far as its arguments say."""
    given = (getattr(arguments, name, None) for name in ("workdir", "out", "run"))
    return next((path for path in given if path and isinstance(path, str)), os.curdir)


def make_parser() -> argparse.ArgumentParser:
    """All commands with their flags, none of which costs an import."""
    parser = argparse.ArgumentParser(
        prog="mclf",
        description="Music classification, from audio files to a tagger in use.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for group in (
        train,
        evaluate,
        compare,
        predict,
        catalogue,
        export,
        serve,
        convert,
        data,
        doctor,
    ):
        group.add_commands(commands)
    return parser


# Modules of the extra "train"; others are of extras that say so themselves.
_OF_TRAINING = frozenset(
    ("clu", "google", "jinja2", "librosa", "matplotlib", "mutagen", "sklearn", "tensorboardX")
) | {"scikit-learn", "tensorflow_datasets"}


def _advice(error: Exception) -> str:
    """What to install, if that is what an error is about."""
    module = (getattr(error, "name", None) or "").partition(".")[0]
    if isinstance(error, ModuleNotFoundError) and module in _OF_TRAINING:
        return "; this command needs the rest of the package: pip install 'mclf-jax[train]'"
    return ""


class _Version(argparse.Action):
    def __call__(self, parser, namespace, values, option_string=None):
        from importlib.metadata import version

        print(f"mclf {version('mclf-jax')}")
        parser.exit()


_EXAMPLES = """examples:
  mclf train --config quickstart --workdir runs/first     # no data needed
  mclf train --config folder:path=DIR --workdir runs/mine # a folder of songs for each label
  mclf report runs/mine                                   # a page with scores and mistakes
  mclf predict runs/mine SONG.mp3

`mclf COMMAND --help` shows its flags and examples, `mclf configs` the experiments that ship."""


if __name__ == "__main__":
    sys.exit(main())
