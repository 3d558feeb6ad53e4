"""GiantSteps key: keys of two repositories, and the split by artists."""

import collections
import shutil

import pytest

from mclf_jax.data.readers import giantsteps_key
from mclf_jax.data.sources.files import open_catalogue
from tests.data.readers.trees import RATE_HZ, by_split, write_lines, write_tone

# track, artists, key, confidence; "Justice" is in valid by its hash, the others are in train.
TRACKS = [
    ("5061", "Philippe Van Mullem", "D# minor", "2"),
    ("5881", "Daft Punk, Orbital", "A major", "2"),
    ("6000", "Daft Punk", "C# major", "2"),
    ("7217", "Justice", "F minor", "2"),
    ("7218", "Moby, Justice", "F minor / C minor", "2"),
    ("7219", "Moby", "F minor", "2"),
    ("7220", "Aphex Twin", "F minor", "1"),
]
TEST = {"10089": "D minor\n", "1004923": "\tGb major", "999": "b minor"}


def tree(root, *, ends=("", ""), audio="own", tracks=TRACKS, test=TEST):
    train = root / f"giantsteps-mtg-key-dataset{ends[0]}"
    keys = root / f"giantsteps-key-dataset{ends[1]}"
    write_lines(
        train / "annotations/annotations.txt",
        "ID\tMANUAL KEY\tC",
        *(f"{track}\t{key}\t{sure}" for track, _, key, sure in tracks),
    )
    write_lines(
        train / "annotations/beatport_metadata.txt",
        "ID\tARTIST\tSONG TITLE\tBP GENRE\tBP KEY",
        *(f"{track}\t{artists}\tTitle\tTrance\tC major" for track, artists, *_ in tracks),
    )
    for track, *_ in tracks:
        folder = train if audio == "own" else root
        write_tone(folder / f"audio/{track}.LOFI.mp3")
    for track, key in test.items():
        write_lines(keys / f"annotations/key/{track}.LOFI.key", key)
        write_tone((keys if audio == "own" else root) / f"audio/{track}.LOFI.mp3")
    return root


@pytest.mark.parametrize(
    ("ends", "audio"), [(("", ""), "own"), (("-master", giantsteps_key._REVISIONS[1]), "together")]
)
def test_keys_and_the_split_by_artists_who_worked_together(tmp_path, ends, audio):
    found = giantsteps_key.catalogue(tree(tmp_path, ends=ends, audio=audio))
    assert found.task == "single_label" and len(found.labels) == 24
    assert {item.item_id: (item.labels[0], item.split) for item in found.items} == {
        "5061.LOFI": ("Eb minor", "train"),
        "5881.LOFI": ("A major", "train"),
        "6000.LOFI": ("Db major", "train"),
        "7217.LOFI": ("F minor", "valid"),
        "7219.LOFI": ("F minor", "valid"),  # with Justice once
        "1004923.LOFI": ("Gb major", "test"),
        "10089.LOFI": ("D minor", "test"),
        "999.LOFI": ("B minor", "test"),
    }
    assert found.items[1].group == "Daft Punk, Orbital"
    assert found.notes[0].startswith("2 tracks of giantsteps-mtg-key-dataset without one sure key")
    files = open_catalogue(found, sample_rate_hz=RATE_HZ)
    assert files.info.labels[files.labels[0]] == "Eb minor"


def test_one_part_alone_and_what_is_wrong(tmp_path):
    shutil.rmtree(tree(tmp_path) / "giantsteps-key-dataset")
    found = giantsteps_key.catalogue(tmp_path)
    assert by_split(found) == {"train": 3, "valid": 2}
    assert "giantsteps-key-dataset is not there" in found.notes
    with pytest.raises(ValueError, match="for giantsteps-mtg-key-dataset or .*; found annotations"):
        giantsteps_key.catalogue(tmp_path / "giantsteps-mtg-key-dataset/audio/..")
    tree(tmp_path, test={"1": "H major"})
    with pytest.raises(ValueError, match="1.LOFI.key: the key is 'H major'; it must be one such"):
        giantsteps_key.catalogue(tmp_path)


def test_sixteen_artists_in_116_are_in_valid():
    found = giantsteps_key._splits({str(n): (f"artist {n}",) for n in range(3000)})
    assert collections.Counter(found.values())["valid"] == pytest.approx(3000 * 16 / 116, rel=0.1)
