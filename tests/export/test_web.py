"""The page without a server says what the tagger says, and asks nobody."""

import functools
import http.server
import threading

import numpy as np
import pytest
import soundfile
import soxr

from mclf_jax.api import Tagger
from mclf_jax.export.bundle import Bundle
from mclf_jax.export.web import write_web
from mclf_jax.metrics.confidence.scaling import Scaling
from tests.browser import open_page
from tests.export.bundles import small_bundle, with_onnx
from tests.small_run import small_model

pytest.importorskip("jax2onnx")
pytestmark = with_onnx
RATE_HZ = 8000


@pytest.fixture(scope="module")
def bundle():
    """At a rate that browsers know, and with scores that differ from one window to the next."""
    import jax

    features = {"sample_rate_hz": RATE_HZ, "n_fft": 256, "hop_length": 128, "n_mels": 16}
    model = small_model(window_s=0.8, features=features)
    variables = jax.jit(model.init)(jax.random.key(1))
    variables["batch_stats"]["spec_bn"] = {"mean": np.full(1, -30.0), "var": np.full(1, 400.0)}
    return Bundle(
        (model,),
        (variables,),
        task="multi_label",
        labels=("low", "high"),
        short="tile",
        num_windows=4,
        hop_s=None,
        thresholds={"low": 0.5},
        scaling=Scaling((0.7, 2.0), (0.3, -0.5)),
    )


@pytest.fixture(scope="module")
def folder(bundle, tmp_path_factory):
    return write_web(bundle, tmp_path_factory.mktemp("web") / "page")


def test_all_is_there_and_nothing_is_elsewhere(bundle, folder):
    names = {path.name for path in folder.iterdir()}
    assert {"index.html", "app.js", "backend.js", "sound.js", "model.onnx", "model.json"} <= names
    assert (folder / "ort-wasm-simd-threaded.wasm").read_bytes()[:4] == b"\0asm"
    page = (folder / "index.html").read_text()
    assert "default-src 'none'" in page and "python -m http.server" in page
    assert "api/tag" not in (folder / "backend.js").read_text()
    write_web(bundle, folder, weights="float16")  # over it
    write_web(bundle, folder)
    (folder.parent / "other").mkdir()
    (folder.parent / "other" / "thesis.txt").write_text("years of work")
    with pytest.raises(ValueError, match="holds other things"):
        write_web(bundle, folder.parent / "other")
    with pytest.raises(ValueError, match="has learnt no labels"):
        write_web(small_bundle(labels=()), folder.parent / "new")


@pytest.mark.slow
def test_it_says_what_the_tagger_says(bundle, folder, tmp_path):
    """Decoders and resamplers of a browser are others; that is what the tolerances are for."""
    draw = np.random.default_rng(0)
    times_s = np.arange(5 * 44100) / 44100
    tones = [np.sin(2 * np.pi * hz * times_s * (1 + 0.1 * times_s)) for hz in (220, 331)]
    music = 0.3 * np.stack(tones, axis=1) + 0.02 * draw.standard_normal((len(times_s), 2))
    own = soxr.resample(music.mean(axis=1), 44100, RATE_HZ)
    songs = {"own.wav": 1e-4, "short.wav": 1e-4, "cd.wav": 5e-3, "cd.flac": 5e-3, "cd.mp3": 2e-2}
    soundfile.write(tmp_path / "own.wav", own, RATE_HZ)
    soundfile.write(tmp_path / "short.wav", own[:3000], RATE_HZ)
    for name in ("cd.wav", "cd.flac", "cd.mp3"):
        soundfile.write(tmp_path / name, music, 44100)
    handler = functools.partial(_Quiet, directory=folder)
    with (
        http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server,
        open_page() as opened,
    ):
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page, asked = opened["page"], []
        page.on("request", lambda request: asked.append(request.url))
        address = f"http://127.0.0.1:{server.server_address[1]}/"
        page.goto(address)
        for name, tolerance in songs.items():
            page.set_input_files("#file", tmp_path / name)
            done = "(name) => document.getElementById('status').textContent.startsWith('Done') && "
            done += "document.getElementById('song-title').textContent === name"
            page.wait_for_function(done, arg=name)
            lines = page.locator(".tags li").all()
            found = {
                line.locator(".name").inner_text(): float(
                    line.locator(".score").get_attribute("data-exact")
                )
                for line in lines
            }
            wanted = Tagger.of(bundle).predict(tmp_path / name)
            assert found == pytest.approx(wanted, abs=tolerance), name
        server.shutdown()
        assert opened["said"] == []
        assert all(url.startswith((address, "blob:")) for url in asked)


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *what):
        pass
