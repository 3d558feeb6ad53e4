"""AudioSet: the real ontology, its music branch, segments, and the names audio is kept under."""

import json

import pytest

from mclf_jax.data.readers import audioset
from mclf_jax.data.sources.files import open_catalogue
from tests.data.readers.trees import RATE_HZ, by_split, real_metadata, write_lines, write_tone

HEADER = (
    "# Segments csv created Sun Mar  5 10:54:31 2017",
    "# num_ytids=22160, num_segs=22160, num_unique_labels=527, num_positive_labels=52882",
    "# YTID, start_seconds, end_seconds, positive_labels",
)
# name, id, children, restrictions
ONTOLOGY = [
    ("Human sounds", "/m/h", ["/m/sing"], []),
    ("Singing", "/m/sing", ["/m/choir"], []),
    ("Music", "/m/04rlf", ["/m/inst", "/m/genre"], []),
    ("Musical instrument", "/m/inst", ["/m/choir", "/m/guitar"], []),
    ("Choir", "/m/choir", [], []),
    ("Guitar", "/m/guitar", ["/m/bass", "/m/solo"], []),
    ("Bass guitar", "/m/bass", [], []),
    ("Guitar solo", "/m/solo", [], ["blacklist"]),
    ("Music genre", "/m/genre", ["/m/pop"], ["abstract"]),
    ("Pop music", "/m/pop", [], []),
    ("Onomatopoeia", "/m/ono", [], ["abstract"]),
]
TRAIN = [
    ("--PJHxphWEs", 30.0, 40.0, "/m/bass,/m/04rlf"),
    ("-0049e_abcd", 0.0, 10.0, "/m/pop,/m/sing"),
    ("-1111111111", 5.0, 15.0, "/m/choir"),
    ("-2222222222", 5.0, 15.0, "/m/h"),
]
EVAL = [("Yabcdefghij", 20.0, 30.0, "/m/guitar,/m/solo")]


def tree(root, *, audio, ontology=ONTOLOGY):
    entries = [
        {"name": name, "id": mid, "child_ids": children, "restrictions": restrictions}
        for name, mid, children, restrictions in ontology
    ]
    (root / "ontology.json").write_text(json.dumps(entries))
    for part, segments in (("balanced_train", TRAIN), ("eval", EVAL)):
        lines = [f'{v}, {start:.3f}, {end:.3f}, "{ids}"' for v, start, end, ids in segments]
        write_lines(root / f"{part}_segments.csv", *HEADER, *lines)
    for name in audio:
        write_tone(root / name)
    return root


ALL_AUDIO = [
    "audio/--PJHxphWEs_30.000_40.000.wav",
    "audio/Y-0049e_abcd.flac",
    "audio/-1111111111_5000_15000.wav",
    "audio/-2222222222.mp3",
    "eval/Yabcdefghij_20.wav",
]


def test_music_without_its_ancestors_is_the_default(tmp_path):
    found = audioset.catalogue(tree(tmp_path, audio=ALL_AUDIO))
    assert found.task == "multi_label" and not found.parents and not found.skipped
    # in the order of the ontology, without what is abstract or blacklisted
    assert found.labels == (
        *("Music", "Musical instrument", "Choir", "Guitar", "Bass guitar", "Pop music"),
    )
    assert [(item.item_id, item.split, item.labels, item.group) for item in found.items] == [
        ("--PJHxphWEs_30_40", "train", ("Bass guitar", "Music"), "--PJHxphWEs"),
        ("-0049e_abcd_0_10", "train", ("Pop music",), "-0049e_abcd"),
        ("-1111111111_5_15", "train", ("Choir",), "-1111111111"),
        ("Yabcdefghij_20_30", "test", ("Guitar",), "Yabcdefghij"),
    ]
    assert [item.file for item in found.items] == [
        str(tmp_path / name) for name in ALL_AUDIO if "-222" not in name
    ]


def test_hierarchy_holds_only_what_is_certain(tmp_path):
    found = audioset.catalogue(tree(tmp_path, audio=ALL_AUDIO), branch="all", labels="hierarchy")
    assert found.parents == {
        "Singing": "Human sounds",
        "Musical instrument": "Music",
        "Guitar": "Musical instrument",
        "Bass guitar": "Guitar",
        "Pop music": "Music",  # what lies between is no label
    }  # and a choir may be an instrument or a kind of singing
    labels = {item.item_id: set(item.labels) for item in found.items}
    assert labels["--PJHxphWEs_30_40"] == {"Bass guitar", "Guitar", "Musical instrument", "Music"}
    assert labels["-0049e_abcd_0_10"] == {"Pop music", "Music", "Singing", "Human sounds"}
    assert labels["-1111111111_5_15"] == {"Choir"}
    assert by_split(found) == {"train": 4, "test": 1}
    assert found.notes == ("1 segments have tags that are not among the 8 labels",)


def test_the_list_of_labels_decides_which_and_in_which_order(tmp_path):
    tree(tmp_path, audio=ALL_AUDIO)
    write_lines(
        tmp_path / "metadata/class_labels_indices.csv",
        "index,mid,display_name",
        '0,/m/solo,"Guitar_solo"',
        '1,/m/guitar,"Guitar"',
        '2,/m/04rlf,"Music"',
        '3,/m/h,"Human sounds"',
    )
    found = audioset.catalogue(tmp_path)
    assert found.labels == ("Guitar solo", "Guitar", "Music")
    assert [item.labels for item in found.items] == [("Music",), ("Guitar", "Guitar solo")]


def test_labels_that_are_too_often_wrong_are_left_out(tmp_path):
    tree(tmp_path, audio=ALL_AUDIO)
    counts = "/m/04rlf,10,10", "/m/guitar,10,4", "/m/bass,10,7", "/m/pop,0,0"
    file = write_lines(tmp_path / "qa_true_counts.csv", "label_id,num_rated,num_true", *counts)
    assert audioset.label_quality(file) == {"/m/04rlf": 1, "/m/guitar": 0.4, "/m/bass": 0.7}
    found = audioset.catalogue(tmp_path, min_quality=0.5)
    assert found.labels == ("Music", "Musical instrument", "Choir", "Bass guitar", "Pop music")
    assert "1 of 6 labels are right in fewer than 0.5 of their rated segments" in found.notes[-1]
    assert found.notes[-1].endswith("3 that nobody rated stay")
    assert "Yabcdefghij_20_30" not in [item.item_id for item in found.items]
    write_lines(file, "label_id,num_rated,num_true", "/m/bass,10,17")
    with pytest.raises(ValueError, match="line 2: num_rated or num_true: more are true"):
        audioset.catalogue(tmp_path, min_quality=0.5)
    with pytest.raises(ValueError, match="min_quality is 2"):
        audioset.catalogue(tmp_path, min_quality=2.0)


@pytest.mark.parametrize(
    "name",
    [
        "--PJHxphWEs.wav",
        "Y--PJHxphWEs.wav",
        "--PJHxphWEs_30.wav",
        "--PJHxphWEs_30.000.wav",
        "Y--PJHxphWEs_30_40.mp3",
        "a/b/--PJHxphWEs_30000_40000.flac",
    ],
)
def test_names_of_audio(tmp_path, name):
    found = audioset.catalogue(tree(tmp_path, audio=[name]))
    assert [item.file for item in found.items] == [str(tmp_path / name)]
    assert [item for item, _ in found.skipped] == [
        *("-0049e_abcd_0_10", "-1111111111_5_15", "Yabcdefghij_20_30"),
    ]
    assert "3 of 4 listed files" in found.notes[0]


def test_another_segment_of_a_video_is_not_taken(tmp_path):
    found = audioset.catalogue(
        tree(tmp_path, audio=["--PJHxphWEs_130_140.wav", "Y-0049e_abcd.wav"])
    )
    assert [item.group for item in found.items] == ["-0049e_abcd"]


def test_train_may_be_several_tables(tmp_path):
    tree(tmp_path, audio=[*ALL_AUDIO, "zzzzzzzzzzz.wav"])
    write_lines(
        tmp_path / "unbalanced_train_segments.csv", *HEADER, 'zzzzzzzzzzz, 0.000, 7.500, "/m/pop"'
    )
    unbalanced = audioset.catalogue(tmp_path, train="unbalanced")
    assert [item.item_id for item in unbalanced.items] == [
        *("zzzzzzzzzzz_0_7.5", "Yabcdefghij_20_30"),
    ]
    assert by_split(audioset.catalogue(tmp_path, train="both")) == {"train": 4, "test": 1}


def test_wrong_folders_and_options(tmp_path):
    with pytest.raises(ValueError, match="looked for ontology.json or metadata/ontology.json"):
        audioset.catalogue(tmp_path)
    tree(tmp_path, audio=[])
    with pytest.raises(ValueError, match="no audio of AudioSet .* such as --PJHxphWEs_30_40.wav"):
        audioset.catalogue(tmp_path)
    with pytest.raises(ValueError, match="looked for unbalanced_train_segments.csv"):
        audioset.catalogue(tmp_path, train="unbalanced")
    for option in ("branch", "train", "labels"):
        with pytest.raises(ValueError, match=f"{option} is 'everything'; allowed: "):
            audioset.catalogue(tmp_path, **{option: "everything"})
    write_lines(tmp_path / "balanced_train_segments.csv", *HEADER, "x, 1, 2, /m/a,/m/b")
    with pytest.raises(ValueError, match="line 4: needed are video, start"):
        audioset.catalogue(tmp_path)
    write_lines(tmp_path / "ontology.json", '{"id": 3}')
    with pytest.raises(ValueError, match="is not the ontology of AudioSet"):
        audioset.catalogue(tmp_path)


def real_tree(root):
    """The real ontology with two segments, one of music and one not."""
    source = real_metadata("audioset") / "ontology.json"
    (root / "ontology.json").write_bytes(source.read_bytes())
    rows = ('aaaaaaaaaaa, 0.000, 10.000, "/m/02sgy"', 'bbbbbbbbbbb, 0.000, 10.000, "/m/09x0r"')
    for part in ("balanced_train", "eval"):
        write_lines(root / f"{part}_segments.csv", *HEADER, *rows)
    for name in ("aaaaaaaaaaa", "bbbbbbbbbbb"):
        write_tone(root / f"{name}.wav")
    return root


def test_real_ontology(tmp_path):
    real_tree(tmp_path)
    entries = json.loads((tmp_path / "ontology.json").read_text())
    assert len(entries) == 632
    music = audioset.catalogue(tmp_path, labels="hierarchy")
    everything = audioset.catalogue(tmp_path, branch="all", labels="hierarchy")
    restricted = {entry["name"] for entry in entries if entry["restrictions"]}
    assert len(everything.labels) == 543 == 632 - len(restricted)
    assert len(music.labels) == 152 and set(music.labels) < set(everything.labels)
    assert not restricted & set(everything.labels)
    assert {"Music", "Jazz", "Happy music", "Piano"} <= set(music.labels)
    assert "Speech" not in music.labels
    assert [len(found.items) for found in (music, everything)] == [2, 4]
    assert set(music.items[0].labels) == {
        *("Electric guitar", "Guitar", "Plucked string instrument", "Musical instrument", "Music"),
    }


def test_real_hierarchy_is_a_forest_of_what_the_ontology_says(tmp_path):
    found = audioset.catalogue(real_tree(tmp_path), branch="all", labels="hierarchy")
    entries = {e["id"]: e for e in json.loads((tmp_path / "ontology.json").read_text())}
    below = {}  # by name, everything below an entry

    def descend(mid):
        names = {name for child in entries[mid]["child_ids"] for name in descend(child)}
        below.setdefault(entries[mid]["name"], set()).update(names)
        return names | {entries[mid]["name"]}

    for mid in entries:
        descend(mid)
    for label, parent in found.parents.items():
        assert label in below[parent]
        seen = {label}
        while label in found.parents:
            label = found.parents[label]
            assert label not in seen
            seen.add(label)
    assert found.parents["Pop music"] == "Music"
    assert found.parents["Growling"] == "Animal"  # a dog, a cat or a lion
    assert "Choir" not in found.parents and "Bell" not in found.parents


def test_opens(tmp_path):
    found = audioset.catalogue(tree(tmp_path, audio=ALL_AUDIO), labels="hierarchy")
    files = open_catalogue(found, sample_rate_hz=RATE_HZ)
    assert files.info.group_kind == "video" and len(files) == 4
    assert sorted(files.info.splits) == ["test", "train", "valid"]
    assert files[0]["audio"].shape == (RATE_HZ // 2,)
    assert list(files.labels[0]) == [1, 1, 0, 1, 1, 0]


def test_an_ontology_in_a_circle_is_none(tmp_path):
    circle = [("One", "/m/1", ["/m/2"], []), ("Other", "/m/2", ["/m/1"], [])]
    tree(tmp_path, audio=ALL_AUDIO, ontology=circle)
    with pytest.raises(ValueError, match="is not the ontology of AudioSet: CycleError"):
        audioset.catalogue(tmp_path, branch="all", labels="hierarchy")
