"""A `.mclf` file says what the run says, whatever happens to jax, and is refused where damaged."""

import dataclasses
import json
import zipfile

import numpy as np
import pytest

from mclf_jax.api import Tagger, load
from mclf_jax.evaluation.windows import make_step
from mclf_jax.export import archive, program, verify
from tests.export.bundles import RATE_HZ, small_bundle, song


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    bundle = small_bundle(thresholds={"low": 0.25}, card="# Card", about={"licence": "CC0"})
    return archive.write_archive(bundle, tmp_path_factory.mktemp("exported") / "small.mclf")


def rewritten(file, out, **changes):
    """A copy with other members; None leaves one out."""
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(out, "w") as new:
        parts = {name: old.read(name) for name in old.namelist()} | changes
        for name, content in parts.items():
            if content is not None:
                new.writestr(name, content)
    return out


def settings_with(file, **changes):
    with zipfile.ZipFile(file) as archived:
        return json.dumps(json.loads(archived.read("mclf.json")) | changes)


def test_a_file_says_what_it_was_written_from(file):
    tagger, bundle = load(file), small_bundle()
    assert tagger.bundle.program is not None
    for scores, others in (
        (tagger.predict, Tagger.of(bundle).predict),
        (tagger.embed, Tagger.of(bundle).embed),
    ):
        found, wanted = (
            scores(song(), sample_rate_hz=RATE_HZ),
            others(song(), sample_rate_hz=RATE_HZ),
        )
        if isinstance(found, dict):
            found, wanted = list(found.values()), list(wanted.values())
        np.testing.assert_allclose(found, wanted, atol=1e-6)
    assert tagger.labels == ("low", "high") and tagger.thresholds == {"low": 0.25}
    assert tagger.bundle.card == "# Card" and tagger.bundle.about["licence"] == "CC0"
    # Windows of another length are for the network itself.
    assert load(file, window_s=0.7).bundle.program is None


def test_scores_along_paths_leave_with_the_file(file, tmp_path):
    """Those of the program, of the network that is built anew, and of evaluation's step."""
    bundle = small_bundle(tree=(-1, 0))
    path = archive.write_archive(bundle, tmp_path / "tree.mclf")
    back = load(path)
    assert back.bundle.tree == (-1, 0) and back.bundle.program is not None
    assert json.loads(settings_with(path))["format"] == 2
    assert json.loads(settings_with(file))["format"] == 1  # what earlier versions can read
    rebuilt = Tagger.of(dataclasses.replace(back.bundle, program=None))
    flat = Tagger.of(small_bundle())
    assert rebuilt.identity == back.identity != flat.identity
    windows = song(num_samples=1500).reshape(3, -1)
    own = flat.score_windows(windows)
    wanted = np.stack([own[:, 0], own[:, 0] * own[:, 1]], axis=1)
    step = make_step(bundle.models[0], outputs=("scores",), tree=(-1, 0))
    rows = {"row": np.arange(3), "index": np.arange(3), "valid": np.ones(3, np.float32)}
    seen = step(bundle.variables[0], {"audio": windows, **rows})["scores"]
    for scores in (back.score_windows(windows), rebuilt.score_windows(windows), seen):
        np.testing.assert_allclose(scores, wanted, atol=1e-6)
    wrong = settings_with(path, tree=[-1, 5])
    with pytest.raises(ValueError, match="it must have a column, or -1, for each label"):
        load(rewritten(path, tmp_path / "wrong.mclf", **{"mclf.json": wrong}))


@pytest.mark.parametrize("how", ["old", "unreadable", "absent", "elsewhere"])
def test_without_a_program_that_runs_it_is_rebuilt(file, tmp_path, how, monkeypatch):
    changes = {
        "old": {"mclf.json": settings_with(file, made="2020-01-01T00:00:00+00:00")},
        "unreadable": {"program.stablehlo": b"of a version that nobody knows"},
        "absent": {"program.stablehlo": None},
        "elsewhere": {},
    }[how]
    if how == "elsewhere":
        monkeypatch.setattr(program.jax, "default_backend", lambda: "METAL")
    bundle = archive.read_archive(rewritten(file, tmp_path / "x.mclf", **changes))
    assert bundle.program is None
    assert verify.compare(bundle, verify.outputs_of(small_bundle()))["greatest"] < 1e-6


def test_a_network_whose_code_is_not_here_runs_by_its_program(file, tmp_path):
    with zipfile.ZipFile(file) as archived:
        settings = json.loads(archived.read("mclf.json"))
    settings["networks"][0]["name"] = "their_network.py:Theirs"
    there = {"mclf.json": json.dumps(settings)}
    tagger = load(rewritten(file, tmp_path / "theirs.mclf", **there))
    wanted = load(file).predict(song(), sample_rate_hz=RATE_HZ)
    assert tagger.predict(song(), sample_rate_hz=RATE_HZ) == wanted
    with pytest.raises(ValueError, match="made for one length"):
        load(tmp_path / "theirs.mclf", window_s=0.7)
    with pytest.raises(ValueError, match="code of their_network.py:Theirs is not here"):
        archive.write_archive(tagger.bundle, tmp_path / "again.mclf")
    without = rewritten(
        tmp_path / "theirs.mclf", tmp_path / "y.mclf", **{"program.stablehlo": None}
    )
    with pytest.raises(ValueError, match="network cannot be built"):
        load(without)


def test_half_the_size_with_float16(file, tmp_path):
    half = archive.write_archive(small_bundle(), tmp_path / "half.mclf", weights="float16")
    with zipfile.ZipFile(file) as whole, zipfile.ZipFile(half) as halved:
        sizes = [z.getinfo("weights.safetensors").file_size for z in (whole, halved)]
    assert sizes[1] < 0.75 * sizes[0]
    found = verify.compare(small_bundle(), verify.outputs_of(archive.read_archive(half)))
    assert 0 < found["mean"] < found["greatest"] < 0.01 and found["ms"] > 0
    large = small_bundle()
    large.variables[0]["params"]["dense2"]["bias"] = np.full(2, 1e6, np.float32)
    with pytest.raises(ValueError, match="float16 goes up to 65504, and .*dense2/bias"):
        archive.write_archive(large, tmp_path / "large.mclf", weights="float16")


def test_one_byte_of_damage_is_noticed(file, tmp_path):
    content = file.read_bytes()
    refused = 0
    for place in np.linspace(0, len(content) - 1, 60).astype(int):
        damaged = tmp_path / "damaged.mclf"
        damaged.write_bytes(content[:place] + bytes([content[place] ^ 0x10]) + content[place + 1 :])
        try:
            bundle = archive.read_archive(damaged)
        except ValueError as error:
            assert "damaged.mclf" in str(error)
            refused += 1
        else:  # such as a date of a member
            assert verify.compare(bundle, verify.outputs_of(small_bundle()))["greatest"] < 1e-6
    assert refused > 40


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"mclf.json": None}, "is no .mclf file: it has no mclf.json"),
        ({"mclf.json": "[]"}, "mclf.json holds"),
        ({"mclf.json": '{"format": 99}'}, "format 99, and this version of mclf_jax reads up to 2"),
        ({"mclf.json": '{"format": 1}'}, "mclf.json lacks made"),
        ({"weights.safetensors": b"nothing"}, "its weights cannot be read"),
        (
            {"weights.safetensors": b"\x02\0\0\0\0\0\0\0{}"},
            "weights are not of its short_",
        ),
    ],
)
def test_what_is_no_file_of_ours_is_refused(file, tmp_path, changes, said):
    with pytest.raises(ValueError, match=said):
        archive.read_archive(rewritten(file, tmp_path / "x.mclf", **changes))


def test_what_would_expand_is_refused(file, tmp_path):
    with (
        zipfile.ZipFile(file) as old,
        zipfile.ZipFile(tmp_path / "bomb.mclf", "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in old.namelist():
            new.writestr(name, bytes(10**8) if name == "weights.safetensors" else old.read(name))
    with pytest.raises(ValueError, match="was packed by something else"):
        archive.read_archive(tmp_path / "bomb.mclf")
    (tmp_path / "text.mclf").write_text("hello")
    with pytest.raises(ValueError, match="text.mclf is no .mclf file, or damaged"):
        load(tmp_path / "text.mclf")
    with pytest.raises(ValueError, match="it must end in .mclf"):
        archive.write_archive(small_bundle(), tmp_path / "x.zip")
