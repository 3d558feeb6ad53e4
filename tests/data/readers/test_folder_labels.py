"""A folder whose labels and their order a published list decides."""

import csv

import numpy as np
import pytest
import soundfile

from mclf_jax import data
from mclf_jax.data.catalogue.label_lists import LABEL_LISTS

GTZAN = LABEL_LISTS["gtzan"].labels


def _songs(root, rows):
    """A folder with a song for each row of its manifest."""
    for seed, row in enumerate(rows):
        file = root / row["path"]
        file.parent.mkdir(parents=True, exist_ok=True)
        noise = 0.1 * np.random.default_rng(seed).standard_normal(2000)
        soundfile.write(file, noise, 8000)
    with (root / "manifest.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return root


def _open(root, **arguments):
    return data.build("folder", path=root, sample_rate_hz=8000, progress="off", **arguments)


def _split(count):
    return (["train"] * 4 + ["valid"] * 2 + ["test"] * 2)[count % 8]


def test_tags_in_the_order_of_the_list(tmp_path):
    tags = ["zither|guitar|slow", "slow", "voice|zither", "metal|fiddle"]
    rows = [{"path": f"{i}.wav", "labels": tags[i % 4], "split": _split(i)} for i in range(8)]
    rows.append({"path": "other.wav", "labels": "zither|fiddle", "split": "train"})
    rows.append({"path": "new.wav", "labels": "zither", "split": "unlabelled"})
    info = _open(_songs(tmp_path, rows), labels="mtat").info
    assert (info.task, info.labels) == ("multi_label", LABEL_LISTS["mtat"].labels)
    source = _open(tmp_path, labels="mtat")
    hot = {
        source.item_id(i): [info.labels[k] for k in np.flatnonzero(source.labels[i])]
        for i in range(len(source))
    }
    assert [hot[f"{i}.wav"] for i in range(4)] == [
        ["guitar", "slow"],
        ["slow"],
        ["voice"],
        ["metal"],
    ]
    assert hot["new.wav"] == []
    assert dict(info.skipped) == {"other.wav": "no label of the list 'mtat', only fiddle, zither"}
    assert info.notes == (
        "labels that the list 'mtat' has not, dropped: zither (5 files), fiddle (3 files)",
        "46 of 50 labels have no file and stay as outputs: classical, techno, strings, drums,"
        " electronic, and 41 more",
    )


def test_the_order_decides_the_column(tmp_path):
    rows = [
        {"path": f"{i}.wav", "labels": ("metal", "female voice")[i % 2], "split": _split(i)}
        for i in range(8)
    ]
    root = _songs(tmp_path, rows)
    ours, theirs = _open(root, labels="mtat"), _open(root, labels="mtat_jongpillee")
    assert [int(ours.labels[i].argmax()) for i in range(2)] == [47, 48]
    assert [int(theirs.labels[i].argmax()) for i in range(2)] == [48, 47]
    assert len({s.info.fingerprint for s in (ours, theirs, _open(root))}) == 3


def test_one_label_of_many(tmp_path):
    rows = [
        {"path": f"{label}/{i}.wav", "label": label, "split": _split(i)}
        for label in ("rock", "jazz", "Rock")
        for i in range(8)
    ]
    root = _songs(tmp_path, rows)
    source = _open(root, labels="gtzan")
    assert (source.info.task, source.info.labels) == ("single_label", GTZAN)
    assert len(source) == 16
    assert {int(source.labels[i]) for i in range(16)} == {GTZAN.index("jazz"), GTZAN.index("rock")}
    assert source.info.notes[0].endswith("'gtzan' has not, dropped: Rock (8 files)")
    assert source.info.notes[1].startswith("8 of 10 labels have no file and stay as outputs: blues")
    # The same from subfolders, where splits are made.
    (root / "manifest.csv").unlink()
    bare = _open(root, labels="gtzan")
    np.testing.assert_array_equal(bare.labels, source.labels)
    assert bare.info.labels == GTZAN


def test_labels_that_only_the_test_split_has(tmp_path):
    rows = [{"path": f"{i}.wav", "label": "rock", "split": _split(i)} for i in range(8)]
    rows[7]["label"] = "jazz"
    notes = _open(_songs(tmp_path, rows), labels="gtzan").info.notes
    assert notes[1:] == (
        "labels that valid or test has and train has not, so cannot be learnt: jazz",
    )


@pytest.mark.parametrize(
    ("column", "arguments", "message"),
    [
        ("label", {"labels": "gtzann"}, "label list is 'gtzann'; allowed: mtat"),
        (
            "label",
            {"labels": "mtat", "task": "single_label"},
            "'mtat' is a list for the task 'multi",
        ),
        ("labels", {"labels": "gtzan"}, "columns path, labels; it needs label"),
        ("x", {"labels": "mtat", "targets": "x|y"}, "targets='x.y' are for regression"),
        ("label", {"labels": "gtzan"}, "is usable: 0.wav: no label of the list 'gtzan', only 1"),
    ],
)
def test_lists_that_do_not_fit(tmp_path, column, arguments, message):
    with pytest.raises(ValueError, match=message):
        _open(_songs(tmp_path, [{"path": "0.wav", column: "1"}]), **arguments)
