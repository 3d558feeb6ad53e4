"""What is said of few songs: numbers of songs that there are, a table, a picture."""

import numpy as np
import pytest
import soundfile

from benchmarks.few_songs import draw, few_songs, has_so_many, table

RUNS = {
    20: [{"recipe": 0.5, "network alone": 0.4, "MFCC and SVM": 0.3}] * 3,
    60: [{"recipe": r, "network alone": 0.5, "MFCC and SVM": 0.6} for r in (0.6, 0.7, 0.8)],
}


@pytest.fixture
def folder(tmp_path):
    for label in ("a", "b"):
        (tmp_path / label).mkdir()
        for k in range(15):
            soundfile.write(
                tmp_path / label / f"{k}.wav", np.sin(np.arange(2000) * (k + 1) / 50), 8000
            )
    return tmp_path


def test_songs_to_learn_from_are_of_all_labels_and_in_no_test(folder):
    source = few_songs(sample_rate_hz=8000, path=str(folder), songs=10, seed=0)
    splits = source.info.splits
    assert [len(splits[name]) for name in ("train", "valid", "test")] == [8, 2, 10]
    assert len(np.unique(np.concatenate(list(splits.values())))) == 20
    learnt = np.concatenate([splits["train"], splits["valid"]])
    assert np.bincount(source.labels[learnt]).tolist() == [5, 5]
    assert has_so_many(folder, songs=20, seed=0) and not has_so_many(folder, songs=21, seed=0)
    rows = [f"{label}/{k}.wav,{label},{'xy'[k % 2]}" for label in "ab" for k in range(10)]
    (folder / "manifest.csv").write_text("\n".join(["path,label,group", *rows]))
    assert not has_so_many(folder, songs=20, seed=0)  # with two groups there is none for the test


def test_groups_stay_whole_and_may_leave_a_few_songs_out(folder):
    rows = [f"{label}/{k}.wav,{label},{label}{k // 5}" for label in "ab" for k in range(15)]
    (folder / "manifest.csv").write_text("\n".join(["path,label,group", *rows]))
    source = few_songs(sample_rate_hz=8000, path=str(folder), songs=13, seed=0)
    groups, splits = np.array(source.info.groups), source.info.splits
    assert sum(len(splits[name]) for name in ("train", "valid")) == 10
    assert len(splits["valid"]) == 5
    seen = [set(groups[songs]) for songs in splits.values()]
    assert sum(map(len, seen)) == len(set.union(*seen)) == 4
    assert has_so_many(folder, songs=13, seed=0)
    assert not has_so_many(folder, songs=9, seed=0)  # of which one group would be all


def test_the_table_has_means_and_differences_by_seed():
    rows = [line.split(" | ") for line in table(RUNS).splitlines()]
    assert rows[2] == [
        "| 20",
        *("0.500 ± 0.000", "0.400 ± 0.000", "0.300 ± 0.000"),
        *("+0.200 ± 0.000", "+0.100 ± 0.000 |"),
    ]
    assert rows[3][1].startswith("0.700 ± 0.") and rows[3][4].startswith("+0.100 ± 0.")


def test_the_picture_has_a_panel_for_each_folder():
    figure = draw({"one": RUNS, "two": RUNS})
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["one", "two"]
    lines = {line.get_label(): line.get_ydata() for line in figure.axes[1].lines}
    for name, expected in {
        "recipe": [0.5, 0.7],
        "network alone": [0.4, 0.5],
        "MFCC and SVM": [0.3, 0.6],
    }.items():
        np.testing.assert_allclose(lines[name], expected)
