"""What commands share: how one is declared, the flags of several, and the spelling of all."""

import argparse
import contextlib
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

SPLITS = ("train", "valid", "test", "hidden")
HIDDEN = "hidden: training songs whose labels are not used (data.fraction, data.songs_per_label)"
_OLD_SPELLING = re.compile(r"--[a-z]+(_[a-z]+)+(?==|$)")


class _Help(argparse.HelpFormatter):
    """Help with the default of every flag that has one, and with examples as they are written."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        default = action.default
        shown = action.option_strings and default not in (None, False, argparse.SUPPRESS, [], ())
        if not shown or action.nargs == 0 or "default" in (action.help or ""):
            return action.help
        words = " ".join(map(str, default)) if isinstance(default, list | tuple) else default
        return f"{action.help or ''} (default: {words})".lstrip().replace("%", "%%")

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return text if text.startswith("examples:") else super()._fill_text(text, width, indent)


class _ShowHelp(argparse.Action):
    """--help, which after --config NAME shows what that config says of itself, too."""

    def __call__(self, parser, namespace, values, option_string=None):
        parser.print_help()
        if name := getattr(namespace, "config", None):
            from mclf_jax.config import library

            print(f"\nconfig {name}:\n")
            try:
                print(library.describe(name.partition(":")[0]))
            except ValueError as error:
                parser.exit(1, f"{parser.prog}: {error}\n")
        parser.exit()


def add_command(
    commands: Any,
    run: Callable[[argparse.Namespace], int | None],
    *,
    examples: Sequence[str],
    fields: str = "refused",
    goes_on: str = "no",
) -> argparse.ArgumentParser:
    """Declare a command; its flags are added to what is returned.

    Args:
        commands: what it is one of, of `add_subparsers`.
        run: does what is asked for, and returns the exit code if it is not 0. `_train` is what a
            user calls by `train`; its docstring is the help.
        examples: command lines that work.
        fields: "taken" where it has use for --config.FIELD=VALUE, in `arguments.overrides`.
        goes_on: "yes" where the same command goes on from where it was interrupted.
    """
    help_text = " ".join(run.__doc__.split())
    name = run.__name__.removeprefix("_")
    command = commands.add_parser(
        name,
        help=re.split(r"(?<=[.]) ", help_text)[0],
        description=help_text,
        epilog="examples:\n" + "\n".join(f"  {line}" for line in examples),
        formatter_class=_Help,
        add_help=False,
    )
    command.add_argument("-h", "--help", action=_ShowHelp, nargs=0, help="show this")
    command.add_argument(
        "--debug", action="store_true", help="show where in the code an error comes from"
    )
    said = command.add_mutually_exclusive_group()
    for flag, what in (
        ("-q", "say results and errors only"),
        ("-v", "say what libraries log, too"),
    ):
        level = {"-q": "quiet", "-v": "verbose"}[flag]
        said.add_argument(
            flag, f"--{level}", dest="level", action="store_const", const=level, help=what
        )
    command.set_defaults(
        run_command=run, title=command.prog, fields=fields, goes_on=goes_on, level="usual"
    )
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


def joined_fields(words: Sequence[str]) -> list[str]:
    """The command line with "--config.FIELD VALUE" as "--config.FIELD=VALUE"."""
    joined: list[str] = []
    for word in words:
        last = joined[-1] if joined else ""
        if last.startswith("--config.") and "=" not in last and not word.startswith("--"):
            joined[-1] = f"{last}={word}"
        else:
            joined.append(word)
    return joined


def add_config(command: argparse.ArgumentParser, *, needed: str = "always") -> None:
    """--config FILE, and changes of any of its fields; `needed` "sometimes": the command checks."""
    command.set_defaults(fields="taken")
    command.description += " Any field is changed by --config.FIELD=VALUE."
    command.add_argument(
        "--config",
        required=needed == "always",
        help="name (`mclf configs`) or file, with its arguments after a colon: folder:path=DIR; "
        "--config NAME --help shows what it takes",
    )
    add_from(command)


def add_from(command: argparse.ArgumentParser) -> None:
    """--from DIR: where the data are, which is the field data.args.path."""
    command.set_defaults(fields="taken")
    command.add_argument(
        "--from", dest="data_path", metavar="DIR", help="where the data are (data.args.path)"
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


def add_words(command: argparse.ArgumentParser) -> None:
    """--words WORD, WORD, ..., which `words_of` reads."""
    command.add_argument(
        "--words",
        nargs="+",
        help="what to look for, with commas between: 'slow piano, sad'; for runs that were trained "
        "beside words (--config words), which need not have seen these",
    )


def words_of(arguments: argparse.Namespace) -> tuple[str, ...] | None:
    """--words apart; None where it is not given.

    Raises:
        ValueError: there is nothing in it.
    """
    if (given := arguments.words) is None:
        return None
    found = tuple(word for text in given for part in text.split(",") if (word := part.strip()))
    if not found:
        raise ValueError("--words is empty; say what to look for, such as 'slow piano, sad'")
    return found


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


# Run directories, which are copied and sent back, and places of data, of which those that are
# prepared are read there.
_RUNS = ("run", "runs")
_PLACES = ("data_path", "path", "data")
# Commands that read and write on object storage themselves, and their arguments that may be there.
_CATALOGUES = ("catalogue", "similar", "search")
_OF_CATALOGUES = ("run", "audio", "out", "catalogue", "song", "model")
_COPY = (
    "copy it with `aws s3 cp --recursive` or `gcloud storage cp -r`. On object storage may be run "
    "directories, exported files and prepared data"
)


@contextlib.contextmanager
def on_disk(arguments: argparse.Namespace) -> Iterator[None]:
    """Within it, runs on object storage are their copies; what the command changes is sent back.

    Raises:
        ValueError: another argument is there, which must be on a disk.
    """
    from mclf_jax.common import files, progress
    from mclf_jax.common.storage import tries

    own = _OF_CATALOGUES if arguments.command in _CATALOGUES else ()
    with contextlib.ExitStack() as held:
        held.enter_context(tries.telling(progress.say))
        for name, value in list(vars(arguments).items()):
            several = isinstance(value, list | tuple)
            given = list(value) if several else [value]
            if name in own or not any(map(files.is_remote, given)):
                continue
            if name in _RUNS:
                from mclf_jax.common.storage import working

                given = [held.enter_context(working.copied(name, one)) for one in given]
                setattr(arguments, name, list(map(str, given)) if several else str(given[0]))
            elif not (name in _PLACES or (name == "workdir" and arguments.command == "train")):
                remote = next(filter(files.is_remote, given))
                files.refuse_remote(name, remote, instead=_COPY)
        yield


def config_of_run(arguments: argparse.Namespace) -> Any:
    """The config of a run with what the command changes, or None where it changes nothing."""
    from mclf_jax import config as config_lib
    from mclf_jax.run.directory import read_config

    if not arguments.overrides:
        return None
    trained = read_config(Path(arguments.run))
    return config_lib.apply_overrides(trained, arguments.overrides, origin=arguments.run)


def find_audio(given: Sequence[str]) -> tuple[list[str], list[tuple[str, str]]]:
    """The audio files of files and folders, and (path, reason) of what is none.

    Raises:
        ValueError: there is no file at all.
    """
    from mclf_jax.audio.decode import AUDIO_SUFFIXES
    from mclf_jax.common import walk

    paths, skipped = [], []
    for each in given:
        if os.path.isdir(each):
            paths += sorted(walk.files(each, suffixes=AUDIO_SUFFIXES, skipped=skipped))
        else:
            paths.append(each)
    if not paths:
        for path, reason in skipped:
            print(f"skipped: {walk.shown(path)}: {reason}", file=sys.stderr)
        raise ValueError(f"no audio files in {', '.join(given)}")
    return paths, skipped
