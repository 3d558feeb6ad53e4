"""`mclf export`, and what the other commands make of what it writes."""

import pytest
import soundfile

from tests.commands import mclf, process
from tests.export.bundles import RATE_HZ, song, with_onnx
from tests.small_run import write_run


@with_onnx
@pytest.mark.slow
def test_a_file_tags_as_the_run_does(tmp_path):
    run = tmp_path / "run"
    write_run(run, song(num_samples=2000).reshape(4, 500))
    for name in ("a", "b"):
        soundfile.write(tmp_path / f"{name}.wav", song(seed=ord(name)), RATE_HZ)
    said = mclf("predict", run, tmp_path / "a.wav", tmp_path / "b.wav").stdout
    for run_it, *out in (
        (process, "--out", tmp_path / "x.mclf"),
        (mclf, "--to", "huggingface", "--out", tmp_path / "hub"),
    ):
        done = run_it("export", run, *out)
        assert "read back: scores differ by" in done.stdout
        assert f"next: mclf predict {out[-1]}" in done.stdout
        assert mclf("predict", out[-1], tmp_path / "a.wav", tmp_path / "b.wav").stdout == said
    songs = ["--songs", tmp_path / "a.wav", tmp_path / "b.wav"]
    done = mclf("export", run, "--out", tmp_path / "x.onnx", "--weights", "int8", *songs)
    assert "on average, over 2 songs" in done.stdout and "ms for a song" in done.stdout
    assert (tmp_path / "x.json").exists() and done.stderr == ""
    refused = mclf("export", run, "--out", tmp_path / "x.txt", code=1)
    assert "it must end in .mclf, .onnx" in refused.stderr
    refused = mclf("export", tmp_path / "nothing", "--out", tmp_path / "y.mclf", code=1)
    assert "is not a run directory" in refused.stderr and not (tmp_path / "y.mclf").exists()
