"""The worst mistakes, and only of what was observed."""

import dataclasses

import numpy as np

from mclf_jax.report.songs import mistakes
from tests.reports import NAN, report_of


def test_worst_mistakes_come_first():
    single = dataclasses.replace(
        report_of("single_label", labels="ab", num_songs=3),
        scores=np.array([[0.6, 0.4], [0.9, 0.1], [0.2, 0.8]]),
        targets=np.array([1, 1, 1]),
    )
    found = mistakes.worst(single, count=5)
    assert [m.index for m in found] == [1, 0]  # song 2 is right
    assert found[0] == mistakes.Mistake(1, true=(("b", 0.1),), predicted=(("a", 0.9),))
    tags = dataclasses.replace(
        single, task="multi_label", targets=np.array([[1, 1], [0, 1], [0, 1]])
    )
    found = mistakes.worst(tags, count=2)
    assert [m.index for m in found] == [1, 0]
    assert found[1].true == (("b", 0.4), ("a", 0.6))  # the most missed first
    numbers = dataclasses.replace(
        single, task="regression", targets=np.array([[0.6, 0.4], [0.8, 0.9], [0.3, 0.8]])
    )
    found = mistakes.worst(numbers, count=1)
    assert found[0].index == 1
    assert found[0].true[0] == ("b", 0.9)


def test_tags_that_nobody_looked_for_are_no_mistake():
    report = dataclasses.replace(
        report_of("multi_label", labels="abc", num_songs=4),
        scores=np.array([[0.9, 0.1, 0.6], [0.2, 0.8, 0.7], [0.9, 0.9, 0.9], [0.5, 0.5, 0.4]]),
        targets=np.array([[NAN, 0, 1], [1, NAN, 0], [NAN, NAN, NAN], [NAN, 1, NAN]]),
    )
    found = mistakes.worst(report, count=9)
    # Mean cross-entropies: (-ln .9 - ln .6) / 2, (-ln .2 - ln .3) / 2 and -ln .5.
    assert [mistake.index for mistake in found] == [1, 3, 0]  # of song 2 nobody knows anything
    assert found[0] == mistakes.Mistake(
        1,
        true=(("a", 0.2),),
        predicted=(("b", 0.8), ("c", 0.7), ("a", 0.2)),
        unobserved=("b",),
    )
    assert found[1].unobserved == ("a", "c")


def test_numbers_that_nobody_gave_are_no_mistake():
    report = dataclasses.replace(
        report_of("regression", labels="ab", num_songs=4),
        scores=np.array([[0.0, 9.0], [1.0, 5.0], [5.0, 2.0], [7.0, 7.0]]),
        targets=np.array([[0.0, NAN], [1.0, 2.0], [2.0, 2.0], [NAN, NAN]]),
    )
    found = mistakes.worst(report, count=9)
    # "b" is always 2: no variance, so its unit is 1. Song 1: (0 + 9) / 2; song 2: 9 / (2/3) / 2.
    assert [mistake.index for mistake in found] == [2, 1, 0]
    assert found[1].true == (("b", 2.0), ("a", 1.0))
    assert found[2].true == (("a", 0.0),) and found[2].predicted == (("a", 0.0),)
