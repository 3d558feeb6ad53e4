"""Pretext tasks as views: who is in them, what the targets are, and whom they never hear."""

import itertools

import numpy as np
import pytest

from mclf_jax import data
from mclf_jax.data.views import pretext
from mclf_jax.data.views.artists import deal_units
from mclf_jax.data.views.listening import item_factors, read_listening
from tests.data.labelled import labelled

RNG = np.random.default_rng(0)
# Artist i // 6 of two albums of three songs; 0 to 19 train, 20 to 29 unlabelled, then valid, test.
ARTISTS = np.array([f"artist {i // 6:02}" for i in range(240)])
ALBUMS = np.array([f"album {i // 3:02}" for i in range(240)])
SPLITS = {
    "train": range(120),
    "unlabelled": range(120, 180),
    "valid": range(180, 210),
    "test": range(210, 240),
}
GENRES = np.arange(240) // 6 % 4


def _source(labels=GENRES, **changes):
    facts = {"splits": SPLITS, "groups": ARTISTS, "group_kind": "artist", **changes}
    return labelled(labels, **facts)


def _items(source, *splits):
    return np.concatenate([source.info.splits[split] for split in splits])


def _of(source, column, *splits):
    return {column[i] for i in _items(source, *splits)}


def test_no_target_is_the_source_itself():
    source = _source()
    assert pretext.apply(source, "") is source
    with pytest.raises(ValueError, match="data.target_args has seed, but data.target is ''"):
        pretext.apply(source, "", seed=1)
    with pytest.raises(ValueError, match="data.target is 'singer'; allowed: '', artist, artist_"):
        pretext.apply(source, "singer")
    with pytest.raises(ValueError, match="data.target_args has albums; artist takes by, min_items"):
        pretext.apply(source, "artist", albums=3)
    with pytest.raises(ValueError, match="data.target_args lacks num_groups, which artist_group"):
        pretext.apply(source, "artist_group")


def test_artists():
    source = _source()
    seen = pretext.apply(source, "artist", seed=3)
    assert seen.info.task == "single_label" and len(seen.info.labels) == 30
    assert seen.info.labels == tuple(sorted(set(ARTISTS[:180])))
    assert set(seen.info.splits) == {"train", "valid", "test"}
    assert sorted(_items(seen, "train", "valid", "test")) == list(range(180))
    assert len(seen.info.splits["valid"]) == len(seen.info.splits["test"]) == 18
    for split in ("train", "valid", "test"):
        for i in seen.info.splits[split]:
            assert seen.info.labels[seen.labels[i]] == ARTISTS[i]
            assert seen.labels[i].dtype == np.int32
    # Everyone can be learnt, and nobody whom the data set's own valid and test have is heard.
    assert _of(seen, ARTISTS, "train") == set(ARTISTS[:180])
    assert not _of(seen, ARTISTS, "train", "valid", "test") & _of(source, ARTISTS, "valid", "test")
    assert "labels are 30 artists (group), dealt by item: train 144" in seen.info.notes[-1]
    assert pretext.with_artists(source, seed=3).info.fingerprint == seen.info.fingerprint
    assert pretext.with_artists(source, seed=4).info.fingerprint != seen.info.fingerprint
    np.testing.assert_array_equal(seen[7]["audio"], source[7]["audio"])
    only = pretext.with_artists(source, valid_fraction=0.5, test_fraction=0).info.splits
    assert set(only) == {"train", "valid"} and len(only["valid"]) == 90


def test_albums_stay_whole():
    columns = {"album": tuple(ALBUMS), "year": ("1990",) * 240}
    seen = pretext.apply(_source(columns=columns), "artist")
    albums = [_of(seen, ALBUMS, split) for split in ("train", "valid", "test")]
    assert not any(a & b for a, b in itertools.combinations(albums, 2))
    assert [len(found) for found in albums] == [48, 6, 6]
    assert "dealt by album" in seen.info.notes[-1]
    # Groups are albums, and the artist is a column: as in MagnaTagATune.
    source = _source(groups=ALBUMS, group_kind="album", columns={"artist": tuple(ARTISTS)})
    by_column = pretext.apply(source, "artist", by="artist")
    assert by_column.info.labels == seen.info.labels
    assert not _of(by_column, ALBUMS, "train") & _of(by_column, ALBUMS, "valid", "test")
    item = pretext.apply(source, "artist", by="artist", unit="item")
    assert _of(item, ALBUMS, "train") & _of(item, ALBUMS, "valid")


def test_what_cannot_be_used_is_left_out_and_counted():
    artists = ARTISTS.copy()
    artists[:4] = ["", "alone", "pair", "pair"]
    # Songs without labels by an artist of test, and one of an album of valid by another name.
    artists[120:126] = ARTISTS[239]
    groups = ALBUMS.copy()
    groups[130] = ALBUMS[180]
    source = _source(groups=groups, columns={"artist": tuple(artists)}, group_kind="album")
    seen = pretext.apply(source, "artist", by="artist", min_items=3)
    used = set(_items(seen, *seen.info.splits))
    # Of the first artist two are left, too few.
    assert set(range(180)) - used == {0, 1, 2, 3, 4, 5, *range(120, 126), 130}
    assert (
        "left out of the rest: 7 of artists in valid or test, 1 of an unknown artist, 5 of artists"
        " with fewer than 3" in seen.info.notes[-1]
    )
    assert "pair" in pretext.apply(source, "artist", by="artist").info.labels


def test_dealing_gives_each_split_its_share():
    """Also where no artist has enough for a tenth, and whatever order items are in."""
    artists = np.repeat([f"{i:03}" for i in range(300)], RNG.integers(1, 4, 300))
    units = np.arange(len(artists)).astype(str)
    fractions = {"valid": 0.1, "test": 0.2}
    dealt = deal_units(artists, units, fractions=fractions, seed=0)
    assert sorted(np.concatenate(list(dealt.values()))) == list(range(len(artists)))
    assert set(artists[dealt["train"]]) == set(artists)
    assert abs(len(dealt["valid"]) - 0.1 * len(artists)) <= 1
    assert abs(len(dealt["test"]) - 0.2 * len(artists)) <= 1
    most = deal_units(artists, units, fractions={"valid": 0.9}, seed=0)
    assert len(most["train"]) == 300 == len(set(artists[most["train"]]))


def test_artists_errors():
    source = _source()

    def refused(match, source=source, **arguments):
        with pytest.raises(ValueError, match=match):
            pretext.with_artists(source, **arguments)

    refused("data.target_args.by is 'artist', .*; allowed: group", by="artist")
    refused("data.target_args.unit is 'disc', .*; allowed: group, item", unit="disc")
    refused("min_items is 1; it must be at least 2", min_items=1)
    refused(
        "they must not be negative, and below 1 together", valid_fraction=0.6, test_fraction=0.4
    )
    refused("they must not be negative", valid_fraction=-0.1)
    refused("has 0 artists .* with 7 items or more", min_items=7)
    refused("nothing is left for valid and test, because every artist keeps", unit="group")
    alone = _source(columns={"artist": ("",) * 240})
    refused("nothing of labelled can be used: of 180 items .* 180 of none", alone, by="artist")


def _styles():
    """Tags of artists 0, 4, 8... are alike, and so are those of the next, but for some noise."""
    tags = np.zeros((240, 8), np.float32)
    for i in range(240):
        style = i // 6 % 4
        tags[i, 2 * style + RNG.integers(2)] = 1
    return tags


def test_artist_groups():
    tags = _styles()
    source = _source(tags)
    seen = pretext.apply(source, "artist_group", num_groups=4, seed=1)
    info = seen.info
    assert info.task == "single_label" and len(info.labels) == 4
    # Found are the four styles that artists were made of, whichever number they have.
    used = _items(seen, *info.splits)
    style = {int(seen.labels[i]): i // 6 % 4 for i in used}
    assert len(set(style.values())) == 4
    assert all(style[int(seen.labels[i])] == i // 6 % 4 for i in used)
    for number, name in enumerate(info.labels):
        words = name.removeprefix(f"{number}: ").split(", ")
        assert set(words) == {"abcdefgh"[2 * style[number]], "abcdefgh"[2 * style[number] + 1]}
    # Labels say what the artists of train are like; of unlabelled songs by others nothing is known.
    assert set(used) == set(range(120))
    assert "60 of artists without tags" in info.notes[-1]
    assert "4 groups of 20 artists" in info.notes[-1]
    # Splits are by artist, and neither has one of the data set's own valid or test.
    heard = [_of(seen, ARTISTS, split) for split in ("train", "valid", "test")]
    assert not any(a & b for a, b in itertools.combinations(heard, 2))
    assert not set.union(*heard) & _of(source, ARTISTS, "valid", "test")
    again = pretext.with_artist_groups(source, num_groups=4, seed=1).info
    assert again.fingerprint == info.fingerprint


def test_unlabelled_songs_are_in_the_group_of_their_artist():
    """Whatever their own labels say, which a fraction of the labels has hidden."""
    tags = _styles()
    hidden = np.arange(2, 120, 3)
    tags[hidden] = np.nan
    splits = {**SPLITS, "train": np.setdiff1d(range(120), hidden), "unlabelled": hidden}
    seen = pretext.with_artist_groups(_source(tags, splits=splits), num_groups=4)
    assert set(_items(seen, *seen.info.splits)) == set(range(120))
    groups = {i // 6: int(seen.labels[i]) for i in range(120)}
    assert all(seen.labels[i] == groups[i // 6] for i in hidden)
    genres = _source(np.where(np.isin(np.arange(240), hidden), 0, GENRES), splits=splits)
    of_genres = pretext.with_artist_groups(genres, num_groups=4)
    assert [int(of_genres.labels[i]) for i in hidden] == [
        int(of_genres.labels[i // 6 * 6]) for i in hidden
    ]


def test_groups_by_a_column_of_words():
    words = tuple(f"style{i // 6 % 4}|loud" if i % 7 else "" for i in range(240))
    numbers = _source(RNG.standard_normal((240, 2)), task="regression", columns={"words": words})
    seen = pretext.apply(numbers, "artist_group", num_groups=4, tags="words")
    assert set(_items(seen, *seen.info.splits)) == set(range(180))
    assert all(f"style{number}" in " ".join(seen.info.labels) for number in range(4))
    for match, arguments in {
        "labels of labelled are numbers, .* one of its columns, words": {},
        "tags is 'mood', which labelled does not have; allowed: label, words": {"tags": "mood"},
        "num_groups is 5; it must be from 2 to 4": {"tags": "words", "num_groups": 5},
        "num_groups is 1; it must be from 2": {"tags": "words", "num_groups": 1},
    }.items():
        with pytest.raises(ValueError, match=match):
            pretext.with_artist_groups(numbers, **{"num_groups": 3, **arguments})


def _plays(path, *, header="user,item,count", separator=","):
    """Users of four kinds, each of whom listens to one style; all items but every tenth."""
    rng = np.random.default_rng(1)
    rows = [header] if header else []
    for user in range(80):
        likely = (np.arange(240) // 6 % 4 == user % 4) & (np.arange(240) % 10 > 0)
        for i in rng.choice(np.flatnonzero(likely), 15, replace=False):
            rows.append(separator.join((f"user {user}", f"item {i}", str(1 + rng.poisson(3)))))
    path.write_text("\n".join(rows) + "\n")
    return path


def test_listening(tmp_path):
    pytest.importorskip("implicit")
    source, path = _source(), _plays(tmp_path / "plays.csv")
    seen = pretext.apply(source, "listening", path=path, num_factors=4, num_iterations=5)
    info = seen.info
    assert info.task == "regression" and info.labels == tuple(f"factor_{k}" for k in range(4))
    used = _items(seen, *info.splits)
    assert set(used) <= {i for i in range(180) if i % 10} and len(used) > 150
    lost = 180 - len(used)
    assert f"{lost} without a play" in info.notes[-1]
    targets = seen.labels
    assert targets.dtype == np.float32 and np.isnan(targets[180:]).all()
    train = targets[info.splits["train"]]
    np.testing.assert_allclose(train.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(train.std(0), 1, atol=1e-5)
    # Songs with the same listeners are near one another, and splits are by artist.
    nearest = [
        used[np.argsort(np.linalg.norm(targets[used] - targets[i], axis=1))[1]] for i in used
    ]
    assert np.mean(np.array(nearest) // 6 % 4 == used // 6 % 4) > 0.95
    heard = [_of(seen, ARTISTS, split) for split in ("train", "valid", "test")]
    assert not any(a & b for a, b in itertools.combinations(heard, 2))

    # What is played of the data set's own valid and test decides nothing.
    without = tmp_path / "without.csv"
    judged = {f"item {i}" for i in range(180, 240)}
    kept = [row for row in path.read_text().splitlines() if row.split(",")[1] not in judged]
    without.write_text("\n".join(kept))
    other = pretext.apply(source, "listening", path=without, num_factors=4, num_iterations=5)
    assert other.info.fingerprint == info.fingerprint
    unit = pretext.apply(source, "listening", path=path, num_factors=4, scaling="unit")
    np.testing.assert_allclose(np.linalg.norm(unit.labels[used], axis=1), 1, atol=1e-5)


def test_factors_solve_the_equations_of_hu_koren_and_volinsky(tmp_path):
    """More rounds than needed: every item vector is what the user vectors make of it."""
    pytest.importorskip("implicit")
    played = read_listening(_plays(tmp_path / "plays.csv"))
    settings = {"num_factors": 3, "confidence": 2.0, "epsilon": 1.0, "regularization": 0.5}
    y = item_factors(played, **settings, num_iterations=60).astype(np.float64)
    counts = np.zeros((80, len(played.item_ids)))
    np.add.at(counts, (played.users, played.items), played.counts)
    confidence = 1 + 2.0 * np.log1p(counts)
    liked = (counts > 0).astype(float)

    def solved(fixed, confidence, liked):
        return np.stack(
            [
                np.linalg.solve((fixed * c[:, None]).T @ fixed + 0.5 * np.eye(3), fixed.T @ (c * p))
                for c, p in zip(confidence, liked, strict=True)
            ]
        )

    x = solved(y, confidence, liked)
    np.testing.assert_allclose(solved(x, confidence.T, liked.T), y, atol=0.02 * np.abs(y).max())
    again = item_factors(played, **settings, num_iterations=60)
    np.testing.assert_array_equal(again, y.astype(np.float32))


@pytest.mark.parametrize(
    ("name", "header", "separator"),
    [
        ("a.csv", "user,item,count", ","),
        ("b.tsv", "user\titem\tcount", "\t"),
        ("c.txt", "", "\t"),
        ("d.csv", "", ","),
    ],
)
def test_tables_of_plays(tmp_path, name, header, separator):
    expected = read_listening(_plays(tmp_path / "plays.csv"))
    found = read_listening(_plays(tmp_path / name, header=header, separator=separator))
    assert found.item_ids == expected.item_ids and len(found.counts) == 80 * 15
    for field in ("users", "items", "counts"):
        np.testing.assert_array_equal(getattr(found, field), getattr(expected, field))


def test_columns_of_plays_in_another_order(tmp_path):
    path = tmp_path / "plays.csv"
    path.write_text("count,when,item,user\n2,today,a,x\n\n3.5,,b,x\n1,,a,y\n9,,secret,y\n")
    found = read_listening(path, leave_out={"secret"})
    assert found.item_ids == ("a", "b")
    assert (found.users.tolist(), found.items.tolist()) == ([0, 0, 1], [0, 1, 0])
    assert found.counts.tolist() == [2, 3.5, 1]


def test_listening_errors(tmp_path):
    source, path = _source(), tmp_path / "plays.csv"

    def refused(match, text, **arguments):
        path.write_text(text)
        with pytest.raises(ValueError, match=match):
            pretext.with_listening(source, **{"path": path, "num_factors": 2, **arguments})

    refused("plays.csv has no column item; it has user, song, count", "user,song,count\nu,a,1\n")
    refused("line 3: count is '-1', not a positive", "user,item,count\nu,a,1\nu,b,-1\n")
    refused("line 2: count is 'nan', not a positive", "user,item,count\nu,a,nan\n")
    refused("line 2: 2 cells, not 3", "user,item,count\nu,a\n")
    refused("none of the 180 items .* called 'item 0', and there one 'TR1'", "u,TR1,1\n")
    refused("key is 'isrc', which labelled does not have; allowed: id", "u,TR1,1\n", key="isrc")
    refused("scaling is 'max'; allowed: standard, unit", "u,TR1,1\n", scaling="max")
    refused("path is .*nowhere.csv, and there is no such file", "", path=tmp_path / "nowhere.csv")
    pytest.importorskip("implicit")
    refused("num_factors is 2; with plays of 1 items by 1 users it must be", "u,item 3,1\n")


def test_without_the_package_it_is_said_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "implicit.cpu.als", None)
    played = read_listening(_plays(tmp_path / "plays.csv"))
    with pytest.raises(ImportError, match=r"pip install 'mclf-jax\[listening\]'"):
        item_factors(played, num_factors=2)


def test_artists_of_composed_songs():
    """The embedded data set has artists, none of whom is in two of its splits."""
    source = data.build("synthetic", sample_rate_hz=8000, num_songs=200, song_s=1.0)
    seen = pretext.apply(source, "artist")
    groups = source.info.groups
    assert all(seen.info.labels[seen.labels[i]] == groups[i] for i in seen.info.splits["train"])
    assert not _of(seen, groups, *seen.info.splits) & _of(source, groups, "valid", "test")
