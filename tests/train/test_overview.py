"""What `mclf inspect` says before anything is compiled."""

import itertools

import pytest

from mclf_jax import config as config_lib
from mclf_jax.train import overview


@pytest.mark.parametrize(
    ("song_s", "short", "said"),
    [
        (
            2.0,
            "tile",
            "100% are shorter than the window, and repeated (model.window_s,",
        ),
        (2.0, "pad", "100% are shorter than the window, and filled up with silence"),
        (4.0, "tile", "median 4 s, nine of ten 4 to 4 s\n"),
    ],
)
def test_songs_shorter_than_a_window_are_told_of(song_s, short, said):
    changes = {"data.args.num_songs": 30, "data.args.song_s": song_s, "data.short": short}
    config = config_lib.named("folder", data="synthetic", window_s=3.0, overrides=changes)
    _, data = itertools.islice(overview.describe(config), 2)
    assert said in data
