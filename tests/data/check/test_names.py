"""Synonyms and opposites among label names, and how they are used."""

import itertools

import numpy as np
import pytest

from mclf_jax.data import check
from mclf_jax.data.catalogue.label_lists import label_list
from mclf_jax.data.check.names import pairs, relation
from tests.data.check.made import labelled, verdicts


@pytest.mark.parametrize(
    ("one", "two", "kind"),
    [
        ("vocal", "vocals", "synonyms"),
        ("vocals", "voice", "synonyms"),
        ("female voice", "female vocal", "synonyms"),
        ("woman", "female voice", "synonyms"),
        ("classic", "classical", "synonyms"),
        ("no vocals", "no voice", "synonyms"),
        ("Hip-Hop", "hip hop", "synonyms"),
        ("electronic", "electronica", "synonyms"),
        ("female vocalist", "female vocalists", "synonyms"),
        ("male", "female", "opposites"),
        ("male vocal", "female voice", "opposites"),
        ("no vocals", "voice", "opposites"),
        ("fast", "slow", "opposites"),
        ("rock", "classic rock", "narrower"),
        ("classic rock", "classical", ""),
        ("80s", "90s", ""),
        ("indie rock", "indie pop", ""),
        ("jazz", "jazzfusion", ""),
        ("violin", "viola", ""),
        ("house", "deephouse", ""),
        ("mood/theme---film", "genre---folk", ""),
        ("acousticguitar", "acousticbassguitar", ""),
    ],
)
def test_relation(one, two, kind):
    assert relation(one, two)[0] == kind
    assert relation(two, one)[0] == kind


def test_few_synonyms_where_names_were_chosen_with_care():
    def synonyms(name):
        chosen = label_list(name).labels
        return [p for p in itertools.combinations(chosen, 2) if relation(*p)[0] == "synonyms"]

    assert synonyms("gtzan") == synonyms("jamendo_top50") == synonyms("jamendo_instrument") == []
    assert len(synonyms("mtat")) > 15


def _tags(num_items=400):
    """Two words for one thing, of which each annotator picks one; both come with "song"."""
    rng = np.random.default_rng(0)
    sung = rng.random(num_items) < 0.5
    picks_first = rng.random(num_items) < 0.5
    values = np.stack(
        [
            sung & picks_first,
            sung & ~picks_first,
            np.where(sung, rng.random(num_items) < 0.8, rng.random(num_items) < 0.1),
            ~sung & (rng.random(num_items) < 0.8),
            rng.random(num_items) < 0.3,
        ],
        axis=1,
    )
    names = ("vocal", "vocals", "pop", "ambient", "guitar")
    splits = {"train": np.arange(200), "valid": np.arange(200, 300), "test": np.arange(300, 400)}
    return labelled(values, splits=splits, labels=names)


def test_synonyms_that_never_come_together_come_with_the_same_others():
    result = check.check(_tags(), audio="skip")
    (pair,) = pairs(result.counts, parents={})
    assert (pair.kind, pair.both) == ("synonyms", 0)
    assert pair.context > 0.9
    (found,) = [f for f in result.warnings if "look like synonyms" in f.message]
    assert "1 of them come together in less than half" in found.message


def test_labels_that_nearly_always_come_together():
    values = np.zeros((100, 2), np.float32)
    values[:40] = 1
    values[40:43, 0] = 1
    splits = {"train": np.arange(100)}
    source = labelled(values, splits=splits, labels=("sitar", "indian"))
    result = check.check(source, audio="skip")
    assert verdicts(result.findings, "nearly always come together") == ["note"]
    (pair,) = pairs(result.counts, parents={})
    assert pair.jaccard == pytest.approx(40 / 43)
    assert pairs(result.counts, parents={"sitar": "indian"}) == ()


@pytest.mark.parametrize(("both", "verdict"), [(0, "passed"), (5, "warning")])
def test_opposites_that_come_together(both, verdict):
    values = np.zeros((100, 2), np.float32)
    values[:40, 0] = 1
    values[40 - both : 80, 1] = 1
    splits = {"train": np.arange(50), "test": np.arange(50, 100)}
    source = labelled(values, splits=splits, labels=("no vocals", "vocals"))
    assert verdicts(check.check(source, audio="skip").findings, "opposite") == [verdict]


def test_a_kind_of_something_without_it():
    values = np.zeros((60, 2), np.float32)
    values[:40, 0] = 1
    values[30:60, 1] = 1
    splits = {"train": np.arange(0, 60, 2), "test": np.arange(1, 60, 2)}
    source = labelled(values, splits=splits, labels=("rock", "indie rock"))
    findings = check.check(source, audio="skip").findings
    (found,) = [f for f in findings if "stand without" in f.message]
    assert "10 of its 30 items" in found.details[0]
