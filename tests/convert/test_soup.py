"""Weights of runs that share a start are averaged."""

import json
import shutil
import warnings
from pathlib import Path

import jax
import numpy as np
import pytest

import mclf_jax
from mclf_jax.cli import main as cli
from mclf_jax.common import parallel
from mclf_jax.convert import soup
from mclf_jax.run import checkpoint
from mclf_jax.run.weights import load_variables, open_run
from tests.small_run import write_run

AUDIO = np.random.default_rng(0).standard_normal((4, 500)).astype(np.float32)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Three runs of one network that say to have one start, and one that does not."""
    folder = tmp_path_factory.mktemp("runs")
    first = write_run(folder / "run0", AUDIO)
    kept, rng = weights(first), np.random.default_rng(0)
    for number in range(1, 4):
        changed = jax.tree.map(lambda x: x + 0.01 * rng.standard_normal(x.shape), kept)
        changed = jax.tree.map(lambda x: np.asarray(x, np.float32), changed)
        run = copy_of(first, folder / f"run{number}", **{"seed": 3} if number == 3 else {})
        shutil.rmtree(run / "checkpoints")
        checkpoints = checkpoint.open_checkpoints(run / "checkpoints")
        checkpoint.save_best(checkpoints, 3, changed)
        checkpoint.close(checkpoints)
    return [str(folder / f"run{number}") for number in range(4)]


def copy_of(run, path, *, file="config.json", **changes):
    shutil.copytree(run, path)
    found = json.loads((path / file).read_text())
    (path / file).write_text(json.dumps(found | changes))
    return path


def weights(run):
    return load_variables(run, open_run(run).model, parallel.make_mesh(1))["variables"]


def test_the_command_makes_a_run_that_predicts(runs, tmp_path, capsys):
    out = str(tmp_path / "soup")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert cli.main(["soup", *runs[:2], "--out", out]) == 0
    assert f"next: mclf compare {out}" in capsys.readouterr().out
    for mean, *leaves in zip(*(jax.tree.leaves(weights(r)) for r in (out, *runs[:2])), strict=True):
        np.testing.assert_allclose(mean, np.mean(leaves, axis=0), rtol=1e-6, atol=1e-7)
    scores = mclf_jax.load(out).predict(AUDIO[0], sample_rate_hz=1000)
    assert sum(scores.values()) == pytest.approx(1)
    assert open_run(out).meta["soup_of"] == ["run0", "run1"]
    assert cli.main(["soup", *runs[:2], "--out", out]) == 1
    assert "holds a run already" in capsys.readouterr().err


def test_what_makes_no_soup_is_refused(runs, tmp_path):
    out = tmp_path / "soup"
    with pytest.raises(ValueError, match=r"got 1 run\(s\) for a soup; give two or more"):
        mclf_jax.soup([runs[0], runs[0]], out)
    model = json.loads(Path(runs[0], "config.json").read_text())["model"]
    model["args"]["n_channels"] = 8
    wider = copy_of(runs[0], tmp_path / "wider", model=model)
    with pytest.raises(ValueError, match="other networks .model.args.n_channels is 4 and 8"):
        mclf_jax.soup([runs[0], wider], out)
    named = copy_of(runs[0], tmp_path / "named", file="meta.json", labels=["high", "low"])
    with pytest.raises(
        ValueError, match="named does not go with .*run0: its labels are in another"
    ):
        mclf_jax.soup([runs[0], named], out)
    assert not out.exists()
    with pytest.warns(UserWarning, match="do not share a start"):
        mclf_jax.soup([runs[0], runs[3]], out)


def test_greedy_takes_what_does_not_make_it_worse(runs, tmp_path, monkeypatch):
    """The best is run1; run0 makes it better and run2 worse."""
    known = {(0,): 0.6, (1,): 0.7, (2,): 0.5, (1, 0): 0.8, (1, 0, 2): 0.75}
    asked = []
    monkeypatch.setattr(soup, "mean_of", lambda trees: trees)
    monkeypatch.setattr(jax, "device_put", lambda trees, where: trees)

    def score_songs(parts, songs, trees, *, mesh):
        asked.append(tuple(trees))
        return known[asked[-1]]

    class Parts:
        def __init__(self, config):
            info = type("Info", (), {"task": "single_label"})
            self.source = type("Source", (), {"info": info})

        def indices(self, split):
            assert split == "valid"

    monkeypatch.setattr(soup, "score_songs", score_songs)
    monkeypatch.setattr(
        soup, "compute_metrics", lambda parts, s: type("M", (), {"values": {"accuracy": s}})
    )
    monkeypatch.setattr(soup.experiment, "build", Parts)
    chosen, tried = soup._greedy(open_run(runs[0]), dict(zip(runs, range(3), strict=False)))
    assert chosen == [runs[1], runs[0]]
    assert tried == {runs[1]: 0.7, runs[0]: 0.8, runs[2]: 0.75}
