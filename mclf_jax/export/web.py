"""A page that tags songs in the browser: ONNX, its runtime, and no server that hears them."""

import importlib.resources
import lzma
from pathlib import Path

from mclf_jax.common import files
from mclf_jax.export.bundle import Bundle
from mclf_jax.export.onnx import write_onnx

# Answers from a server are one way to fill the page; here the network itself does.
_POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; "
    "img-src 'self' data: blob:; media-src blob:; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'"
)
_LOADING = "Loading the network. If this stays, open the page through a web server, such as"
_LOADING += " <code>python -m http.server</code>, not as a file."


def write_web(bundle: Bundle, directory: str | Path, *, weights: str = "float32") -> Path:
    """Write a folder for any file server: a page, the network in ONNX and the runtime for it.

    Args:
        bundle: whose networks are here and have learnt labels.
        directory: new or empty, or one that was written before.
        weights: see `write_onnx`.

    Raises:
        ValueError: the directory holds other things, or the network has learnt no labels.
        ImportError: the extra `onnx` is not installed.
    """
    directory = Path(directory)
    if not bundle.labels:
        raise ValueError(
            f"{bundle.name} has learnt no labels, so there is nothing for a page to show"
        )
    others = directory.is_dir() and any(directory.iterdir())
    if others and not (directory / "model.onnx").is_file():
        raise ValueError(f"--out is {directory}, which holds other things; take a new folder")
    directory.mkdir(parents=True, exist_ok=True)
    write_onnx(bundle, directory / "model.onnx", weights=weights)
    package = importlib.resources.files("mclf_jax.export")
    # Those of the static page take the place of those that ask a server.
    for folder in ("page", "static"):
        for file in (package / folder).iterdir():
            content = file.read_bytes()
            if file.name == "index.html":
                content = _adapted(content.decode()).encode()
            packed = file.name.endswith(".xz")
            with files.replacing(directory / file.name.removesuffix(".xz")) as temporary:
                temporary.write_bytes(lzma.decompress(content) if packed else content)
    return directory


def _adapted(page: str) -> str:
    policy = f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
    page = page.replace('<meta charset="utf-8">', f'<meta charset="utf-8">\n{policy}')
    return page.replace(
        '<p id="status" role="status"></p>', f'<p id="status" role="status">{_LOADING}</p>'
    )
