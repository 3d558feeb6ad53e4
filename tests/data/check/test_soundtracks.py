"""The check on real music: what is planted is found, with nothing else."""

import csv
import shutil

import pytest
import soundfile

from mclf_jax import data
from mclf_jax.data import check
from tests import SHARED

SOUNDTRACKS = SHARED / "audio" / "soundtracks"
# Two games use the same three jingles, in valid and test.
_REPEATED = ("winning", "courseclear")
RATE_HZ = 16000


def _rows(*, per_split):
    manifest = SOUNDTRACKS / "manifest.csv"
    if not manifest.is_file():
        pytest.skip(f"the soundtracks are not in {SOUNDTRACKS}")
    with manifest.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] != "unlabelled"]
    rows = [row for row in rows if not any(word in row["path"] for word in _REPEATED)]
    chosen = []
    for split in ("train", "valid", "test"):
        inside = [row for row in rows if row["split"] == split]
        chosen += inside[:: len(inside) // per_split][:per_split]  # of several games
    return chosen


def _check(root, rows):
    for row in rows:
        target = root / row["path"]
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            shutil.copy(SOUNDTRACKS / row["path"], target)
    with (root / "manifest.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    source = data.build("folder", path=str(root), sample_rate_hz=RATE_HZ, progress="off")
    return check.check(source, num_workers=2, progress="off")


def _encode(source, target, *, gain, container):
    """The worst that libsndfile encodes: MP3 or Ogg at the lowest quality."""
    sound, rate_hz = soundfile.read(source)
    subtype = {"OGG": "VORBIS", "MP3": "MPEG_LAYER_III"}[container]
    target.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(
        target, gain * sound, rate_hz, format=container, subtype=subtype, compression_level=0.99
    )


@pytest.mark.slow
def test_planted_leaks_are_found_and_nothing_else(tmp_path):
    rows = _rows(per_split=3)
    clean = _check(tmp_path, rows)
    assert clean.leaks == () and clean.duplicates.matches == ()

    rows[-1]["group"] = rows[0]["group"]  # its artist is in train
    for row, container in zip(rows[:2], ("OGG", "MP3"), strict=True):
        path = f"copies/copy.{container.lower()}"
        rows.append({**row, "path": path, "split": "test", "group": path})
        source = SOUNDTRACKS / row["path"]
        _encode(source, tmp_path / path, gain=10 ** (-6 / 20), container=container)
    result = _check(tmp_path, rows)
    found = {
        frozenset((result.item_ids[match.first], result.item_ids[match.second]))
        for match in result.duplicates.matches
    }
    planted = {frozenset((rows[i]["path"], rows[9 + i]["path"])) for i in range(2)}
    assert found == planted
    for match in result.duplicates.matches:
        assert match.kind == "near duplicate" and match.similarity > 0.75
    leaks = {found.topic: found.details for found in result.leaks}
    assert set(leaks) == {"leakage", "duplicates"}
    assert leaks["leakage"] == (f"{rows[0]['group']}: train 1, test 1",)
    assert len(leaks["duplicates"]) == 2


@pytest.mark.slow
def test_all_soundtracks(tmp_path):
    """Of 207 tracks five are there twice: three jingles, another mix, and one renamed."""
    _rows(per_split=1)
    source = data.build("folder", path=str(SOUNDTRACKS), sample_rate_hz=RATE_HZ)
    result = check.check(source, progress="off")
    clusters = [{result.item_ids[i] for i in cluster} for cluster in result.duplicates.clusters]
    assert clusters == [
        {"opensurge/winning.ogg", "tsc/courseclear_a.ogg"},
        {"opensurge/winning_plus.ogg", "tsc/courseclear_aa.ogg"},
        {"opensurge/winning_plusplus.ogg", "tsc/courseclear_aaa.ogg"},
        {
            "tuxemon_ericskiff_chiptune/come_and_find_me.ogg",
            "tuxemon_ericskiff_chiptune/come_and_find_me_b_mix.ogg",
        },
        {"voxelibre/darkreaven_calmed_cube.ogg", "voxelibre/theme.ogg"},
    ]
    (leak,) = result.leaks  # the second pair is in valid and test
    assert len(leak.details) == 1 and "winning_plus.ogg" in leak.details[0]
