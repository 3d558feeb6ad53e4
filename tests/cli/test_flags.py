"""Flags are spelled with dashes, and their old spelling still works."""

import argparse

import pytest

from mclf_jax.cli import flags
from mclf_jax.cli import main as cli


def every_flag(parser):
    """(command, flag) of a parser and of all parsers below it."""
    for action in parser._actions:
        yield from ((parser.prog, flag) for flag in action.option_strings)
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from every_flag(command)


def test_every_flag_has_dashes():
    found = list(every_flag(cli.make_parser()))
    assert ("mclf data prepare", "--max-duration-s") in found and len(found) > 50
    assert not [flag for _, flag in found if "_" in flag]


def test_the_old_spelling_is_accepted_and_the_new_one_named(capsys):
    dashed = sorted({flag for _, flag in every_flag(cli.make_parser()) if "-" in flag[2:]})
    assert {"--dry-run", "--hop-s", "--sample-rate-hz", "--allow-data-change"} <= set(dashed)
    for flag in dashed:
        old = "--" + flag[2:].replace("-", "_")
        assert flags.with_dashes([old, "a_b", f"{old}=a_b"]) == [flag, "a_b", f"{flag}=a_b"]
        hint = f"mclf: {old} is spelled {flag} now; later versions will refuse {old}\n"
        assert capsys.readouterr().err == 2 * hint


def test_what_is_no_flag_keeps_its_underscores(capsys):
    words = ["--config", "a_b.py", "--config.optim.learning_rate=1e-3", "--taggram=a_b", "-x_y"]
    assert flags.with_dashes(words) == words
    assert capsys.readouterr().err == ""


def test_a_command_in_the_old_spelling(capsys):
    sweep = ["sweep", "--config", "configs/ablations/frontend.py", "--workdir", "x"]
    assert cli.main([*sweep, "--dry-run"]) == 0
    new = capsys.readouterr()
    assert cli.main([*sweep, "--dry_run"]) == 0
    old = capsys.readouterr()
    assert old.out == new.out and new.out.startswith("mclf train ")
    assert "--dry_run is spelled --dry-run now" in old.err and not new.err


@pytest.mark.parametrize(
    "words",
    [
        ["catalogue", "s3://b/run", "--list", "songs.txt", "--out", "gs://b/songs.catalogue"],
        ["similar", "s3://b/songs.catalogue", "s3://b/x.mp3", "--model", "s3://b/run"],
        ["search", "s3://b/songs.catalogue", "--tags", "rock"],
    ],
)
def test_catalogues_are_where_they_are(words):
    """They read and write on object storage themselves; nothing is copied or refused."""
    arguments = cli.make_parser().parse_args(words)
    before = dict(vars(arguments))
    with flags.on_disk(arguments):
        assert vars(arguments) == before


def test_other_places_on_object_storage_are_refused():
    arguments = cli.make_parser().parse_args(["predict", "run", "a.wav", "--out", "s3://b/x.csv"])
    said = pytest.raises(ValueError, match="out is s3://b/x.csv; it must be on a disk")
    with said, flags.on_disk(arguments):
        pass


def test_fields_where_they_are_of_no_use_are_refused(capsys):
    for words in (
        ["predict", "run", "a.wav", "--config.seed=1"],
        ["data", "list", "--config.seed=1"],
    ):
        with pytest.raises(SystemExit, match="2"):
            cli.main(words)
        assert "unrecognised arguments: --config.seed=1" in capsys.readouterr().err
