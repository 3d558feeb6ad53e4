"""launch/real_data.py on stand-ins for packages: names, licences, splits, levels."""

import csv
import doctest
import importlib.util
import sys

import numpy as np
import pytest
import soundfile

from tests import ROOT
from tests.commands import mclf

_COPYRIGHT = """Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/

Files: *
Copyright: nobody
License: GPL-2+
 Some words.
 .
 More words.

Files: etc/samples/bass_a.flac
       drumkits/The?Kit.h2drumkit
Copyright: somebody
License: CC0
"""
_KIT = """<drumkit_info xmlns="http://www.hydrogen-music.org/drumkit">
<instrumentList>{}</instrumentList></drumkit_info>"""
_INSTRUMENT = "<instrument><name>{}</name><layer><filename>{}</filename></layer></instrument>"


@pytest.fixture(scope="module")
def real_data():
    spec = importlib.util.spec_from_file_location("real_data", ROOT / "launch" / "real_data.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["real_data"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["real_data"]


def write(file, *, seconds=0.5, rate_hz=8000, seed=0):
    file.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).uniform(-0.1, 0.1, int(seconds * rate_hz))
    soundfile.write(file, noise, rate_hz)


def manifest(folder):
    with (folder / "manifest.csv").open() as file:
        return list(csv.DictReader(file))


def package(root, name):
    (root / name / "usr/share/doc" / name).mkdir(parents=True)
    (root / name / "usr/share/doc" / name / "copyright").write_text(_COPYRIGHT)
    return root / name


def test_examples_in_its_docstrings(real_data):
    found = doctest.testmod(real_data)
    assert found.attempted and not found.failed


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ('Tom High (Tama Superstar 12")', "tom"),
        ('Ride (Custom, Zagrebin 22")', "cymbal"),
        ("Closed HH", "hi-hat"),
        ("Sabian Hat Choke", "hi-hat"),
        ("Rim Click (Pearl)", "other"),
        ("d3 - snare 1", "snare"),
        ("c3 - bass drum 1", "kick"),
        ("Djembe1 Bass", "other"),
        ("a#4 -  ", ""),
        ("Sample: beats_01-39.flac", ""),
        ("VariBreaks Drum 1", ""),
    ],
)
def test_instruments_of_drum_kits(real_data, name, label):
    assert real_data.drum_label(name) == label


def test_drums(real_data, tmp_path):
    kits = package(tmp_path / "packages", "hydrogen-drumkits")
    for first, kit in enumerate(("The Kit", "ForzeeStereo", "Millo-Drums_v.1")):
        folder = kits / "usr/share/hydrogen/data/drumkits" / kit
        for number, name in enumerate(("k.wav", "s.wav", "x.wav", "emptySample.wav")):
            write(folder / name, seconds=0.1, seed=10 * first + number)
        pairs = (("Kick", "k.wav"), ("Snare", "s.wav"), ("17", "x.wav"), ("18", "emptySample.wav"))
        (folder / "drumkit.xml").write_text(
            _KIT.format("".join(_INSTRUMENT.format(*pair) for pair in pairs))
        )
    real_data.main("drums", str(tmp_path))
    rows = manifest(tmp_path / "drums")
    assert len(rows) == 9
    found = {(row["label"], row["group"], row["split"], row["licence"]) for row in rows}
    assert ("kick", "The Kit", "train", "CC0") in found
    assert ("snare", "ForzeeStereo", "test", "GPL-2+") in found
    assert ("kick", "Millo", "valid", "GPL-2+") in found
    assert ("", "Millo", "unlabelled", "GPL-2+") in found
    audio, rate_hz = soundfile.read(tmp_path / "drums" / rows[0]["path"])
    assert rate_hz == 22050 and len(audio) == 4410 and abs(np.abs(audio).max() - 0.5) < 1e-3
    check = ("data", "check", tmp_path / "drums", "--name", "folder")
    assert "0 leak(s)" in mclf(*check).stdout


def test_instruments_and_soundtracks(real_data, tmp_path, capsys):
    sonic = package(tmp_path / "packages", "sonic-pi-samples") / "usr/share/sonic-pi/samples"
    lmms = package(tmp_path / "packages", "lmms-common") / "usr/share/lmms/samples"
    write(sonic / "bass_a.flac")
    write(lmms / "drums/kick01.flac", seed=1)
    write(lmms / "shapes/moog.flac")
    (lmms / "drums/kick02.ogg").write_bytes(b"no sound")
    real_data.main("instruments", str(tmp_path))
    rows = manifest(tmp_path / "instruments")
    assert [(row["label"], row["group"], row["licence"]) for row in rows] == [
        ("bass", "sonic-pi-samples/bass_a", "CC0"),
        ("kick", "lmms-common/drums/kick", "GPL-2+"),
    ]
    assert "skipped" in capsys.readouterr().err
    for name, (_, folder) in real_data._GAMES.items():
        write(package(tmp_path / "packages", name) / folder / "forest_01.ogg", seconds=16)
        write(tmp_path / "packages" / name / folder / "jingle.ogg", seconds=2)
    real_data.main("soundtracks", str(tmp_path))
    rows = manifest(tmp_path / "soundtracks")
    assert len(rows) == 6 and rows[0]["group"] == "colobot/forest"
    assert {row["licence"] for row in rows} == {"GPL-2+", "CC-BY-SA-3.0"}


def test_a_set_that_is_not_there(real_data):
    with pytest.raises(ValueError, match="'guitars'; allowed: drums, instruments, soundtracks"):
        real_data.main("guitars", "nowhere")
