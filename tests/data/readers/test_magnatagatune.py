"""MagnaTagATune: both splits, both orders, the empty MP3s, the real lists of the split of 2020."""

import collections

import numpy as np
import pytest

from mclf_jax.data.catalogue.label_lists import label_list
from mclf_jax.data.readers import magnatagatune
from mclf_jax.data.sources.files import open_catalogue
from tests.data.readers.trees import by_split, real_metadata, write_lines, write_tone

TOP50 = label_list("mtat").labels
ALL = ("singer", *reversed(TOP50), "space")  # as the file has them: rare ones, in no order
EMPTY = "6/norine_braun-now_and_zen-08-gently-117-146.mp3"
CLIPS = {
    "0/bach_soloists-cantatas-01-aria-30-59.mp3": ("strings", "space", "classical"),
    "0/bach_soloists-cantatas-01-aria-59-88.mp3": ("strings",),
    "b/rapoon-cidar-02-the_same_river-0-29.mp3": ("female voice", "metal"),
    "c/lvx_nova-lvx_nova-01-contimune-30-59.mp3": ("ambient",),
    "c/lvx_nova-lvx_nova-01-contimune-59-88.mp3": ("space",),
    "f/jackalopes-jacksploitation-12-rotgut-0-29.mp3": ("rock", "guitar"),
    EMPTY: ("guitar",),
}


def tree(root, *, folder="", clip_info="yes", audio=tuple(CLIPS)):
    def row(*cells):
        return "\t".join(f'"{cell}"' for cell in cells)

    rows = [
        row(10 * i, *(int(name in tags) for name in ALL), path)
        for i, (path, tags) in enumerate(CLIPS.items())
    ]
    write_lines(root / "annotations_final.csv", row("clip_id", *ALL, "mp3_path"), *rows)
    if clip_info == "yes":
        header = ("clip_id", "track_number", "title", "artist", "album", "url", "segmentStart")
        write_lines(
            root / "clip_info_final.csv",
            row(*header, "segmentEnd", "original_url", "mp3_path"),
            row(0, 1, "Aria", "Bach Soloists", "Cantatas", "u", 30, 59, "o", next(iter(CLIPS))),
            row(7, 1, "No MP3 was made", "Rapoon", "Cidar", "u", 30, 59, "", ""),
        )
    for path in audio:
        write_tone(root / folder / path)
    return root


def test_the_real_lists_agree_with_the_rule_and_the_order():
    folder = real_metadata("magnatagatune")
    assert tuple(np.load(folder / "tags.npy").tolist()) == TOP50
    published = magnatagatune.FACTS.splits["split=won2020"]
    albums, artists = collections.defaultdict(set), collections.defaultdict(set)
    for split in ("valid", "test"):
        paths = [row.split("\t")[1] for row in np.load(folder / f"{split}.npy").tolist()]
        assert len(paths) == published[split]
        for path in paths:
            assert magnatagatune._SPLIT_OF_FOLDER[path[0]] == split
            assert int(magnatagatune._columns(path, {})["segment_end_s"]) > 0
            albums[magnatagatune._album(path)].add(split)
            artists[magnatagatune._columns(path, {})["artist"]].add(split)
    # what the split keeps apart, and what it does not (FACTS.faults)
    assert all(len(found) == 1 for found in albums.values())
    assert sum(len(found) == 2 for found in artists.values()) == 8
    counts = magnatagatune.FACTS.splits["split=pons"]
    assert sum(counts.values()) + len(magnatagatune._EMPTY) == 25863


@pytest.mark.parametrize("folder", ["", "mp3", "raw", "audio"])
def test_won2020_leaves_untagged_clips_out(tmp_path, folder):
    found = magnatagatune.catalogue(tree(tmp_path, folder=folder))
    assert by_split(found) == {"train": 3, "valid": 1, "test": 1}
    assert found.labels == TOP50
    assert found.items[0].labels == ("classical", "strings")
    assert dict(found.skipped) == {
        EMPTY: "the distributed MP3 is empty",
        "c/lvx_nova-lvx_nova-01-contimune-59-88.mp3": "none of the 50 most frequent tags",
    }


def test_pons_keeps_them_as_negatives(tmp_path):
    found = magnatagatune.catalogue(tree(tmp_path), split="pons")
    assert by_split(found) == {"train": 3, "valid": 2, "test": 1}
    untagged = found.items[4]
    assert untagged.labels == () and untagged.is_labelled
    source = open_catalogue(found, sample_rate_hz=4000)
    np.testing.assert_array_equal(source.labels[4], np.zeros(50))
    assert len(source.info.splits["valid"]) == 2


def test_label_orders(tmp_path):
    tree(tmp_path)
    metal = "b/rapoon-cidar-02-the_same_river-0-29.mp3"
    for order, name in (("won2020", "mtat"), ("jongpillee", "mtat_jongpillee")):
        found = magnatagatune.catalogue(tmp_path, label_order=order)
        assert found.labels == label_list(name).labels
        item = next(item for item in found.items if item.item_id == metal)
        assert item.labels == found.labels[47:49]
    found = magnatagatune.catalogue(tmp_path, labels="all")
    assert found.labels == ALL
    assert "space" in found.items[0].labels
    assert len(found.items) == 5  # the split is still that of the 50 tags


def test_groups_are_albums_and_columns_name_the_music(tmp_path):
    first, second = magnatagatune.catalogue(tree(tmp_path)).items[:2]
    assert first.group == second.group == "bach_soloists-cantatas"
    assert first.columns["artist"] == "Bach Soloists"  # of clip_info_final.csv
    assert second.columns["artist"] == "bach_soloists"  # of the file name
    assert first.columns["clip_id"] == "0" and first.columns["segment_start_s"] == "30"


def test_missing_audio_is_listed_and_clip_info_is_optional(tmp_path):
    tree(tmp_path, clip_info="no", audio=list(CLIPS)[:2])
    found = magnatagatune.catalogue(tmp_path)
    assert len(found.items) == 2
    assert [reason for _, reason in found.skipped].count("no such file") == 3
    assert any("3 of 5" in note for note in found.notes)


def test_errors(tmp_path):
    with pytest.raises(ValueError, match="looked for annotations_final.csv; found nothing"):
        magnatagatune.catalogue(tmp_path)
    file = tree(tmp_path, audio=()) / "annotations_final.csv"
    with pytest.raises(ValueError, match=r"folders 0 to f there and in mp3.*annotations_final"):
        magnatagatune.catalogue(tmp_path)
    write_tone(tmp_path / "0/other.mp3")
    with pytest.raises(ValueError, match=r"looked for 5 files, such as .*0/bach_soloists"):
        magnatagatune.catalogue(tmp_path)
    for option, value in (("split", "random"), ("labels", "top100"), ("label_order", "mtat")):
        with pytest.raises(ValueError, match=f"{option} is .*; allowed: "):
            magnatagatune.catalogue(tmp_path, **{option: value})
    with pytest.raises(ValueError, match="leave label_order out"):
        magnatagatune.catalogue(tmp_path, labels="all", label_order="jongpillee")
    good = file.read_text()
    file.write_text(good.replace('"1"', '"x"', 1))
    with pytest.raises(ValueError, match="line 2: .* is 'x'; it must be 0 or 1"):
        magnatagatune.catalogue(tmp_path)
    file.write_text(good.replace('"c/lvx', '"z/lvx', 1))
    with pytest.raises(ValueError, match="line 5: mp3_path is 'z/lvx"):
        magnatagatune.catalogue(tmp_path)
    file.write_text(good.replace('"metal"', '"heavy"'))
    with pytest.raises(ValueError, match="has no column metal"):
        magnatagatune.catalogue(tmp_path)


def test_audio_is_read(tmp_path):
    source = open_catalogue(magnatagatune.catalogue(tree(tmp_path)), sample_rate_hz=4000)
    assert abs(source[4]["audio"]).max() > 0.3
    assert source[4]["label"].sum() == 2
    assert len(source) == 5
