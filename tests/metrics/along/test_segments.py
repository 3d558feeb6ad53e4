"""Segments of taggrams: where they begin and end, what is merged and dropped, and their files."""

import numpy as np
import pytest

from mclf_jax.metrics.along import Segment, read, segments_of, write_csv, write_labels

SCORES = np.array([[0.9, 0.1], [0.8, 0.6], [0.2, 0.7], [0.9, 0.2], [0.1, 0.9]])
TAGGRAM = {"times_s": np.arange(5) + 1.0, "labels": ("a", "b"), "scores": SCORES, "window_s": 2.0}


def times(found):
    return [(one.label, one.start_s, one.end_s) for one in found]


def test_windows_speak_for_what_is_nearest_and_the_ends_for_all_they_hear():
    found = segments_of(TAGGRAM)
    assert times(found) == [("a", 0, 2.5), ("b", 1.5, 3.5), ("a", 3.5, 4.5), ("b", 4.5, 6)]
    assert found[0].score == pytest.approx(0.85)


def test_neighbours_are_merged_before_short_ones_are_dropped():
    near = segments_of(TAGGRAM, merge_gap_s=1.0)
    assert times(near) == [("a", 0, 4.5), ("b", 1.5, 6)]
    assert near[0].score == pytest.approx((0.9 + 0.8 + 0.9) / 3)
    assert times(segments_of(TAGGRAM, min_s=1.8)) == [("a", 0, 2.5), ("b", 1.5, 3.5)]
    assert times(segments_of(TAGGRAM, min_s=1.8, merge_gap_s=1)) == times(near)


def test_thresholds_and_one_label_at_a_time():
    assert times(segments_of(TAGGRAM, thresholds={"a": 0.85})) == [
        *(("a", 0, 1.5), ("b", 1.5, 3.5), ("a", 3.5, 4.5), ("b", 4.5, 6)),
    ]
    assert times(segments_of(TAGGRAM, thresholds=0.95)) == []
    best = segments_of(TAGGRAM, task="single_label")
    sure = segments_of(TAGGRAM, task="single_label", thresholds=0.95)
    assert best and not sure
    assert times(best) == [("a", 0, 2.5), ("b", 2.5, 3.5), ("a", 3.5, 4.5), ("b", 4.5, 6)]
    for wrong in (7, -1):
        with pytest.raises(ValueError, match=f"threshold is {wrong}"):
            segments_of(TAGGRAM, thresholds=wrong)
    with pytest.raises(ValueError, match="task is 'regression'"):
        segments_of(TAGGRAM, task="regression")
    with pytest.raises(ValueError, match="min_s is -1"):
        segments_of(TAGGRAM, min_s=-1)


def test_of_labels_that_exclude_each_other_none_reaches_over_another():
    apart = segments_of(TAGGRAM, task="single_label", merge_gap_s=10.0)
    assert times(apart) == times(segments_of(TAGGRAM, task="single_label"))
    # Over a time when none reaches its threshold it does.
    sure = segments_of(TAGGRAM, task="single_label", thresholds={"b": 0.75}, merge_gap_s=1.0)
    assert times(sure) == [("a", 0, 4.5), ("b", 4.5, 6)]


def test_both_files_are_read_back(tmp_path):
    found = [Segment(0.0, 2.5, "a", 0.85), Segment(1.5, 3.25, "b, c", 0.7)]
    table = write_csv({"x/song.wav": found, "y.wav": []}, tmp_path / "out.csv")
    assert table.read_text().splitlines() == [
        *("path,start_s,end_s,label,score", "x/song.wav,0.000,2.500,a,0.8500"),
        'x/song.wav,1.500,3.250,"b, c",0.7000',
    ]
    back = read(table)
    assert times(back["x/song.wav"]) == times(found)
    labels = write_labels(found, tmp_path / "song.txt")
    assert labels.read_text() == "0.000000\t2.500000\ta\n1.500000\t3.250000\tb, c\n"
    labels.write_text(labels.read_text() + "\\\t100.0\t200.0\n")  # as Audacity says frequencies
    assert times(read(labels)["song"]) == times(found)


def test_what_is_no_segment_is_said_with_its_line(tmp_path):
    with pytest.raises(ValueError, match="is a folder; name a table with the columns path, st"):
        read(tmp_path)
    file = tmp_path / "truth.csv"
    file.write_text("path,start_s,end_s,label\na.wav,0,1,x|y\na.wav,5,2,x\n")
    with pytest.raises(ValueError, match="truth.csv, line 3: start '5', end '2': a segment must"):
        read(file)
    file.write_text("path,start_s,end_s,label\na.wav,0,1,x|y\nb.wav,0,9,\n")
    assert times(read(file)["a.wav"]) == [("x", 0, 1), ("y", 0, 1)] and read(file)["b.wav"] == []
