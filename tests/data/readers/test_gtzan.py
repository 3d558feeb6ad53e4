"""GTZAN: the published split, the corrupt file, the layouts people have."""

import pytest

from mclf_jax.data.readers import gtzan
from mclf_jax.data.sources.files import open_catalogue
from tests.data.readers.trees import by_split, real_metadata, write_lines, write_tone

TRAIN, VALID, TEST, IN_NO_LIST = "blues.00029", "blues.00000", "blues.00012", "reggae.00086"
PUBLISHED = {"train": 443, "valid": 197, "test": 290}


def tree(root, *names, folder="genres", suffix=".wav"):
    for name in names:
        write_tone(root / folder / name.split(".")[0] / f"{name}{suffix}")
    return root


def test_the_split_is_the_published_one():
    folder = real_metadata("gtzan")
    split_of = gtzan.fault_filtered_split()
    for split, count in PUBLISHED.items():
        lines = (folder / f"{split}_filtered.txt").read_text().split()
        ours = [f"{name.split('.')[0]}/{name}.wav" for name, s in split_of.items() if s == split]
        assert len(lines) == count
        assert sorted(ours) == sorted(lines)
    assert dict(gtzan.FACTS.splits["split=fault_filtered"]) == PUBLISHED


@pytest.mark.parametrize("folder", ["genres", "genres_original", "Data/genres_original", "."])
@pytest.mark.parametrize("suffix", [".wav", ".au"])
def test_layouts(tmp_path, folder, suffix):
    found = gtzan.catalogue(
        tree(tmp_path, TRAIN, VALID, TEST, IN_NO_LIST, folder=folder, suffix=suffix)
    )
    assert [(item.item_id, item.split, item.labels) for item in found.items] == [
        (VALID, "valid", ("blues",)),
        (TEST, "test", ("blues",)),
        (TRAIN, "train", ("blues",)),
    ]
    assert found.labels[0] == "blues" and len(found.labels) == 10
    assert len({item.group for item in found.items}) == 3


def test_nothing_vanishes(tmp_path):
    tree(tmp_path, TRAIN, "jazz.00054", IN_NO_LIST, "blues.00100")
    write_lines(tmp_path / "genres/blues/._blues.00000.wav", "a Mac's companion file")
    found = gtzan.catalogue(tmp_path)
    reasons = dict(found.skipped)
    assert "corrupt" in reasons["jazz.00054"]
    assert reasons[IN_NO_LIST] == "left out by the fault-filtered split"
    assert reasons["blues/blues.00100.wav"] == "not a file of GTZAN"
    assert reasons[TEST] == "no such file"
    # a thousand, one more that is not GTZAN's
    assert len(found.items) + len(found.skipped) == 1001
    assert sum(reason.startswith("left out") for reason in reasons.values()) == 70
    assert any("928 of 929" in note for note in found.notes)


def test_without_split_all_thousand_are_taken_and_artists_are_mentioned(tmp_path):
    found = gtzan.catalogue(tree(tmp_path, TRAIN, IN_NO_LIST), split="none")
    assert [item.item_id for item in found.items] == [TRAIN, IN_NO_LIST]
    assert set(by_split(found)) == {""}
    assert any("artists repeat" in note for note in found.notes)


def test_errors(tmp_path):
    write_tone(tmp_path / "songs/a.wav")
    with pytest.raises(ValueError, match=r"genres_original/blues.*found songs/"):
        gtzan.catalogue(tmp_path)
    with pytest.raises(ValueError, match="no such folder"):
        gtzan.catalogue(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="split is .*; allowed: fault_filtered, none"):
        gtzan.catalogue(tmp_path, split="artist")
    (tmp_path / "genres/blues").mkdir(parents=True)
    with pytest.raises(ValueError, match="no audio of GTZAN"):
        gtzan.catalogue(tmp_path)


def test_audio_is_read(tmp_path):
    tree(tmp_path, TRAIN, VALID, TEST, "rock.00000", suffix=".au")
    source = open_catalogue(gtzan.catalogue(tmp_path), sample_rate_hz=4000)
    assert {name: len(found) for name, found in source.info.splits.items()} == {
        "train": 2,
        "valid": 1,
        "test": 1,
    }
    assert source[0]["audio"].shape == (2000,)
    assert source.info.labels[source[3]["label"]] == "rock"
