"""Groups in two splits are found, whatever they are called."""

import numpy as np

from mclf_jax.data import check
from tests.data.check.made import folder, labelled, song, verdicts

SPLITS = {"train": np.arange(6), "valid": np.arange(6, 9), "test": np.arange(9, 12)}
LABELS = [0, 1] * 6


def _check(*, groups, splits=SPLITS, **info):
    source = labelled(LABELS, splits=splits, task="single_label", groups=groups, **info)
    return check.check(source, audio="skip")


def _artists(*, leak=False):
    artists = [f"artist{i // 3}" for i in range(12)]
    if leak:
        artists[10] = "artist0"
    return artists


def test_no_leak():
    result = _check(groups=_artists(), group_kind="artist")
    assert result.leaks == ()
    assert verdicts(result.findings, "none of 4 groups (artist)") == ["passed"]


def test_a_planted_artist_leak():
    result = _check(groups=_artists(leak=True), group_kind="artist")
    (leak,) = result.leaks
    assert "1 of 4 groups (artist) in more than one split" in leak.message
    assert "1 items of test (33.3%)" in leak.message
    assert leak.details == ("artist0: train 3, test 1",)


def test_a_planted_leak_in_a_folder(tmp_path):
    paths = ["train/anna/1.wav", "train/ben/2.wav", "valid/cleo/3.wav", "test/anna/4.wav"]
    source = folder(tmp_path, {path: song(i, seconds=4) for i, path in enumerate(paths)})
    result = check.check(source, progress="off")
    (leak,) = result.leaks
    assert leak.topic == "leakage" and leak.details == ("anna: train 1, test 1",)
    assert result.duplicates.matches == ()


def test_groups_that_nobody_knows_are_not_called_clean():
    result = _check(groups=[str(i) for i in range(12)])
    assert verdicts(result.findings, "nothing is known") == ["note"]


def test_other_identities_warn():
    columns = {"artist_id": tuple(_artists(leak=True)), "year": ("1999",) * 12}
    tracks = [str(i // 2) for i in range(6)] + [str(10 + i) for i in range(6)]
    result = _check(groups=tracks, group_kind="track", columns=columns)
    assert result.leaks == ()
    assert verdicts(result.findings, "groups (artist_id)") == ["warning"]
    assert not verdicts(result.findings, "year")


def test_equal_titles_by_other_artists_are_other_songs():
    columns = {"artist": tuple(_artists()), "title": ("Intro",) * 12}
    result = _check(groups=_artists(), group_kind="artist", columns=columns)
    assert verdicts(result.findings, "(title)") == ["passed"]


def test_unlabelled_items_of_tested_artists_warn():
    splits = {"train": np.arange(4), "test": np.arange(9, 12), "unlabelled": np.arange(4, 9)}
    artists = _artists()
    clean = _check(groups=artists, splits=splits, group_kind="artist")
    assert verdicts(clean.findings, "unlabelled items is in valid") == ["passed"]
    artists[5] = artists[11]
    result = _check(groups=artists, splits=splits, group_kind="artist")
    assert verdicts(result.findings, "unlabelled items are in valid") == ["warning"]
    assert result.leaks == ()
