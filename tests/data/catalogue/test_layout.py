"""Where data sets lie: as archives, mirdata and people unpack them."""

import pytest

from mclf_jax import data
from mclf_jax.data.catalogue import layout
from tests.data.readers import test_irmas, test_mtg_jamendo, test_nsynth, test_openmic
from tests.data.readers.trees import write_lines, write_tone


def gtzan(root):
    write_tone(root / "gtzan_genre/genres/country/country.00000.wav")
    write_lines(root / "gtzan_tempo_beat-main/tempo/gtzan_country_00000.bpm", "120")


def gtzan_mini(root):
    write_tone(root / "gtzan_mini-main/genres/pop/pop.00003.wav")


def mtg_jamendo(root):
    test_mtg_jamendo.tree(root, audio="audios")


def openmic(root):
    (root / "openmic-2018").mkdir()
    test_openmic.tree(root / "openmic-2018")


def irmas_test_only(root):
    test_irmas.tree(root, training=())


def irmas_twice_in_itself(root):
    test_irmas.tree(root)
    outer = root / "IRMAS-TrainingData"
    outer.rename(root / "inner")
    outer.mkdir()
    (root / "inner").rename(outer / "IRMAS-TrainingData")


def nsynth_test_only(root):
    test_nsynth.tree(root, notes=[note for note in test_nsynth.NOTES if note[0] == "test"])


@pytest.mark.parametrize(
    ("name", "made", "num_items", "options"),
    [
        ("gtzan", gtzan, 1, {"split": "none"}),
        ("gtzan", gtzan, 1, {}),
        ("gtzan", gtzan_mini, 1, {}),
        ("mtg_jamendo", mtg_jamendo, 4, {}),
        ("openmic", openmic, 4, {}),
        ("irmas", irmas_test_only, 4, {}),
        ("irmas", irmas_twice_in_itself, 8, {}),
        ("nsynth", nsynth_test_only, 1, {}),
    ],
)
def test_it_is_found_and_few_items_are_enough(tmp_path, name, made, num_items, options):
    made(tmp_path)
    source = data.build(name, path=tmp_path, sample_rate_hz=8000, **options)
    assert len(source) == num_items
    lacks = {"train", "valid"} - source.info.splits.keys()
    assert all(any(split in note for note in source.info.notes) for split in lacks)


def test_what_the_published_lists_leave_out_is_said(tmp_path):
    write_tone(tmp_path / "genres/reggae/reggae.00086.wav")
    with pytest.raises(ValueError, match="no audio of GTZAN.*split='none' splits what is there"):
        data.catalogue("gtzan", path=tmp_path)


def test_the_folder_itself_comes_first_and_two_in_it_are_refused(tmp_path):
    for place in ("b/songs.csv", "a/songs.csv", ".hidden/songs.csv"):
        write_lines(tmp_path / place, "id")
    find = {"title": "Songs", "holds": ("songs.csv",)}
    assert layout.data_root(tmp_path / "a", **find) == tmp_path / "a"
    with pytest.raises(ValueError, match="has several folders of Songs: a, b; name one of them"):
        layout.data_root(tmp_path, **find)
    write_lines(tmp_path / "songs.csv", "id")
    assert layout.data_root(tmp_path, **find) == tmp_path
