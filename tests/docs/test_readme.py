"""Every command that the README and the scripts show is one that the command line takes."""

import re
import shlex
from pathlib import Path

import pytest

from mclf_jax import config as config_lib
from mclf_jax.cli import main as cli
from mclf_jax.sweep import settings_of
from mclf_jax.sweep.commands import make_commands, make_jobs
from mclf_jax.sweep.settings import vary
from tests import ROOT

PAGES = (
    "README.md",
    "docs/command_line.md",
    "docs/data.md",
    "docs/few_labels.md",
    "docs/measured.md",
    "docs/models.md",
    "docs/representations.md",
    "launch/local.sh",
    "configs/ablations/augmentation.py",
    "configs/ablations/distillation.py",
    "configs/ablations/few_labels.py",
    "configs/ablations/frontend.py",
    "configs/ablations/pretraining.py",
    "configs/byol.py",
    "configs/clmr.py",
    "configs/clmr_supervised.py",
    "configs/cola.py",
    "configs/cpc.py",
    "configs/folder.py",
    "configs/moco.py",
    "configs/music_tagging_transformer.py",
    "configs/musicnn_training.py",
    "configs/noisy_student.py",
    "configs/pase.py",
    "configs/pretext_artist.py",
    "configs/pretext_artist_group.py",
    "configs/pretext_listening.py",
    "configs/semi_supervised.py",
    "configs/small_pretraining.py",
    "configs/transfer.py",
    "configs/tutorial.py",
    "configs/vq_cpc.py",
    "configs/wav2vec.py",
    "configs/won2020.py",
)
COMMANDS = [
    (page, re.split("#| > ", match.group(0))[0].strip())
    for page in PAGES
    for match in re.finditer(
        r"\bmclf (?:train|evaluate|predict|embed|report|inspect|sweep|convert|data|probe|configs"
        r"|completion) [^`\n]*",
        re.sub(r"\\+\n\s*", "", (ROOT / page).read_text()),  # commands of several lines
    )
    # So some are called in the midst of a sentence.
    if match.group(0) not in ("mclf data prepare", "mclf data check", "mclf convert --to torch")
    and "--help" not in match.group(0)
]


def test_there_are_commands():
    assert len(COMMANDS) >= 14


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize(("page", "command"), COMMANDS)
def test_command_is_understood(page, command, monkeypatch, tmp_path):
    words = shlex.split(command.rstrip(")"))[1:]
    arguments, rest = cli.make_parser().parse_known_args(words)
    assert all(word.startswith("--config.") for word in rest), rest
    if hasattr(arguments, "config"):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "configs").symlink_to(ROOT / "configs")
        # A config that asks a run; a comma of its name is written "\,".
        if found := re.search(r"\brun=((?:\\,|[^,])+)", arguments.config):
            run = Path(found[1].replace("\\,", ","))
            run.mkdir(parents=True)
            (run / "config.json").write_text(config_lib.to_json(config_lib.base()))
        config_lib.load(arguments.config, overrides=rest)
    if arguments.command == "sweep":
        if arguments.vary:
            config = config_lib.load(arguments.config, overrides=rest)
            settings = vary(arguments.vary, config=config, num_seeds=arguments.seeds)
        else:
            settings = settings_of(arguments.config)
        jobs = make_jobs(arguments.config, settings, workdir="runs", overrides=rest)
        assert list(make_commands(jobs))


@pytest.mark.parametrize("page", ["README.md", "docs/measured.md"])
def test_files_that_a_page_names_exist(page):
    text = (ROOT / page).read_text()
    for target in re.findall(r"\]\((?!http)([^)]+)\)", text):
        assert ((ROOT / page).parent / target.partition("#")[0]).exists(), target
    for name in re.findall(r"\b(?:launch|configs|tests)/[\w/]+\.(?:sh|py)", text):
        assert (ROOT / name).exists(), name
