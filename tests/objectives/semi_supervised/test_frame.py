"""Labelled and unlabelled songs in one batch."""

import jax
import numpy as np
import pytest

from mclf_jax.augment import Chains
from mclf_jax.objectives.semi_supervised import frame
from tests.objectives.unlabelled_material import point_model

KEY = jax.random.key(0)


def batch(num_labelled, num_unlabelled, *, name="audio"):
    points = np.arange(2.0 * (num_labelled + num_unlabelled), dtype="f4").reshape(-1, 2)
    return {
        name: points[:num_labelled],
        "unlabelled": {name: points[num_labelled:]},
    }


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("ratio", [1, 3])
@pytest.mark.parametrize("labelled_view", frame.VIEWS)
@pytest.mark.parametrize("name", ["audio", "features"])
def test_songs_come_back_as_they_went_in(ratio, labelled_view, name):
    given = batch(4, 4 * ratio, name=name)
    chains = {
        "audio": Chains(waveform=lambda key, x: x + 1),
        "features": Chains(spectrogram=lambda key, x: x + 1),
    }[name]
    x = frame.inputs(point_model(), chains, given, key=KEY, labelled_view=labelled_view)
    assert x.shape == (4 + 4 * ratio, 2)
    rows = frame.apart(x, num_labelled=4)
    np.testing.assert_array_equal(rows.labelled, given[name] + (labelled_view == "augmented"))
    np.testing.assert_array_equal(rows.unlabelled, given["unlabelled"][name] + 1)
    # Behind each labelled song come its unlabelled ones: no row changes its device.
    np.testing.assert_array_equal(x[:: 1 + ratio], rows.labelled)


def test_every_song_has_draws_of_its_own():
    chains = Chains(waveform=lambda key, x: jax.random.uniform(key, x.shape))
    x = frame.inputs(point_model(), chains, batch(4, 8), key=KEY)
    assert len(np.unique(x)) == x.size


@pytest.mark.parametrize("num_unlabelled", [0, 2, 6])
def test_unlabelled_songs_must_be_a_multiple(num_unlabelled):
    message = f"batch has {num_unlabelled} unlabelled .* 4 labelled .*unlabelled.ratio must be a wh"
    with pytest.raises(ValueError, match=message):
        frame.inputs(point_model(), Chains(), batch(4, num_unlabelled), key=KEY)


def test_ramp_up():
    got = [float(frame.ramp_up(step, 10)) for step in (0, 5, 10, 11)]
    np.testing.assert_allclose(got, [np.exp(-5), np.exp(-1.25), 1, 1], rtol=1e-5)
    assert frame.ramp_up(0, 0) == 1


def test_mean_over_what_is_no_padding():
    values, valid = np.array([1.0, 2.0, 6.0, 50.0]), np.array([1.0, 1.0, 1.0, 0.0])
    assert frame.valid_mean(values, valid) == 3
    assert frame.valid_mean(values, 0 * valid) == 0
