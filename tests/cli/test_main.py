"""Every command as a user types it, on a folder of tones made here.

Some are processes of their own; the others run in this one, which is quicker.
"""

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from mclf_jax import config as config_lib
from mclf_jax import load, sweep
from mclf_jax.cli import main as cli
from mclf_jax.cli import train
from mclf_jax.sweep.run import run as run_sweep
from tests import ROOT
from tests.commands import mclf, process

RATE_HZ = 8000
SMALL = (
    "--config.features.n_mels=32",
    "--config.model.args.n_channels=4",
    "--config.model.args.num_blocks=4",
    "--config.train.batch_size=8",
)


def config_of(folder):
    return f"configs/folder.py:path={folder},window_s=1,steps=60,init=none"


@pytest.fixture(scope="module")
def songs(tmp_path_factory):
    """low/ and high/: ten tones each, of below 300 Hz and above 2 kHz."""
    folder = tmp_path_factory.mktemp("songs")
    rng = np.random.default_rng(0)
    for label, lowest in (("low", 150), ("high", 2000)):
        (folder / label).mkdir()
        for i in range(10):
            t = np.arange(2 * RATE_HZ) / RATE_HZ
            tone = 0.3 * np.sin(2 * np.pi * lowest * (1 + i / 20) * t)
            audio = tone + 0.01 * rng.standard_normal(len(t))
            soundfile.write(folder / label / f"{i}.wav", audio, RATE_HZ)
    (folder / "low" / "broken.wav").write_text("this is not audio")
    return folder


@pytest.fixture(scope="module")
def run(songs, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("runs") / "tones"
    result = process("train", "--config", config_of(songs), "--workdir", workdir, *SMALL)
    assert "finished at step" in result.stdout
    return workdir


@pytest.mark.slow
def test_what_could_not_be_read_is_listed(run):
    rows = list(csv.reader((run / "skipped.csv").read_text().splitlines()))
    assert rows[0] == ["path", "reason"]
    assert [row[0] for row in rows[1:]] == ["low/broken.wav"]


@pytest.mark.slow
def test_training_again_is_already_done_and_another_config_is_refused(run, songs):
    config = config_of(songs)
    again = mclf("train", "--config", config, "--workdir", run, *SMALL)
    assert "finished at step" in again.stdout
    other = mclf("train", "--config", config, "--workdir", run, *SMALL, "--config.seed=5", code=1)
    assert "seed: 0 -> 5" in other.stderr and "Traceback" not in other.stderr


@pytest.mark.slow
def test_evaluate(run):
    out = process("evaluate", run, "--split", "test").stdout
    assert "accuracy  1.0000" in out
    saved = json.loads((run / "report" / "test.json").read_text())
    assert saved["metrics"]["accuracy"] == 1.0


@pytest.mark.slow
def test_report(run):
    page = Path(mclf("report", run).stdout.strip())
    assert page == run / "report" / "index.html"
    assert "accuracy" in page.read_text().lower()


def test_predict(run, songs):
    out = process("predict", run, songs / "low" / "3.wav", songs / "high" / "3.wav", "--top", 1)
    lines = out.stdout.splitlines()
    assert [line.split()[-1] for line in lines[1::2]] == ["low", "high"]
    result = mclf("predict", run, songs, "--format", "json", code=1)  # one of them is broken
    scores = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(scores) == 20
    assert "skipped" in result.stderr and "broken.wav" in result.stderr
    absent = mclf("predict", run, songs / "absent.wav", code=1)
    assert "absent.wav" in absent.stderr and "Traceback" not in absent.stderr
    assert "is not a run directory" in mclf("predict", songs, songs, code=1).stderr


@pytest.mark.slow
def test_embed(run, songs, tmp_path):
    out = tmp_path / "new" / "embeddings.npz"
    refused = mclf("embed", run, songs / "high", "--out", out.with_suffix(".txt"), code=1)
    assert "embeddings.txt; it must end in .npz" in refused.stderr
    mclf("embed", run, songs / "high", "--out", out)
    with np.load(out, allow_pickle=False) as saved:
        assert saved["paths"].shape == (10,)
        assert saved["embeddings"].shape == (10, 16)


@pytest.mark.slow
def test_taggrams(run, songs, tmp_path):
    paths = [songs / "low" / "3.wav", songs / "high" / "3.wav"]  # two songs of one name
    out = mclf("predict", run, *paths, "--taggram", tmp_path / "new", "--top", 1).stdout
    written = [line.strip() for line in out.splitlines() if str(tmp_path) in line]
    names = ["3.png", "3.csv", "3_2.png", "3_2.csv"]
    assert written == [str(tmp_path / "new" / name) for name in names]
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == sorted(names)
    for name, label in (("3.csv", "low"), ("3_2.csv", "high")):
        rows = list(csv.DictReader((tmp_path / "new" / name).read_text().splitlines()))
        assert [row["time_s"] for row in rows] == ["0.500", "1.000", "1.500"]
        assert all(float(row[label]) > 0.5 for row in rows)
    arguments = ("--taggram", tmp_path, "--hop-s", "0.25", "--format", "json")
    line = json.loads(mclf("predict", run, paths[0], *arguments).stdout)
    assert line["picture"] == str(tmp_path / "3.png")
    assert len(Path(line["table"]).read_text().splitlines()) == 1 + 5


@pytest.mark.slow
def test_how_songs_are_cut(run, songs, tmp_path):
    song = songs / "high" / "3.wav"

    def scores(*options):
        said = mclf("predict", run, song, "--format", "json", *options)
        return json.loads(said.stdout)["scores"]

    usual = scores()
    assert scores("--num-windows", 16) == usual
    assert scores("--num-windows", 1) != usual and scores("--hop-s", 0.7) != usual
    assert scores("--window-s", 1.5) != usual
    out = tmp_path / "e.npz"
    mclf("embed", run, song, "--window-s", 2, "--num-windows", 1, "--out", out)
    with np.load(out) as whole:
        expected = load(run, window_s=2.0, num_windows=1).embed(song)
        np.testing.assert_allclose(whole["embeddings"][0], expected, atol=1e-6)
    for options, expected in (
        (("--window-s", 0.01), "window_s=0.01 does not suit short_chunk_cnn: the input is too"),
        (("--num-windows", 0), "num_windows is 0"),
        (("--hop-s", -1), "hop_s is -1"),
    ):
        assert expected in mclf("predict", run, song, *options, code=1).stderr
    mclf("predict", run, song, "--hop-s", 1, "--num-windows", 2, code=2)


@pytest.mark.slow
def test_inspect(songs):
    out = mclf("inspect", "--config", config_of(songs), *SMALL).stdout
    for expected in (
        "== Config ==",
        "task single_label",
        "features             (8, 173, 32)",
        "layer4.conv             (8, 21, 4, 8)",
        "model/dense1/kernel",
        "learning rate",
        "GFLOP a step",
        "memory, temporary",
    ):
        assert expected in out


def test_errors_are_one_line_and_no_traceback(tmp_path):
    for run_it, arguments, expected in (
        (mclf, ("train", "--config", "configs/folder.py", "--workdir", tmp_path / "a"), "path"),
        (
            mclf,
            ("train", "--config", "configs/none.py", "--workdir", tmp_path / "a"),
            "no such file",
        ),
        (process, ("inspect", "--config", "configs/quickstart.py:task=moods"), "moods"),
        # Said by a config file that ships, which nobody has to look into.
        (mclf, ("inspect", "--config", "transfer:path=x"), "config argument run is ''"),
        (mclf, ("evaluate", tmp_path), "is not a run directory"),
    ):
        result = run_it(*arguments, code=1)
        assert expected in result.stderr
        assert "Traceback" not in result.stderr
    assert not (tmp_path / "a").exists()
    wrong = process("evaluate", tmp_path, "--top", "3", code=2)
    assert "unrecognised arguments: --top" in wrong.stderr


@pytest.mark.slow
def test_folder_with_nothing_usable(tmp_path):
    (tmp_path / "label").mkdir()
    (tmp_path / "label" / "a.wav").write_text("no audio")
    config = f"configs/folder.py:path={tmp_path}"
    result = mclf("train", "--config", config, "--workdir", tmp_path / "run", code=1)
    assert "a.wav" in result.stderr and "Traceback" not in result.stderr


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
@pytest.mark.slow
def test_memory_of_predict_does_not_grow_with_the_song(run, tmp_path):
    rng = np.random.default_rng(0)
    peaks_mib = {}
    for minutes in (1, 10):
        path = tmp_path / f"{minutes}.wav"
        soundfile.write(path, 0.1 * rng.standard_normal(minutes * 60 * 44100), 44100)
        # Not ru_maxrss: a child process begins with that of its parent.
        code = (
            "from mclf_jax.cli.main import main;"
            f"assert main(['predict', {str(run)!r}, {str(path)!r}]) == 0;"
            "print(open('/proc/self/status').read().partition('VmHWM:')[2].split()[0])"
        )
        out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
        peaks_mib[minutes] = int(out.stdout.split()[-1]) / 1024
    # Ten minutes of samples are 101 MiB in float32.
    assert abs(peaks_mib[10] - peaks_mib[1]) < 25, peaks_mib


@pytest.mark.slow
def test_sweep(tmp_path):
    file = tmp_path / "ablation.py"
    file.write_text(
        "from mclf_jax.sweep import grid\n"
        "from tests.tiny import tiny_config\n"
        "def get_config(arg=None):\n"
        "    return tiny_config(train__num_steps=5)\n"
        "def sweep():\n"
        "    yield from grid({'model.args.n_channels': (2,), 'seed': (0, 1)})\n"
    )
    arguments = ("sweep", "--config", file, "--workdir", tmp_path / "runs")
    dry = mclf(*arguments, "--dry-run", "--config.seed=3")
    assert len(dry.stdout.splitlines()) == 2 and not (tmp_path / "runs").exists()
    assert "--config.seed: 2 of 2 settings have a value of their own" in dry.stderr
    table = mclf(*arguments).stdout.strip().splitlines()[-3:]
    assert table[-1].startswith("| model.args.n_channels=2 | 2 | ")
    assert mclf(*arguments).stdout.strip().splitlines()[-3:] == table
    # Nothing is hidden there, so that there is no table of it.
    both = mclf(*arguments, "--split", "valid", "hidden").stdout
    assert "Scores of valid songs; " in both and both.count("Scores of") == 1


@pytest.mark.slow
def test_the_ablation_that_ships(tmp_path):
    """The smallest and the largest of its settings on a few songs; the others lie between."""
    path = "configs/ablations/frontend.py"
    settings = sweep.settings_of(str(ROOT / path))
    assert (
        len(mclf("sweep", "--config", path, "--workdir", "x", "--dry-run").stdout.split("\n")) == 19
    )
    fewer = ["--config.train.num_epochs=1", "--config.runtime.num_devices=1"]
    config = config_lib.load(f"{ROOT / path}:songs=30", overrides=fewer)
    results = run_sweep(config, [settings[3], settings[12]], workdir=tmp_path)
    assert [result["changes"]["features.n_mels"] for result in results] == [16, 64]
    assert [result["status"] for result in results] == ["finished"] * 2


def test_a_reader_that_has_enough():
    arguments = ["sweep", "--config", "configs/ablations/frontend.py", "--workdir", "x"]
    command = [sys.executable, "-m", "mclf_jax.cli.main", *arguments, "--dry-run"]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 1


def test_another_broken_pipe_is_not_hidden(monkeypatch):
    def _inspect(arguments):  # commands are named after their functions
        """Look, and fail."""
        raise BrokenPipeError("of a worker")

    monkeypatch.setattr(train, "_inspect", _inspect)
    with pytest.raises(BrokenPipeError, match="of a worker"):
        cli.main(["inspect", "--config", "x"])


@pytest.mark.slow
def test_pretrain_probe_and_fine_tune(songs, tmp_path):
    """Without labels, then what that is good for, then on from there with labels."""
    config = f"configs/small_pretraining.py:path={songs},window_s=1,steps=4"
    small = [change for change in SMALL if "batch_size" not in change]
    more = ("--config.train.batch_size=8", "--config.eval.batch_size=8")
    small += more
    pretrained = tmp_path / "pretrained"
    mclf("train", "--config", config, "--workdir", pretrained, *small)
    refused = mclf("evaluate", pretrained, code=1)
    assert "see what its embeddings are good for with `mclf probe`" in refused.stderr
    refused = mclf("predict", pretrained, songs / "low" / "0.wav", code=1)
    assert "trained without labels" in refused.stderr
    page = Path(mclf("report", pretrained).stdout.strip())
    assert "Embedding std" in page.read_text()

    found = mclf("probe", pretrained, "--kind", "linear", "--baseline", "untrained").stdout
    assert "untrained" in found and "accuracy" in found
    directory = Path(found.splitlines()[-1])
    assert {"probe.md", "probe.csv", "probe.json", "probe.png"} <= {
        path.name for path in directory.iterdir()
    }
    refused = mclf("probe", pretrained, "--option", "labels=mtat", code=1)
    assert "are for --data NAME" in refused.stderr

    tuned = tmp_path / "tuned"
    start = f"--config.init.path={pretrained}"
    process("train", "--config", config_of(songs), "--workdir", tuned, *SMALL, start)
    assert "it was trained by simclr, without labels" in (tuned / "init.txt").read_text()
    assert "accuracy" in process("evaluate", tuned).stdout


WITHOUT_TRAINING = """
import sys
from mclf_jax.cli.main import main

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in %r:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Refuse())
sys.exit(main(sys.argv[1:]))
"""


def test_an_installation_for_prediction_alone(run, songs, tmp_path):
    """Without what the extra "train" brings, songs are tagged, and all else says what to do."""
    refused = {"clu", "jinja2", "librosa", "matplotlib", "sklearn", "tensorboardX"}
    refused |= {"tensorflow_datasets", "importlib_resources"}

    def without(*words):
        command = [sys.executable, "-c", WITHOUT_TRAINING % refused, *map(str, words)]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)

    song = songs / "low" / "0.wav"
    assert "low" in without("predict", run, song).stdout
    assert without("embed", run, song, "--out", tmp_path / "e.npz").returncode == 0
    for words in (("predict", run, song, "--taggram", tmp_path), ("report", run)):
        done = without(*words)
        told = "this command needs the rest of the package: pip install 'mclf-jax[train]'\n"
        assert done.returncode == 1 and told in done.stderr, done.stderr
