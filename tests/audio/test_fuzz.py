"""Damaged files: none crashes or hangs, each has a reason or is heard alike by all who listen."""

import io
import json
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from tests import ROOT
from tests.audio import broken

_FORMATS = {
    "wav": ("WAV", "PCM_16"),
    "flac": ("FLAC", "PCM_16"),
    "ogg": ("OGG", "VORBIS"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
}
_PER_FORMAT = 250
_LIMIT_S = 5.0  # of one file; a sound one takes a hundredth of a second

# In a process of its own: a crash inside of libsndfile would take pytest along. The name is
# written before a file is touched, so that it is known which one it was.
_SCAN_EACH = """
import json, pathlib, sys, time
from mclf_jax.audio import decode
from mclf_jax.data.sources import scan
import pytest
root = pathlib.Path(sys.argv[1])
options = dict(sample_rate_hz=16000, min_duration_s=0.125, progress="off")
paths = sorted(root.glob("*.*"))
single = []
for path in paths:
    print(json.dumps({"begin": path.name}), flush=True)
    start = time.perf_counter()
    (result,) = scan.scan([path], cache_file=root / "nowhere" / "x" / "cache", **options)
    single.append(result)
    found = dict(name=path.name, seconds=time.perf_counter() - start,
                 reason=result.reason, num_samples=result.num_samples)
    if result.reason is None:
        found["num_read"] = len(decode.read_audio(path, sample_rate_hz=16000))
    print(json.dumps(found), flush=True)
together = scan.scan(paths, cache_file=root / "all" / "cache", **options)
again = scan.scan(paths, cache_file=root / "all" / "cache", **options)
print(json.dumps({"threads": together == single, "cache": again == together}))
"""


def _base(kind, *, num_channels):
    rng = np.random.default_rng(num_channels)
    time_s = np.arange(int(0.3 * 22050)) / 22050
    tone = 0.3 * np.sin(2 * np.pi * 440 * time_s)[:, None]
    sound = tone + 0.02 * rng.standard_normal((len(time_s), num_channels))
    file = io.BytesIO()
    container, subtype = _FORMATS[kind]
    soundfile.write(file, sound, 22050, format=container, subtype=subtype)
    return file.getvalue()


def _scan(folder, *, timeout_s):
    done = subprocess.run(
        [sys.executable, "-c", _SCAN_EACH, str(folder)],
        capture_output=True,
        text=True,
        errors="replace",
        timeout=timeout_s,
        check=False,
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    last = lines[-1] if lines else None
    assert done.returncode == 0, f"exit {done.returncode} at {last}: {done.stderr[-2000:]}"
    return [line for line in lines if "name" in line], lines[-1]


def _fuzzed(folder, *, per_format, seed):
    rng = np.random.default_rng(seed)
    for kind in _FORMATS:
        bases = [_base(kind, num_channels=n) for n in (1, 2)]
        for i in range(per_format):
            damaged = broken.damaged(bases[i % 2], others=bases, rng=rng)
            (folder / f"{i:03d}.{kind}").write_bytes(damaged)


@pytest.mark.slow
def test_a_thousand_damaged_files(tmp_path):
    _fuzzed(tmp_path, per_format=_PER_FORMAT, seed=0)
    found, whole = _scan(tmp_path, timeout_s=300)
    assert len(found) == 4 * _PER_FORMAT
    assert whole == {"threads": True, "cache": True}
    for line in found:
        assert line["seconds"] < _LIMIT_S, line
        if line["reason"] is None:  # accepted: then all of it can be read, as long as was said
            assert line["num_read"] == line["num_samples"] >= 0.125 * 16000, line
        else:
            assert len(line["reason"]) > 5, line
    for kind in _FORMATS:
        reasons = [line["reason"] for line in found if line["name"].endswith(kind)]
        assert None in reasons and any(reasons), kind


# As above in a process of its own, and until the time is up.
_HEAR_EACH = """
import json, pathlib, sys, time
import numpy as np
from mclf_jax.audio.decode import AudioError
from tests import fuzz
from tests.audio import broken
from tests.audio.files.test_sound import assert_heard_alike
folder, seconds = pathlib.Path(sys.argv[1]), float(sys.argv[2])
seeds = {}
for kind in broken.FORMATS:
    first, second = (broken.encoded(kind, duration_s=1.2, num_channels=n) for n in (1, 2))
    seeds[kind] = [first, second, broken.encoded(kind, duration_s=1.5, hz=900)]
kinds = list(seeds)
for n in fuzz.numbers(seconds):
    rng = np.random.default_rng(n)
    kind = kinds[n % len(kinds)]
    others = [*seeds[kind], seeds[kinds[rng.integers(len(kinds))]][0]]
    path = folder / f"{n}.{kind}"
    path.write_bytes(broken.damaged(others[rng.integers(3)], others=others, rng=rng))
    print(json.dumps({"begin": path.name}), flush=True)
    start = time.perf_counter()
    found = {"name": path.name, "reason": None}
    try:
        whole, info = assert_heard_alike(path)
        found["finite"], found["part"] = bool(np.isfinite(whole).all()), info.part
    except AudioError as error:
        found["reason"] = error.reason
    print(json.dumps(found | {"seconds": time.perf_counter() - start}), flush=True)
    path.unlink()
"""


def test_damaged_files_are_heard_alike(tmp_path, request):
    seconds = request.config.getoption("--fuzz-seconds")
    done = subprocess.run(
        [sys.executable, "-c", _HEAR_EACH, str(tmp_path), str(seconds)],
        cwd=ROOT,  # where `tests` is found
        capture_output=True,
        text=True,
        errors="replace",
        timeout=seconds + 120,
        check=False,
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, f"exit {done.returncode} at {lines[-1:]}: {done.stderr[-3000:]}"
    found = [line for line in lines if "name" in line]
    assert len(found) >= 9
    for line in found:
        assert line["seconds"] < _LIMIT_S, line
        assert line["reason"] is None or len(line["reason"]) > 5, line
        assert line["reason"] is not None or line["finite"], line
