"""Every command that the README and the scripts show is one that the command line takes."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from mclf_jax import config as config_lib
from mclf_jax.cli import main as cli
from mclf_jax.sweep import settings_of
from mclf_jax.sweep.commands import make_commands, make_jobs
from mclf_jax.sweep.settings import vary
from tests import ROOT

PAGES = (
    "README.md",
    "docs/catalogue.md",
    "docs/coming_from.md",
    "docs/command_line.md",
    "docs/data.md",
    "docs/deployment.md",
    "docs/evaluation.md",
    "docs/experiments.md",
    "docs/exporting.md",
    "docs/few_labels.md",
    "docs/measured.md",
    "docs/models.md",
    "docs/pods.md",
    "docs/representations.md",
    "docs/serving.md",
    "docs/start.md",
    "docs/troubleshooting.md",
    "docs/tutorial.md",
    "docs/without_labels.md",
    "docs/words.md",
    "docs/your_songs.md",
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
    "configs/embedding_distillation.py",
    "configs/folder.py",
    "configs/m2d.py",
    "configs/made_music.py",
    "configs/masked_tokens.py",
    "configs/moco.py",
    "configs/music_tagging_transformer.py",
    "configs/musicnn_training.py",
    "configs/myna.py",
    "configs/noisy_student.py",
    "configs/pase.py",
    "configs/pretext_artist.py",
    "configs/pretext_artist_group.py",
    "configs/pretext_listening.py",
    "configs/rvq.py",
    "configs/semi_supervised.py",
    "configs/small_pretraining.py",
    "configs/transfer.py",
    "configs/tutorial.py",
    "configs/vq_cpc.py",
    "configs/wav2vec.py",
    "configs/won2020.py",
    "configs/words.py",
)
# So some are called in the midst of a sentence.
_NAMES_ONLY = (
    "mclf data prepare",
    "mclf data check",
    "mclf data listen",
    "mclf convert --to torch",
)
COMMANDS = [
    (page, re.split("#| > ", match.group(0))[0].strip())
    for page in PAGES
    for match in re.finditer(
        r"\bmclf (?:train|evaluate|predict|embed|report|inspect|sweep|convert|data|probe|configs"
        r"|catalogue|similar|search"
        r"|calibrate|completion) [^`\n]*",
        re.sub(r"\\+\n\s*", "", (ROOT / page).read_text()),  # commands of several lines
    )
    if match.group(0) not in _NAMES_ONLY and "--help" not in match.group(0)
]


def test_there_are_commands():
    assert len(COMMANDS) >= 14


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize(("page", "command"), COMMANDS)
def test_command_is_understood(page, command, monkeypatch, tmp_path):
    words = shlex.split(command.rstrip(")"))[1:]
    arguments, rest = cli.make_parser().parse_known_args(words)
    assert all(word.startswith("--config.") for word in rest), rest
    if getattr(arguments, "config", None) is not None:
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
        only_probed = all("encoder" in changes for _, changes in settings)
        assert list(make_commands(jobs)) or only_probed


def test_the_readme_is_short_and_its_pictures_are_small():
    text = (ROOT / "README.md").read_text()
    assert text.count("\n") <= 120
    pictures = re.findall(r"!\[.+?\]\((.+?)\)", text)
    assert len(pictures) == 2
    assert all((ROOT / picture).stat().st_size < 200_000 for picture in pictures)


@pytest.mark.parametrize(
    "page",
    [
        "README.md",
        "docs/measured.md",
        "docs/catalogue.md",
        "docs/command_line.md",
        "docs/experiments.md",
    ],
)
def test_files_that_a_page_names_exist(page):
    text = (ROOT / page).read_text()
    for target in re.findall(r"\]\((?!http)([^)]+)\)", text):
        assert ((ROOT / page).parent / target.partition("#")[0]).exists(), target
    for name in re.findall(r"\b(?:launch|configs|tests)/[\w/]+\.(?:sh|py)", text):
        assert (ROOT / name).exists(), name


@pytest.mark.slow
def test_python_of_the_pages_runs(tmp_path):
    """The README's block trains, in few steps, what that of docs/python.md uses."""
    for label, hz in (("low", 200), ("high", 2000)):
        (tmp_path / "songs" / label).mkdir(parents=True)
        for k in range(10):
            song = 0.3 * np.sin(2 * np.pi * (hz + 10 * k) * np.arange(6 * 8000) / 8000)
            soundfile.write(tmp_path / "songs" / label / f"{k}.wav", song, 8000)
    for name in ("song.mp3", "a.mp3", "b.wav"):
        soundfile.write(tmp_path / name, song, 8000)
    short = {"train.num_steps": 4, "eval.every_steps": 2, "optim.warmup_steps": 1}
    short |= {"eval.num_windows": 2, "train.batch_size": 8, "eval.batch_size": 8}
    text = []
    for page in ("README.md", "docs/python.md"):
        found = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
        assert len(found) == 1
        text += found
    fewer = text[0].replace('{"optim', f"{str(short)[:-1]}, " + '"optim')
    assert fewer != text[0]
    done = subprocess.run(
        [sys.executable, "-c", f"{fewer}\n{text[1]}"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "taggram.png").stat().st_size > 5000
    assert (tmp_path / "spectrogram.png").stat().st_size > 5000
