"""Tags of Last.fm by the shipped rules: what is one tag, what is none."""

import numpy as np

from mclf_jax.data.catalogue.label_lists import label_list
from mclf_jax.data.views import tags
from mclf_jax.data.views.taxonomy import with_taxonomy
from tests.data.labelled import labelled

MESSY = {
    "hip hop": ("Hip-Hop", "hiphop", "hip hop"),
    "rnb": ("R&B", "rnb", "R'n'B", "rhythm and blues"),
    "drum and bass": ("Drum n Bass", "dnb", "drum'n'bass"),
    "female vocalists": ("female vocalists", "Female Vocalist"),
    "80s": ("80s", "1980s", "80's", "the eighties"),
    "00s": ("00s", "2000s"),
    "post punk": ("post-punk", "Post Punk", "postpunk"),
    "": ("seen live", "my favorites", "Favourites", "albums I own", "5 stars", "awesome"),
}


def test_spellings_and_synonyms_are_one_tag_and_opinions_are_none():
    names = [tag for group in MESSY.values() for tag in group]
    made = tags.named("lastfm", names)
    assert set(made["drop"]) == set(MESSY[""])
    assert made["merge"] == {new: list(group) for new, group in MESSY.items() if new}
    rows = np.eye(len(names))
    seen = with_taxonomy(labelled(rows, names=names), "lastfm")
    assert seen.info.labels == tuple(new for new in MESSY if new)
    column = seen.labels[:, seen.info.labels.index("80s")]
    assert [names[i] for i in np.flatnonzero(column)] == list(MESSY["80s"])
    assert f"{len(names)} labels became 7" in seen.info.notes[-1]


def test_published_lists_keep_their_music():
    for name, count in (("msd_lastfm", 47), ("msd_cals", 50)):
        names = label_list(name).labels
        made = tags.named("lastfm", names)
        assert not made["drop"], name
        merged = sum(len(old) - 1 for old in made["merge"].values())
        assert len(names) - merged == count, made["merge"]
