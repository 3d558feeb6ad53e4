"""The server: right answers, limits, and that it lives on whatever it is sent."""

import asyncio
import contextlib
import io
import json

import httpx
import numpy as np
import pytest
import soundfile

from mclf_jax.api import Tagger
from mclf_jax.serve.app import make_app
from mclf_jax.serve.batches import Batches
from mclf_jax.serve.limits import Clients, Limits
from mclf_jax.serve.similar import read_index
from mclf_jax.serve.workers import DecodeError, Workers
from tests.export.bundles import RATE_HZ, small_bundle, song


def wav(audio, *, rate_hz=RATE_HZ, form="WAV") -> bytes:
    file = io.BytesIO()
    soundfile.write(file, audio, rate_hz, format=form)
    return file.getvalue()


@contextlib.asynccontextmanager
async def asking(*, token="", **settings):
    limits = Limits(**{"num_workers": 1} | settings.pop("limits", {}))
    bundles = settings.pop("bundles", {"small": small_bundle(thresholds={"low": 0.25})})
    app = make_app(bundles, limits=limits, token=token, **settings)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://localhost", timeout=60
        ) as client,
    ):
        yield client


def test_it_says_what_the_tagger_says(tmp_path):
    audio = song(num_samples=2300)
    bundles = {"small": small_bundle(thresholds={"low": 0.25}), "other": small_bundle(seed=1)}
    embeddings = np.stack([Tagger.of(bundles["small"]).embed(audio, sample_rate_hz=RATE_HZ)] * 2)
    embeddings[0] *= -1
    np.savez(
        tmp_path / "x.npz", paths=np.array(["/a/far.wav", "/b/near.wav"]), embeddings=embeddings
    )

    async def ask():
        async with asking(bundles=bundles, index=read_index(tmp_path / "x.npz")) as client:
            models = (await client.get("/api/models")).json()
            found = [
                (await client.post(f"/api/tag?model={name}", content=wav(audio))).json()
                for name in bundles
            ]
            embedding = (await client.post("/api/embed", content=wav(audio))).json()["embedding"]
            return models, found, embedding

    models, found, embedding = asyncio.run(ask())
    assert [m["name"] for m in models["models"]] == ["small", "other"] and models["index"]
    # 16 bits of a WAV file are what is compared.
    heard = soundfile.read(io.BytesIO(wav(audio)), dtype="float32")[0]
    for said, bundle in zip(found, bundles.values(), strict=True):
        tagger = Tagger.of(bundle)
        wanted = tagger.predict(heard, sample_rate_hz=RATE_HZ)
        assert said["scores"] == pytest.approx(wanted, abs=1e-6)
        taggram = tagger.taggram(heard, sample_rate_hz=RATE_HZ)
        np.testing.assert_allclose(said["taggram"]["times_s"], taggram["times_s"])
        np.testing.assert_allclose(said["taggram"]["scores"], taggram["scores"], atol=1e-4)
    assert found[0]["thresholds"] == {"low": 0.25} and "similar" not in found[1]
    assert [song["title"] for song in found[0]["similar"]] == ["near.wav", "far.wav"]
    wanted = Tagger.of(bundles["small"]).embed(heard, sample_rate_hz=RATE_HZ)
    np.testing.assert_allclose(embedding, wanted, atol=1e-5)


def test_what_it_does_not_take_is_refused_and_it_lives():
    good = wav(song())
    rng = np.random.default_rng(0)

    def mutated(number):
        content = bytearray(wav(song(), form=("WAV", "FLAC", "OGG")[number % 3]))
        for place in rng.integers(0, len(content), 8):
            content[place] = rng.integers(256)
        return bytes(content[: rng.integers(1, len(content))])

    limits = {"max_mb": 0.05, "max_s": 10, "per_minute": 10_000, "upload_s": 5}

    async def ask():
        async with asking(limits=limits) as client:
            said = {}
            for name, content in {
                "empty": b"",
                "text": b"hello" * 100,
                "large": bytes(60_000),
                # A header that says ten hours, and a song that is too long.
                "header": good[:40] + (2**31 - 100).to_bytes(4, "little") + good[44:],
                "long": wav(np.zeros(20_000)),
            }.items():
                response = await client.post("/api/tag", content=content)
                said[name] = response.status_code, response.json().get("error", "")
            sent = 0

            async def endless():  # without a length, and in pieces
                nonlocal sent
                while True:
                    sent += 1000
                    yield bytes(1000)

            response = await client.post("/api/tag", content=endless())
            said["endless"] = response.status_code, response.json()["error"]
            assert sent < 40 << 20
            form = {"file": ("../../etc/passwd", good, "audio/wav")}
            said["form"] = (await client.post("/api/tag", files=form)).status_code, ""
            for path in ("/../app.py", "/%2e%2e/app.py", "/page/app.js", "/api/tag"):
                assert (await client.get(path)).status_code in (404, 405)
            for number in range(60):
                response = await client.post("/api/tag", content=mutated(number))
                assert response.status_code in (200, 422), response.text
                assert "error" not in response.json() or response.status_code == 422
            many = await asyncio.gather(
                *(
                    client.post("/api/tag", content=b"no song" if n % 10 == 0 else good)
                    for n in range(40)
                )
            )
            metrics = (await client.get("/metrics")).text
            return said, many, metrics

    said, many, metrics = asyncio.run(ask())
    assert said["empty"] == (400, "the body is empty; it must be an audio file")
    assert said["text"][0] == 422 and "not audio" in said["text"][1]
    assert said["large"] == (413, "the file is larger than 0.05 MB")
    assert said["endless"] == said["large"]
    assert said["header"][0] == 200
    assert said["long"] == (
        422,
        "this file cannot be used: it is 20 s long; at most 10 s are taken",
    )
    assert said["form"][0] == 415
    assert [r.status_code for r in many] == [422 if n % 10 == 0 else 200 for n in range(40)]
    answers = [json.dumps(r.json()["taggram"]) for r in many if r.status_code == 200]
    assert len(set(answers)) == 1
    counts = dict(line.rsplit(" ", 1) for line in metrics.splitlines() if line[0] != "#")
    assert int(counts['mclf_requests_total{path="/api/tag",status="413"}']) == 2
    # Windows of several requests went through the network together.
    assert float(counts["mclf_batches_total"]) < float(counts["mclf_windows_total"])


def test_a_song_that_takes_too_long_leaves_the_others_alone():
    async def ask(limits):
        async with asking(limits=limits) as client:
            first = await client.post("/api/tag", content=wav(song(num_samples=60_000)))
            return first, (await client.get("/metrics")).text

    response, metrics = asyncio.run(ask({"decode_s": 1e-3}))
    assert response.status_code == 422 and "takes longer than 0.001 s" in response.text
    assert "mclf_replaced_decoders_total 1" in metrics


def test_a_song_that_takes_too_much_memory_ends_its_own_process(tmp_path):
    soundfile.write(tmp_path / "x.wav", song(), RATE_HZ)
    asked = {
        "path": str(tmp_path / "x.wav"),
        "rate_hz": RATE_HZ,
        "num_windows": 1,
        "hop_s": None,
        "taggram_hop_s": 1e9,
        "short": "tile",
        "max_s": 10,
    }

    async def ask():
        workers = Workers(count=1, memory_mb=64, timeout_s=30)
        with pytest.raises(DecodeError, match="want of the memory that one song may take"):
            async with workers.open(asked | {"window_samples": 10**8}) as decoded:
                [_ async for _ in decoded.windows]
        async with workers.open(asked | {"window_samples": 100}) as decoded:
            windows = [window async for _, window in decoded.windows]
        await workers.close()
        return windows, workers.num_replaced

    windows, num_replaced = asyncio.run(ask())
    assert {window.shape for window in windows} == {(100,)} and num_replaced == 1


def test_who_may_ask():
    async def ask():
        found = {}
        async with asking(token="a" * 20) as client:
            url = "/api/models"
            found["without"] = await client.get(url)
            found["wrong"] = await client.get(url, headers={"Authorization": "Bearer bbb"})
            right = {"Authorization": f"Bearer {'a' * 20}"}
            found["right"] = await client.get(url, headers=right)
            found["page"] = await client.get("/")
            found["health"] = await client.get("/health")
            found["rebound"] = await client.get("/", headers={"Host": "evil.example"})
            found["broken origin"] = await client.post(
                "/api/tag", headers=right | {"Origin": "http://["}, content=b"x"
            )
            evil = right | {"Origin": "http://evil.example"}
            found["page of others"] = await client.post("/api/tag", headers=evil, content=b"x")
        async with asking(loopback_only=False, limits={"per_minute": 2}) as client:
            found["named"] = await client.get("/", headers={"Host": "music.example"})
            for _ in range(3):
                found["often"] = await client.post("/api/tag", content=b"")
        return found

    found = asyncio.run(ask())
    statuses = {name: response.status_code for name, response in found.items()}
    assert statuses == {
        "without": 401,
        "wrong": 401,
        "right": 200,
        "page": 200,
        "health": 200,
        "rebound": 403,
        "broken origin": 403,
        "page of others": 403,
        "named": 200,
        "often": 429,
    }
    assert 50 < int(found["often"].headers["Retry-After"]) <= 60
    assert "default-src 'none'" in found["page"].headers["Content-Security-Policy"]


def test_what_the_document_says_is_what_is_there():
    async def ask():
        async with asking() as client:
            document = (await client.get("/openapi.json")).json()
            tagged = (await client.post("/api/tag", content=wav(song()))).json()
            there = {
                path: (await client.request(next(iter(how)).upper(), path)).status_code
                for path, how in document["paths"].items()
            }
            return document, tagged, there

    document, tagged, there = asyncio.run(ask())
    assert set(there.values()) <= {200, 400}
    answer = document["paths"]["/api/tag"]["post"]["responses"]["200"]
    schema = answer["content"]["application/json"]["schema"]
    assert set(schema["required"]) == set(tagged)


def test_a_fault_of_the_server_is_one_request(monkeypatch, capsys):
    def broken(self, windows):
        raise RuntimeError("no device any more")

    async def ask():
        async with asking() as client:
            monkeypatch.setattr(Batches, "compute", broken)
            failed = await client.post("/api/tag", content=wav(song()))
            return failed, await client.get("/health")

    failed, health = asyncio.run(ask())
    assert failed.status_code == 500 and failed.json() == {"error": "the server failed"}
    assert "Content-Security-Policy" in failed.headers and health.status_code == 200
    assert "no device any more" in capsys.readouterr().err


def test_what_is_not_finite_is_no_answer():
    broken = small_bundle()
    broken.variables[0]["params"]["dense2"]["bias"] = np.full(2, np.nan, np.float32)

    async def ask():
        async with asking(bundles={"x": broken}) as client:
            return await client.post("/api/tag", content=wav(song()))

    response = asyncio.run(ask())
    assert response.status_code == 422 and "not finite" in response.json()["error"]


def test_clients_are_counted_by_themselves():
    clients = Clients(2)
    assert [clients.wait_s("a") > 0 for _ in range(3)] == [False, False, True]
    assert clients.wait_s("b") == 0


def test_what_cannot_be_served_is_refused(tmp_path):
    with pytest.raises(ValueError, match="has learnt no labels"):
        make_app({"x": small_bundle(labels=())})
    np.savez(tmp_path / "x.npz", paths=np.array(["a"]), embeddings=np.ones((1, 3)))
    with pytest.raises(ValueError, match="--index has embeddings of 3 numbers"):
        make_app({"x": small_bundle()}, index=read_index(tmp_path / "x.npz"))
