"""IRMAS: labels in file names for training, in text files for testing."""

import pytest

from mclf_jax.data.readers import irmas
from mclf_jax.data.sources.files import open_catalogue
from tests.data.readers.trees import RATE_HZ, by_split, write_lines, write_tone

TRAINING = [
    "cel/008__[cel][nod][cla]0058__1.wav",
    "cel/008__[cel][nod][cla]0058__2.wav",
    "cla/[cla][cla]0189__2.wav",
    "voi/[voi][dru][pop_roc]2463__1.wav",
]
TESTING = {
    "IRMAS-TestingData-Part1/Part1/02 - And The Body Will Die-8": ["gel", "voi"],
    "IRMAS-TestingData-Part1/Part1/02 - And The Body Will Die-9": ["voi"],
    "IRMAS-TestingData-Part2/IRTestingData-Part2/(02) dont kill the whale-1": ["org"],
    "IRMAS-TestingData-Part3/Part3/1992 - Autumn-3": ["sax", "pia"],
}


def tree(root, *, training=TRAINING, testing=TESTING):
    for name in training:
        write_tone(root / "IRMAS-TrainingData" / name)
    for name, codes in testing.items():
        write_tone(root / f"{name}.wav")
        # tabs at the end of lines, as in the original
        write_lines(root / f"{name}.txt", *(f"{code}\t" for code in codes))
    return root


def test_training_names_and_test_annotations(tmp_path):
    found = irmas.catalogue(tree(tmp_path))
    assert found.task == "multi_label" and len(found.labels) == 11
    assert found.labels[3:5] == ("acoustic guitar", "electric guitar")
    assert [item.labels for item in found.items] == [
        *(("cello",), ("cello",), ("clarinet",), ("voice",)),
        *(("electric guitar", "voice"), ("voice",), ("organ",), ("piano", "saxophone")),
    ]
    assert by_split(found) == {"train": 4, "test": 4}
    assert [dict(item.columns) for item in found.items[1:4]] == [
        {"genre": "classical", "drums": "no"},
        {"genre": "classical", "drums": ""},
        {"genre": "pop-rock", "drums": "yes"},
    ]
    assert found.items[0].item_id == "IRMAS-TrainingData/" + TRAINING[0]


def test_excerpts_of_a_recording_are_a_group(tmp_path):
    groups = [item.group for item in irmas.catalogue(tree(tmp_path)).items]
    assert groups[0] == groups[1] == "training recording 0058"
    assert groups[4] == groups[5] == "test recording 02 - And The Body Will Die"
    assert len(set(groups)) == 6


def test_nothing_vanishes(tmp_path):
    tree(tmp_path, testing=dict(list(TESTING.items())[:2]))
    names = list(TESTING)
    (tmp_path / f"{names[0]}.wav").unlink()
    (tmp_path / f"{names[1]}.txt").unlink()
    write_lines(tmp_path / "IRMAS-TestingData-Part1/README.txt", "What this is")
    write_lines(tmp_path / "IRMAS-TrainingData/cel/._[cel][cla]0001__1.wav", "a Mac's companion")
    found = irmas.catalogue(tmp_path)
    assert found.skipped == (
        (f"{names[1]}.wav", "no annotation (.txt) beside it"),
        (f"{names[0]}.wav", "no such file"),
    )
    assert found.notes == (
        "4 of the 6705 published files of train are here",
        "0 of the 2874 published files of test are here",
    )


@pytest.mark.parametrize(
    "name", ["cel/[cla][cla]0001__1.wav", "cel/0001.wav", "cel/[cel][polka]0001__1.wav"]
)
def test_other_names_in_training_folders_are_refused(tmp_path, name):
    tree(tmp_path, training=[name])
    with pytest.raises(ValueError, match=r"is called like \[cel\]\[pop_roc\]0001__1.wav"):
        irmas.catalogue(tmp_path)


def test_wrong_folders_and_annotations(tmp_path):
    with pytest.raises(ValueError, match="looked for IRMAS-TrainingData or TrainingData"):
        irmas.catalogue(tmp_path)
    (tmp_path / "IRMAS-TrainingData/rock").mkdir(parents=True)
    with pytest.raises(ValueError, match=r"looked for .wav files in cel.*found rock/"):
        irmas.catalogue(tmp_path)
    tree(tmp_path, testing={"IRMAS-TestingData-Part1/Part1/a-1": ["cel", "kazoo"]})
    with pytest.raises(ValueError, match="each line must be one of cel.*got kazoo"):
        irmas.catalogue(tmp_path)


def test_opens(tmp_path):
    files = open_catalogue(irmas.catalogue(tree(tmp_path)), sample_rate_hz=RATE_HZ)
    assert len(files) == 8 and files.info.group_kind == "recording"
    train = {files.info.groups[i] for i in files.info.splits["train"]}
    assert not train & {files.info.groups[i] for i in files.info.splits["valid"]}
    assert files[4]["audio"].shape == (RATE_HZ // 2,)
    assert [files.info.labels[k] for k in files.labels[4].nonzero()[0]] == [
        *("electric guitar", "voice"),
    ]
