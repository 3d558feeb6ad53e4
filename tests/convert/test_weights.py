"""Files of weights: every format both ways, wrappings, and what is wrong with a broken one."""

import argparse
import os
import sys
import zipfile

import jax.numpy as jnp
import numpy as np
import pytest

from mclf_jax.convert.weights import SUFFIXES, read_weights, unpack, write_weights


def arrays():
    rng = np.random.default_rng(0)
    return {
        "conv.weight": rng.standard_normal((4, 3, 2)).astype(np.float32),
        "reversed": rng.standard_normal((2, 3)).T,  # float64, and not as it lies in memory
        "num_batches_tracked": np.array(7, np.int64),
        "mel_scale.fb": np.zeros((0,), np.float32),
    }


@pytest.mark.parametrize("suffix", [*SUFFIXES, ".NPZ"])
def test_every_format_keeps_names_values_shapes_and_types(suffix, tmp_path):
    if suffix in (".pth", ".pt", ".ckpt"):
        pytest.importorskip("torch")
    path = tmp_path / "new folder" / f"weights{suffix}"
    write_weights(path, arrays())
    found = read_weights(str(path))
    assert found.keys() == arrays().keys()
    for key, array in arrays().items():
        np.testing.assert_array_equal(found[key], array)
        assert found[key].dtype == array.dtype and found[key].shape == array.shape
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_failed_write_leaves_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / "weights.npz"
    write_weights(path, arrays())
    before = path.read_bytes()
    monkeypatch.setattr(np, "savez", lambda file, **arrays: file.write(b"half") and 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_weights(path, {"other": np.zeros(3)})
    assert path.read_bytes() == before and len(list(tmp_path.iterdir())) == 1


def test_wrong_files_are_named_with_what_is_wrong(tmp_path):
    with pytest.raises(FileNotFoundError, match="absent.npz: no such file"):
        read_weights(tmp_path / "absent.npz")
    with pytest.raises(ValueError, match=r"files of .pth, .pt, .*, .npz; got '.h5'"):
        read_weights(tmp_path / "weights.h5")
    with pytest.raises(ValueError, match="got '.bin'"):
        write_weights(tmp_path / "weights.bin", arrays())
    for name, content in (
        ("half.npz", b"PK\x03\x04 and no more\0"),
        ("half.safetensors", b"\x09\0\0\0\0\0\0\0{}"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=f"{name} cannot be read as"):
            read_weights(tmp_path / name)
    np.savez(tmp_path / "objects.npz", weight=np.array([{}]))
    with pytest.raises(ValueError, match=r"objects.npz.*allow_pickle=False"):
        read_weights(tmp_path / "objects.npz")
    np.save(tmp_path / "one.npy", np.zeros(3))
    (tmp_path / "one.npy").rename(tmp_path / "one.npz")
    with pytest.raises(ValueError, match="one.npz.*one array, without a name"):
        read_weights(tmp_path / "one.npz")


def test_without_torch_the_error_names_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "weights.pth").write_bytes(b"\x80\x02")
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ImportError, match=r"pip install 'mclf-jax\[torch\]'"):
        read_weights(tmp_path / "weights.pth")
    with pytest.raises(ImportError, match="torch is not installed"):
        write_weights(tmp_path / "new.pth", arrays())
    assert [file.name for file in tmp_path.iterdir()] == ["weights.pth"]


@pytest.mark.parametrize("name", ["state_dict", "model", "model_state_dict"])
def test_nested_state_dicts_are_unwrapped(name):
    wrapped = {"epoch": 3, name: {"a": np.ones(2), "b": jnp.ones(3)}}
    found = unpack(wrapped).arrays
    assert found.keys() == {"a", "b"} and all(isinstance(x, np.ndarray) for x in found.values())
    with pytest.raises(ValueError, match=r"x.pth: expected a state_dict.*epoch \(int\)"):
        unpack({"epoch": 3, "net": {"a": [1.0]}}, origin="x.pth")
    with pytest.raises(ValueError, match="expected a state_dict"):
        unpack({})


class Setup:
    """A class that those who read a checkpoint do not have."""

    def __init__(self):
        self.rate = 0.1


class Settings(dict):
    """As Lightning's AttributeDict."""


class Runs:
    """What a hostile file would hold."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return eval, (f"open({self.path!r}, 'w')",)


class RunsCommand(Runs):
    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def test_checkpoints_of_training_code_and_nothing_of_theirs_is_run(tmp_path):
    torch = pytest.importorskip("torch")
    weights = {"network.a": torch.nn.Parameter(torch.ones(2)), "b": torch.ones(2).bfloat16()}
    victim = tmp_path / "victim"
    for number, extra in enumerate(
        (
            argparse.Namespace(rate=0.1),
            Settings(rate=0.1, setup=Setup()),
            {"network": torch.nn.Linear(2, 3), "loss": torch.nn.BCELoss()},
            {Setup: {"best": np.float64(0.5)}},
            Runs(str(victim)),
        )
    ):
        path = tmp_path / f"{number}.ckpt"
        torch.save({"epoch": 1, "state_dict": weights, "hyper_parameters": extra}, path)
        found = read_weights(path)
        assert found.keys() == weights.keys()
        assert all((x == 1).all() and x.dtype == np.float32 for x in found.values())
    torch.save({"state_dict": weights, "extra": RunsCommand(str(victim))}, tmp_path / "bad.ckpt")
    with pytest.raises(ValueError, match=r"bad.ckpt.*holds other things.*save the state_dict\(\)"):
        read_weights(tmp_path / "bad.ckpt")
    assert not victim.exists()


def test_other_files_of_pytorch(tmp_path):
    torch = pytest.importorskip("torch")
    torch.save({"a": torch.ones(2)}, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    assert read_weights(tmp_path / "old.pth")["a"].tolist() == [1, 1]
    (tmp_path / "text.pth").write_text("not a checkpoint")
    (tmp_path / "empty.pth").write_text("")
    torch.save([torch.ones(2)], tmp_path / "list.pth")
    torch.save(torch.nn.Linear(2, 3), tmp_path / "module.pth")
    for name, message in (
        ("text", "no file of weights; it is text; it begins with 'not a checkpoint'"),
        ("empty", "no file of weights; it is empty"),
        ("list", "expected a state_dict, name -> array, got list"),
        ("module", r"expected a state_dict.*got none \(a module\?\)"),
    ):
        with pytest.raises(ValueError, match=f"{name}.pth.*{message}"):
            read_weights(tmp_path / f"{name}.pth")


def test_bfloat16_becomes_float32(tmp_path):
    path = tmp_path / "half.safetensors"
    write_weights(path, {"a": np.asarray(jnp.ones((2, 3), jnp.bfloat16))})
    found = read_weights(path)["a"]
    assert found.dtype == np.float32 and found.tolist() == np.ones((2, 3)).tolist()


def test_sizes_are_read_before_data(tmp_path):
    np.savez_compressed(tmp_path / "bomb.npz", a=np.zeros(10**7))
    with pytest.raises(ValueError, match="would take 80 MB of memory.*at most 69 MB are read"):
        read_weights(tmp_path / "bomb.npz")
    # As a tensor whose one number stands for all.
    with pytest.raises(ValueError, match="x would take 8,000,000 MB of memory"):
        unpack({"a": np.broadcast_to(np.ones(1), 10**12)}, origin="x", most_bytes=10**6)
    np.savez(tmp_path / "twice.npz", a=np.ones(3))
    with pytest.warns(UserWarning), zipfile.ZipFile(tmp_path / "twice.npz", "a") as archive:
        archive.writestr("a.npy", archive.read("a.npy"))
    with pytest.raises(ValueError, match="arrays are in it twice"):
        read_weights(tmp_path / "twice.npz")


def test_damage_that_pytorch_reads_over(tmp_path):
    torch = pytest.importorskip("torch")
    path = tmp_path / "a.pth"
    for checksums in (True, False):
        torch.serialization.set_crc32_options(checksums)
        write_weights(path, {"a": np.full(1000, 1.5, np.float32)})
        torch.serialization.set_crc32_options(True)
        assert (read_weights(path)["a"] == 1.5).all()
        content = path.read_bytes()
        path.write_bytes(content.replace(b"\0\0\xc0\x3f" * 900, b"\0\0\xc0\x3e" * 900))
        if checksums:
            with pytest.raises(ValueError, match="a.pth is damaged: .*data/0 in it has another"):
                read_weights(path)
