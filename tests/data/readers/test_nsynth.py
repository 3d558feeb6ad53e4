"""NSynth: five targets of one list of notes."""

import json

import numpy as np
import pytest

from mclf_jax.data.readers import nsynth
from mclf_jax.data.sources.files import open_catalogue
from tests.data.readers.trees import RATE_HZ, by_split, write_tone

# split, instrument, family, source, pitch, velocity, qualities
NOTES = [
    ("train", "bass_synthetic_068", "bass", "synthetic", 49, 25, ["dark"]),
    ("train", "guitar_acoustic_010", "guitar", "acoustic", 60, 75, ["bright", "percussive"]),
    ("train", "guitar_acoustic_010", "guitar", "acoustic", 61, 127, []),
    ("valid", "vocal_acoustic_000", "vocal", "acoustic", 57, 50, ["reverb"]),
    ("test", "organ_electronic_028", "organ", "electronic", 21, 100, []),
]


def tree(root, *, notes=NOTES, missing=()):
    listings = {}
    for split, instrument, family, source, pitch, velocity, qualities in notes:
        name = f"{instrument}-{pitch:03d}-{velocity:03d}"
        listings.setdefault(split, {})[name] = {
            "note_str": name,
            "instrument_str": instrument,
            "instrument_family_str": family,
            "instrument_source_str": source,
            "pitch": pitch,
            "velocity": velocity,
            "sample_rate": 16000,
            "qualities_str": qualities,
            "qualities": [int(quality in qualities) for quality in nsynth._QUALITIES],
        }
        (root / f"nsynth-{split}/audio").mkdir(parents=True, exist_ok=True)
        if name not in missing:
            write_tone(root / f"nsynth-{split}/audio/{name}.wav")
    for split, listing in listings.items():
        (root / f"nsynth-{split}/examples.json").write_text(json.dumps(listing))
    return root


@pytest.mark.parametrize(
    "target, num_labels, expected",
    [
        ("family", 11, ["bass", "guitar", "guitar", "vocal", "organ"]),
        ("source", 3, ["synthetic", "acoustic", "acoustic", "acoustic", "electronic"]),
        ("pitch", 128, ["49", "60", "61", "57", "21"]),
        ("velocity", 5, ["25", "75", "127", "50", "100"]),
    ],
)
def test_one_label_of_many(tmp_path, target, num_labels, expected):
    found = nsynth.catalogue(tree(tmp_path), target=target)
    assert found.task == "single_label" and len(found.labels) == num_labels
    assert [item.labels for item in found.items] == [(label,) for label in expected]
    assert by_split(found) == {"train": 3, "valid": 1, "test": 1}
    assert found.items[1].group == "guitar_acoustic_010"
    assert found.items[1].columns["velocity"] == "75"


def test_a_pitch_is_at_the_output_of_its_midi_number(tmp_path):
    found = nsynth.catalogue(tree(tmp_path), target="pitch")
    assert found.labels.index("60") == 60


def test_a_note_without_qualities_is_a_negative_of_all(tmp_path):
    files = open_catalogue(
        nsynth.catalogue(tree(tmp_path), target="qualities"), sample_rate_hz=RATE_HZ
    )
    assert files.info.task == "multi_label" and len(files.info.labels) == 10
    assert "unlabelled" not in files.info.splits
    np.testing.assert_array_equal(files.labels[2], np.zeros(10))
    names = np.array(files.info.labels)
    assert list(names[files.labels[1] == 1]) == ["bright", "percussive"]


def test_missing_notes_and_splits_are_told(tmp_path):
    tree(tmp_path, notes=NOTES[:3], missing=["bass_synthetic_068-049-025"])
    found = nsynth.catalogue(tmp_path)
    assert found.skipped == (("bass_synthetic_068-049-025", "no such file"),)
    assert found.notes[1:] == ("nsynth-valid is not there", "nsynth-test is not there")
    assert "1 of 3 listed files" in found.notes[0]


def test_wrong_folders_options_and_lists(tmp_path):
    with pytest.raises(ValueError, match=r"for nsynth-train/examples.json or .*; found nothing"):
        nsynth.catalogue(tmp_path)
    with pytest.raises(ValueError, match="no such folder"):
        nsynth.catalogue(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match="target is 'timbre'; allowed: family, source"):
        nsynth.catalogue(tmp_path, target="timbre")
    tree(tmp_path, notes=[("train", "kazoo_acoustic_000", "kazoo", "acoustic", 60, 50, [])])
    with pytest.raises(ValueError, match="has the family kazoo; known are bass"):
        nsynth.catalogue(tmp_path)
    (tmp_path / "nsynth-train/examples.json").write_text("[1]")
    with pytest.raises(ValueError, match="not a list of notes"):
        nsynth.catalogue(tmp_path)


def test_opens(tmp_path):
    files = open_catalogue(nsynth.catalogue(tree(tmp_path)), sample_rate_hz=RATE_HZ)
    assert len(files) == 5 and files.info.group_kind == "instrument"
    assert files[3]["audio"].shape == (RATE_HZ // 2,)
    assert files.info.labels[files.labels[3]] == "vocal"
