"""OpenMIC-2018: labels nobody was asked about stay unknown; the published partition."""

import json

import numpy as np
import pytest
import soundfile

from mclf_jax.data.readers import openmic
from mclf_jax.data.sources.files import open_catalogue
from tests.data.readers.trees import RATE_HZ, by_split, real_metadata, write_lines

NAMES = ("accordion", "banjo", "bass", "cello")
RELEVANCE = [
    ("000046_3840", "accordion", 0.9),
    ("000046_3840", "bass", 0.49),
    ("000135_483840", "banjo", 0.5),
    ("000139_119040", "banjo", 0.1),
    ("000178_3840", "cello", 1.0),
]
TRAIN, TEST = ["000046_3840", "000135_483840", "000139_119040"], ["000178_3840"]


def write_ogg(file, *, seconds=0.5):
    file.parent.mkdir(parents=True, exist_ok=True)
    sound = 0.1 * np.random.default_rng(0).standard_normal(int(seconds * RATE_HZ))
    soundfile.write(file, sound, RATE_HZ, format="OGG", subtype="VORBIS")


def tree(root, *, relevance=RELEVANCE, train=TRAIN, test=TEST, with_artists=True, missing=()):
    (root / "class-map.json").write_text(json.dumps({n: i for i, n in enumerate(NAMES)}))
    write_lines(
        root / "openmic-2018-aggregated-labels.csv",
        "sample_key,instrument,relevance,num_responses",
        *(f"{key},{instrument},{value},3" for key, instrument, value in relevance),
    )
    if with_artists:
        write_lines(
            root / "openmic-2018-metadata.csv",
            "sample_key,track_id,artist_id,license_title",
            *(f"{key},{int(key[:6])},{key[:5]},Attribution" for key in train + test),
        )
    write_lines(root / "partitions/split01_train.csv", *train)
    write_lines(root / "partitions/split01_test.csv", *test)
    for key in train + test:
        if key not in missing:
            write_ogg(root / "audio" / key[:3] / f"{key}.ogg")
    return root


def test_observed_and_there(tmp_path):
    found = openmic.catalogue(tree(tmp_path))
    assert found.task == "multi_label" and found.labels == NAMES
    assert [(item.item_id, item.labels, item.observed, item.split) for item in found.items] == [
        ("000046_3840", ("accordion",), ("accordion", "bass"), "train"),
        ("000135_483840", ("banjo",), ("banjo",), "train"),
        ("000139_119040", (), ("banjo",), "train"),
        ("000178_3840", ("cello",), ("cello",), "test"),
    ]
    assert found.items[0].columns == {"track_id": "000046"}
    assert found.items[0].licence == "Attribution"


def test_threshold_is_inclusive(tmp_path):
    tree(tmp_path)
    lower = openmic.catalogue(tmp_path, threshold=0.49)
    assert lower.items[0].labels == ("accordion", "bass")
    higher = openmic.catalogue(tmp_path, threshold=0.51)
    assert higher.items[1].labels == () and higher.items[1].observed == ("banjo",)


def test_groups_are_artists_where_they_are_known(tmp_path):
    artists = openmic.catalogue(tree(tmp_path))
    assert [item.group for item in artists.items] == ["00004", "00013", "00013", "00017"]
    assert artists.facts.group == "artist"
    (tmp_path / "openmic-2018-metadata.csv").unlink()
    tracks = openmic.catalogue(tmp_path)
    assert [item.group for item in tracks.items][:2] == ["track 000046", "track 000135"]
    assert tracks.facts.group == "track" and "groups are tracks" in tracks.notes[0]


def test_nothing_vanishes(tmp_path):
    extra = [*RELEVANCE, ("000999_0", "cello", 1.0)]
    tree(tmp_path, relevance=extra, test=[*TEST, "000312_184320"], missing=["000135_483840"])
    found = openmic.catalogue(tmp_path)
    assert found.skipped == (("000999_0", "in no partition"), ("000135_483840", "no such file"))
    assert "1 of 5 listed files" in found.notes[0]
    assert not found.items[-1].is_labelled  # 000312 is in a partition, and nobody was asked


def test_wrong_folders_and_options(tmp_path):
    with pytest.raises(ValueError, match="looked for class-map.json; found nothing"):
        openmic.catalogue(tmp_path)
    for threshold in (0, 1.5):
        with pytest.raises(ValueError, match="threshold is .*; it must be in"):
            openmic.catalogue(tmp_path, threshold=threshold)
    tree(tmp_path, train=TRAIN + TEST)
    with pytest.raises(ValueError, match="000178_3840 is in the other part too"):
        openmic.catalogue(tmp_path)
    tree(tmp_path, relevance=[("000046_3840", "kazoo", 1)])
    with pytest.raises(ValueError, match="line 2: instrument 'kazoo' with relevance '1'"):
        openmic.catalogue(tmp_path)
    tree(tmp_path, relevance=[("000046_3840", "banjo", "yes")])
    with pytest.raises(ValueError, match="relevance 'yes'"):
        openmic.catalogue(tmp_path)
    (tmp_path / "class-map.json").write_text('{"accordion": 0, "banjo": 2}')
    with pytest.raises(ValueError, match="numbers are not 0, 1, 2"):
        openmic.catalogue(tmp_path)


def test_real_class_map_and_partition(tmp_path, monkeypatch):
    source = real_metadata("openmic")
    (tmp_path / "partitions").mkdir()
    for split in ("train", "test"):
        name = f"split01_{split}.csv"
        (tmp_path / "partitions" / name).write_bytes((source / name).read_bytes())
    (tmp_path / "class-map.json").write_bytes((source / "class-map.json").read_bytes())
    write_lines(
        tmp_path / "openmic-2018-aggregated-labels.csv",
        "sample_key,instrument,relevance,num_responses",
        "000046_3840,voice,0.8,3",
    )
    monkeypatch.setattr(
        openmic.layout, "keep_existing", lambda items, **_: (tuple(items), ())
    )  # there is no audio
    found = openmic.catalogue(tmp_path)
    assert by_split(found) == {"train": 14915, "test": 5085}
    assert dict(openmic.FACTS.splits["default"]) == by_split(found)
    assert (
        len(found.labels) == 20 and found.labels[0] == "accordion" and found.labels[-1] == "voice"
    )
    groups = {
        split: {item.group for item in found.items if item.split == split}
        for split in ("train", "test")
    }
    assert not groups["train"] & groups["test"]
    assert len(groups["train"] | groups["test"]) == 20000  # one clip of each track
    assert len({item.item_id for item in found.items}) == 20000
    assert found.items[0].labels == ("voice",)


def test_opens_with_nan_where_nobody_was_asked(tmp_path):
    files = open_catalogue(openmic.catalogue(tree(tmp_path)), sample_rate_hz=RATE_HZ)
    np.testing.assert_array_equal(files.labels[0], [1, np.nan, 0, np.nan])
    np.testing.assert_array_equal(files.labels[2], [np.nan, 0, np.nan, np.nan])
    assert sorted(files.info.splits) == ["test", "train", "valid"]
    assert 0.4 * RATE_HZ < len(files[0]["audio"]) < 0.6 * RATE_HZ
