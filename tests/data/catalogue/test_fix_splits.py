"""Splits that are written into manifest.csv are those that would be made, and stay."""

import numpy as np
import pytest
import soundfile

from mclf_jax import data
from mclf_jax.cli import main as cli


@pytest.fixture
def songs(tmp_path):
    for label in ("low", "high"):
        (tmp_path / label).mkdir()
        for i in range(10):
            soundfile.write(
                tmp_path / label / f"{i}.wav", 0.1 * np.sin(np.arange(8000) / (2 + i)), 8000
            )
    return tmp_path


def splits(root, **more):
    source = data.build("folder", path=root, sample_rate_hz=8000, progress="off", **more)
    return {
        source.item_id(int(i)): name for name, items in source.info.splits.items() for i in items
    }


def test_a_manifest_is_made_of_subfolders(songs, capsys):
    before = splits(songs)
    assert cli.main(["data", "split", str(songs)]) == 0
    assert capsys.readouterr().out.startswith("train ")
    assert splits(songs) == splits(songs, seed=5) == before
    assert (songs / "manifest.csv").read_text().startswith("path,label,split\nhigh/0.wav,high,")
    assert cli.main(["data", "split", str(songs)]) == 1
    assert "has a split already" in capsys.readouterr().err


def test_a_manifest_keeps_all_else(songs, capsys):
    rows = ["Path,Title,LABEL"]
    rows += [
        f'{label}/{i}.wav,"=Earth, {i}",{label}' for label in ("low", "high") for i in range(9)
    ]
    rows += ["low/none.wav,gone,low", "high/9.wav,,high"]
    (songs / "manifest.csv").write_text("\n".join(rows), encoding="utf-8-sig")
    before = splits(songs)
    capsys.readouterr()
    assert cli.main(["data", "split", str(songs), "--fractions", ".6", ".2", ".2"]) == 0
    assert "skipped: 1, such as low/none.wav: no such file" in capsys.readouterr().err
    found = (songs / "manifest.csv").read_text().splitlines()
    assert found[0] == "Path,Title,LABEL,split"
    assert [line.rpartition(",")[0] for line in found[1:]] == rows[1:]
    assert found[-2].endswith("gone,low,")  # no song, no split
    after = splits(songs)
    assert after.keys() == before.keys()
    assert sum(name == "train" for name in after.values()) < sum(
        name == "train" for name in before.values()
    )
    for words in ("--fractions .6 .6 .2", "--rule random"):
        (songs / "manifest.csv").write_text("\n".join(rows))
        assert cli.main(["data", "split", str(songs), *words.split()]) == 1
        assert "data.split_" in capsys.readouterr().err


def test_names_that_no_manifest_can_hold_are_named(songs, capsys):
    (songs / "low" / "0.wav").rename(songs / "low" / "caf\udce9.wav")
    assert cli.main(["data", "split", str(songs)]) == 1
    assert r"names that are not: rename low/caf\xe9.wav" in capsys.readouterr().err
    assert not (songs / "manifest.csv").exists()
