"""What commands share: how one is declared, the flags of several, and the spelling of all."""

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

SPLITS = ("train", "valid", "test", "hidden")
HIDDEN = "hidden: training songs whose labels are not used (data.fraction, data.songs_per_label)"
_OLD_SPELLING = re.compile(r"--[a-z]+(_[a-z]+)+(?==|$)")


def add_command(
    commands: Any,
    run: Callable[[argparse.Namespace], int | None],
    *,
    fields: str = "refused",
    goes_on: str = "no",
) -> argparse.ArgumentParser:
    """Declare a command; its flags are added to what is returned.

    Args:
        commands: what it is one of, of `add_subparsers`.
        run: does what is asked for, and returns the exit code if it is not 0. `_train` is what a
            user calls by `train`; its docstring is the help.
        fields: "taken" where it has use for --config.FIELD=VALUE, in `arguments.overrides`.
        goes_on: "yes" where the same command goes on from where it was interrupted.
    """
    help_text = " ".join(run.__doc__.split())
    name = run.__name__.removeprefix("_")
    command = commands.add_parser(name, help=help_text, description=help_text)
    command.add_argument(
        "--debug", action="store_true", help="show where in the code an error comes from"
    )
    command.set_defaults(run_command=run, title=command.prog, fields=fields, goes_on=goes_on)
    return command


def with_dashes(words: Sequence[str]) -> list[str]:
    """The command line in today's spelling: --dry_run, as it was up to 0.1, becomes --dry-run.

    Each such flag is named on stderr. Fields of configs, --config.FIELD, keep their underscores.
    """
    spelled = []
    for word in words:
        if old := _OLD_SPELLING.match(word):
            new = old[0].replace("_", "-")
            print(
                f"mclf: {old[0]} is spelled {new} now; later versions will refuse {old[0]}",
                file=sys.stderr,
            )
            word = new + word[old.end() :]
        spelled.append(word)
    return spelled


def add_config(command: argparse.ArgumentParser) -> None:
    """--config FILE, which the command cannot do without, and changes of any of its fields."""
    command.set_defaults(fields="taken")
    command.description += " Any field is changed by --config.FIELD=VALUE."
    command.add_argument(
        "--config",
        required=True,
        help="config file, with its argument after a colon: configs/quickstart.py:task=style",
    )


def add_data_change(command: argparse.ArgumentParser) -> None:
    """--allow-data-change, as `arguments.data_change`: "refuse" or "allow"."""
    command.add_argument(
        "--allow-data-change",
        dest="data_change",
        action="store_const",
        const="allow",
        default="refuse",
        help="go on although the data are not those that the run began with",
    )


def add_reader_options(command: argparse.ArgumentParser) -> None:
    """--option KEY=VALUE ..., which `reader_options` reads."""
    command.add_argument(
        "--option",
        nargs="+",
        default=[],
        metavar="KEY=VALUE",
        help="of the data set's reader, such as subset=medium; `mclf data list NAME` names them",
    )


def reader_options(arguments: argparse.Namespace, name: str) -> dict[str, Any]:
    """--option KEY=VALUE as arguments of the reader of data set `name`, typed as their defaults.

    Raises:
        ValueError: it has no such option, or none of this type.
    """
    from mclf_jax import data

    known, chosen = data.options_of(name), {}
    for text in arguments.option:
        key, equals, value = text.partition("=")
        if not equals or key not in known:
            takes = ", ".join(f"{k}={v}" for k, v in known.items()) or "none"
            raise ValueError(f"--option {text}: {name} takes {takes}")
        kind = type(known[key])
        try:
            chosen[key] = kind(value)
        except ValueError as error:
            raise ValueError(f"--option {text}: {value!r} is no {kind.__name__}") from error
    return chosen


def config_of_run(arguments: argparse.Namespace) -> Any:
    """The config of a run with what the command changes, or None where it changes nothing."""
    from mclf_jax import config as config_lib
    from mclf_jax.run.directory import read_config

    if not arguments.overrides:
        return None
    trained = read_config(Path(arguments.run))
    return config_lib.apply_overrides(trained, arguments.overrides, origin=arguments.run)
