"""`mclf configs`, `doctor` and `completion`: what is here, and whether it works."""

import argparse
from typing import Any

from mclf_jax.cli import flags


def add_commands(commands: Any) -> None:
    """Declare them."""
    configs = flags.add_command(
        commands, _configs, examples=("mclf configs", "mclf configs folder")
    )
    configs.add_argument("name", nargs="?", help="of one, to read all that it says of itself")

    doctor = flags.add_command(commands, _doctor, examples=("mclf doctor",))
    doctor.add_argument("--format", default="text", choices=("text", "json"))

    completion = flags.add_command(
        commands,
        _completion,
        examples=(
            "mclf completion bash > ~/.local/share/bash-completion/completions/mclf",
            "mclf completion zsh > ~/.zfunc/_mclf",
        ),
    )
    completion.add_argument("shell", choices=("bash", "zsh", "tcsh"))


def _configs(arguments: argparse.Namespace) -> None:
    """List the config files that ship, or show one with the arguments that it takes."""
    from mclf_jax.config import library

    if arguments.name:
        print(library.describe(arguments.name))
        return
    for name in library.names():
        print(f"{name:<26} {library.title(name)}")
    print("\n`mclf configs NAME` shows one; `mclf train --config NAME --workdir RUN` trains it.")


def _doctor(arguments: argparse.Namespace) -> int:
    """Say what is installed, which devices JAX sees, which audio can be read, where caches are,
    and what is missing for which feature. Exit code 1 if something does not work."""
    from mclf_jax.cli import doctor

    found = doctor.examine()
    print(doctor.as_json(found) if arguments.format == "json" else doctor.as_text(found))
    return 0 if doctor.is_well(found) else 1


def _completion(arguments: argparse.Namespace) -> None:
    """Print the script that lets a shell complete commands, flags and choices."""
    import shtab

    print(shtab.complete(arguments.parser, shell=arguments.shell))
