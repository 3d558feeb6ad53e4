"""The known traps of four data sets: each check passes and warns where it should."""

import csv
import dataclasses

import numpy as np
import pytest

from mclf_jax.data import check
from mclf_jax.data.catalogue.label_lists import label_list
from mclf_jax.data.check import labels, traps
from tests import SHARED
from tests.data.check.made import folder, labelled, song, verdicts

METADATA = SHARED / "metadata"


def _splits(*sizes, names=("train", "valid", "test", "unlabelled")):
    stops = np.cumsum(sizes)
    ranges = (np.arange(stop - size, stop) for stop, size in zip(stops, sizes, strict=True))
    return dict(zip(names, ranges, strict=False))


def _known(source, **options):
    """Findings on the known traps only."""
    result = check.check(source, audio="skip", **options)
    return [found for found in result.findings if found.topic == "traps"]


def _gtzan(*sizes, **info):
    names = label_list("gtzan").labels
    values = np.arange(sum(sizes)) % 10
    return labelled(
        values, splits=_splits(*sizes), labels=names, name="gtzan", task="single_label", **info
    )


def _tags(num_items, list_name, *, seed=0, frequency=0.1):
    count = len(label_list(list_name).labels)
    return (np.random.default_rng(seed).random((num_items, count)) < frequency).astype(np.float32)


def test_other_data_sets_have_no_known_traps():
    assert _known(labelled([[1], [0]], splits=_splits(1, 1))) == []


def test_gtzan_as_it_should_be():
    found = _known(_gtzan(442, 197, 290, group_kind="track"))
    assert verdicts(found, "fault-filtered one") == ["passed"]
    assert verdicts(found, "jazz.00054") == ["passed"]
    assert verdicts(found, "none is named here") == ["warning"]


def test_gtzan_split_at_random_with_the_corrupt_file():
    source = _gtzan(700, 150, 150)
    source.item_id = lambda i: "jazz.00054" if i == 554 else f"item{i}"
    found = _known(source)
    assert verdicts(found, "not the fault-filtered one") == ["warning"]
    assert verdicts(found, "is in the data set") == ["warning"]


def test_gtzan_with_artists():
    artists = [f"artist{i // 5}" for i in range(929)]
    found = _known(_gtzan(442, 197, 290, columns={"artist": tuple(artists)}))
    (crossing,) = [f for f in found if "artists are in more than one split" in f.message]
    assert crossing.details == ("artist127", "artist88")  # 440 to 444, 635 to 639


def test_gtzan_repetitions(tmp_path):
    songs = {"train/x/x.wav": song(0), "test/y/y.wav": song(0), "valid/z/z.wav": song(1)}
    source = folder(tmp_path, songs)
    source = dataclasses.replace(source, info=dataclasses.replace(source.info, name="gtzan"))
    result = check.check(source, progress="off")
    assert verdicts(result.findings, "recordings are repeated, in 2 excerpts") == ["warning"]
    assert verdicts(result.findings, "audio quality varies") == ["note"]


def _mtat(*sizes, **info):
    names = label_list("mtat").labels
    values = _tags(sum(sizes), "mtat")
    values[3] = 0
    return labelled(values, splits=_splits(*sizes), labels=names, name="magnatagatune", **info)


def test_magnatagatune_split_and_tags():
    found = _known(_mtat(15244, 1529, 4332))
    assert verdicts(found, "sizes of Won et al. 2020") == ["passed"]
    assert verdicts(found, "synonyms: 2") == ["warning"]
    assert verdicts(found, "not known which clips") == ["warning"]
    found = _known(_mtat(1870, 182, 532))
    assert verdicts(found, "not that of Won et al. 2020") == ["warning"]
    (untagged,) = [f for f in found if "none of the tags" in f.message]
    assert untagged.verdict == "warning" and int(untagged.message.split()[0]) >= 1


@pytest.mark.parametrize(("clips", "verdict"), [(5, "passed"), (7, "warning")])
def test_magnatagatune_clips_of_one_track(clips, verdict):
    columns = {
        "artist": ("one",) * 200,
        "album": ("first",) * 200,
        "title": tuple(f"track{i // clips}" for i in range(200)),
    }
    found = _known(_mtat(100, 50, 50, columns=columns))
    assert verdicts(found, "tracks (or albums)") == [verdict]


def _msd(*sizes, artists=None, **info):
    names = label_list("msd_cals").labels
    values = _tags(sum(sizes), "msd_cals")
    values[:, 5:] *= _tags(sum(sizes), "msd_cals", seed=1, frequency=0.05)[:, 5:]
    return labelled(
        values, splits=_splits(*sizes), labels=names, name="msd", groups=artists, **info
    )


def test_msd_artists():
    artists = [f"artist{i // 4}" for i in range(400)]
    clean = _known(_msd(200, 60, 60, 80, artists=artists, group_kind="artist"))
    assert verdicts(clean, "artists are in more than one split") == ["passed"]
    assert verdicts(clean, "0 of 80 unlabelled songs") == ["passed"]
    artists[0] = artists[399] = "artist60"  # of valid
    found = _known(_msd(200, 60, 60, 80, artists=artists, group_kind="artist"))
    (crossing,) = [f for f in found if "artists are in more than one split" in f.message]
    assert crossing.verdict == "warning" and crossing.details == ("artist60",)
    assert verdicts(found, "1 of 80 unlabelled songs") == ["warning"]
    assert verdicts(_known(_msd(200, 60, 60)), "artists are not known") == ["warning"]


def test_msd_tail_and_audio():
    found = _known(_msd(600, 60, 60, skipped=(("TR1", "no such file"),) * 80))
    (tail,) = [f for f in found if "long tail" in f.message]
    assert tail.verdict == "warning" and "45 of 50 labels are below 1 %" in tail.message
    assert verdicts(found, "80 of 800 listed songs (10.0%) have no audio") == ["warning"]


def test_msd_previews(tmp_path):
    songs = {"train/x/x.wav": song(0, seconds=30), "valid/y/y.wav": song(1, seconds=4)}
    source = folder(tmp_path, songs)
    source = dataclasses.replace(source, info=dataclasses.replace(source.info, name="msd"))
    findings = check.check(source, progress="off").findings
    assert verdicts(findings, "1 previews are not 30 to 60 s long") == ["warning"]


def test_msd_split_at_random_is_known_by_its_sizes():
    values = np.zeros((241_889, 1), np.float32)
    values[::2] = 1
    source = labelled(values, splits=_splits(201_680, 11_774, 28_435), name="msd")
    known = labels.read(source)
    evidence = traps.Evidence(known, labels.count(source.info, known), (), None, None)
    found = traps.check(source, evidence)
    assert verdicts(found, "split drawn at random") == ["warning"]


def _jamendo(values, *sizes, **info):
    names = label_list("jamendo_top50").labels
    return labelled(values, splits=_splits(*sizes), labels=names, name="mtg_jamendo", **info)


def test_jamendo_genres_and_mismatch():
    values = _tags(900, "jamendo_top50")
    names = label_list("jamendo_top50").labels
    values[:, names.index("genre---pop")] = 1
    values[:, names.index("genre---rock")] = 1
    even = np.concatenate([values, values])
    found = _known(_jamendo(even, 900, 0, 900))
    assert verdicts(found, "most frequent genres are pop") == ["passed"]
    assert verdicts(found, "0 of 50 labels are 1.5 times") == ["passed"]
    skewed = even.copy()
    skewed[:, names.index("genre---pop")] = 0
    skewed[:900, names.index("genre---electronic")] = 1
    found = _known(_jamendo(skewed, 900, 0, 900))
    assert verdicts(found, "they are pop and rock") == ["warning"]
    (mismatch,) = [f for f in found if "1.5 times" in f.message]
    assert mismatch.verdict == "warning" and mismatch.details[0].startswith("genre---electronic")


def _real_jamendo():
    """The published lists, without audio."""
    names = label_list("jamendo_top50").labels
    at = {name: k for k, name in enumerate(names)}
    rows, splits = [], {}
    for name, split in (("train", "train"), ("validation", "valid"), ("test", "test")):
        file = METADATA / "mtg_jamendo" / f"autotagging_top50tags-{name}.tsv"
        if not file.is_file():
            pytest.skip(f"the metadata of MTG-Jamendo is not in {METADATA}")
        with file.open(encoding="utf-8", newline="") as text:
            found = list(csv.reader(text, delimiter="\t"))[1:]
        splits[split] = np.arange(len(rows), len(rows) + len(found))
        rows += found
    values = np.zeros((len(rows), len(names)), np.float32)
    for i, row in enumerate(rows):
        values[i, [at[tag] for tag in row[5:]]] = 1
    artists = [row[1] for row in rows]
    return labelled(
        values,
        splits=splits,
        labels=names,
        name="mtg_jamendo",
        groups=artists,
        group_kind="artist",
        columns={"album": tuple(row[2] for row in rows)},
    )


def test_the_published_split_of_jamendo():
    result = check.check(_real_jamendo(), audio="skip")
    assert result.leaks == ()
    assert verdicts(result.findings, "none of 3517 groups (artist)") == ["passed"]
    (genres,) = [f for f in result.warnings if "most frequent genres" in f.message]
    assert "are electronic 30.3%, soundtrack 14.9%" in genres.message
    (mismatch,) = [f for f in result.warnings if "1.5 times" in f.message]
    assert any("instrument---computer: 2.6" in line for line in mismatch.details)
    assert any("genre---downtempo: 0.5" in line for line in mismatch.details)
