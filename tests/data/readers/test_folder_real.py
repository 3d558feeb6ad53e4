"""Folders of real recordings, where they are there."""

import pytest

from mclf_jax import data
from tests import SHARED

AUDIO = SHARED / "audio"


@pytest.mark.parametrize(
    ("name", "task_labels", "sizes"),
    [
        pytest.param("soundtracks", 6, (86, 30, 31, 60), marks=pytest.mark.slow),
        ("instruments", 9, (267, 88, 88, 0)),
        ("speech_music", 3, (72, 24, 24, 0)),
    ],
)
def test_real_music(name, task_labels, sizes):
    if not (AUDIO / name).is_dir():
        pytest.skip("../shared/audio is not there")
    source = data.build("folder", path=AUDIO / name, sample_rate_hz=16000)
    assert source.info.skipped == ()
    assert len(source.info.labels) == task_labels
    splits = ("train", "valid", "test", "unlabelled")
    assert tuple(len(source.info.splits.get(split, ())) for split in splits) == sizes
    assert not [note for note in source.info.notes if "leakage" in note]
    last = len(source) - 1
    assert len(source[last]["audio"]) == source.num_samples(last)
