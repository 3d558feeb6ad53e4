"""Files that are no weights are called what they are."""

import gzip
import io
import tarfile
import zipfile

import numpy as np
import pytest

from mclf_jax.convert.weights import read_weights, write_weights

LFS = (
    b"version https://git-lfs.github.com/spec/v1\n"
    b"oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n"
)
CONTENTS = {
    "page": (b"<!DOCTYPE html>\n<html><head><title>404</title>", "a web page, or another answer"),
    "page with a mark": ("\ufeff \n<html lang='é'>".encode(), "a web page"),
    "xml": (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code>', "AccessDenied"),
    "lfs": (LFS, "a Git LFS pointer, which stands for a file: `git lfs pull`"),
    "annex": (b"/annex/objects/SHA256E-s3--ab.pth\n", "a git-annex pointer"),
    "json": (b'{"error": "Repository not found"}', "JSON, as of a server.*not found"),
    "text": (b"Access denied\n", "text; it begins with 'Access denied'"),
    "empty": (b"", "empty"),
    "zeros": (bytes(3000), "full of zeros"),
    "gzip": (gzip.compress(b"x"), "a gzip archive: unpack it"),
    "hdf5": (b"\x89HDF\r\n\x1a\n" + bytes(100), "an HDF5 file"),
}


@pytest.mark.parametrize("suffix", [".npz", ".safetensors", ".pth", ".ckpt"])
@pytest.mark.parametrize("case", CONTENTS)
def test_no_weights(tmp_path, case, suffix):
    content, message = CONTENTS[case]
    path = tmp_path / f"w{suffix}"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"w{suffix} is no file of weights; it is .*{message}"):
        read_weights(path)


def test_archives_without_weights(tmp_path):
    with zipfile.ZipFile(tmp_path / "w.npz", "w") as archive:
        archive.writestr("model/readme.txt", "weights")
    with tarfile.open(tmp_path / "w.pth", "w") as archive:
        archive.addfile(tarfile.TarInfo("weights.pth"), io.BytesIO())
    with pytest.raises(ValueError, match="a zip archive of model/readme.txt: unpack it"):
        read_weights(tmp_path / "w.npz")
    with pytest.raises(ValueError, match="a tar archive: unpack it"):
        read_weights(tmp_path / "w.pth")


def test_weights_under_another_suffix(tmp_path):
    write_weights(tmp_path / "a.npz", {"a": np.ones(2)})
    write_weights(tmp_path / "b.safetensors", {"a": np.ones(2)})
    with zipfile.ZipFile(tmp_path / "c.pth", "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02}.")
    np.save(tmp_path / "d.npy", np.ones(2))
    for name, wrong, message in (
        ("a.npz", "a.pth", "a file of numpy: call it .npz"),
        ("b.safetensors", "b.npz", "a file of safetensors: call it .safetensors"),
        ("c.pth", "c.safetensors", "a file of PyTorch: call it .pth"),
        ("d.npy", "d.npz", "one array, without a name"),
    ):
        (tmp_path / name).rename(tmp_path / wrong)
        with pytest.raises(ValueError, match=f"{wrong} is no file of weights; it is {message}"):
            read_weights(tmp_path / wrong)
