"""A second opinion is fitted as scikit-learn fits it, and stands in the state of a run."""

import dataclasses

import jax
import numpy as np
import pytest
from sklearn.svm import SVC

from mclf_jax.audio.features import LogMel
from mclf_jax.common import parallel
from mclf_jax.models.layers.opinion import COLLECTION
from mclf_jax.run import experiment
from mclf_jax.shallow import opinion
from mclf_jax.shallow.opinion import PLACE, SHARES, STEEPNESS, STRENGTH, fit_opinion, install
from mclf_jax.train import setup
from tests.shallow.test_baseline import Audible
from tests.tiny import tiny_config

ROOM = "model__args__second_opinion"
SHARE = SHARES["mfcc"]


def opened(source=None, *, room=40, **changes):
    parts = experiment.build(tiny_config(**{ROOM: room}, **changes))
    return dataclasses.replace(parts, source=source or Audible(24))


def fitted(parts, variables=None):
    return fit_opinion(parts, variables, mesh=parallel.make_mesh(1))


def logits_of(made, x):
    """What the machine says of the windows that it was fitted on, by the formula."""
    squares = np.square(x[:, None] - made["references"]).sum(-1)
    return np.exp(-squares / x.shape[1]) @ made["weights"] + made["bias"]


def test_it_is_the_machine_of_scikit_learn():
    parts = opened()
    made = fitted(parts)
    x = made["references"][:32]  # sixteen songs of two windows each
    assert not made["references"][32:].any()
    y = np.repeat(parts.source.labels[8:], 2)
    machine = SVC(C=STRENGTH, gamma=1 / x.shape[1]).fit(x, y)
    expected = SHARE * STEEPNESS * machine.decision_function(x)
    np.testing.assert_allclose(logits_of(made, x)[:, 1], expected, atol=5e-3)
    np.testing.assert_allclose(logits_of(made, x)[:, 0], -expected, atol=5e-3)
    assert made["share"] == 1 - SHARE


ON_EMBEDDING = {
    "model__args__opinion_on": "embedding",
    "model__args__pooling": "blocks",
    "init__freeze": ("*", "!{head}"),
}


def test_it_reads_the_embedding_of_the_network():
    parts = opened(**ON_EMBEDDING)
    variables = parts.model.init(jax.random.key(0))
    made = fitted(parts, variables)
    source, last = parts.source, parts.model.window_samples
    x = np.stack(
        [
            source.read(k, start_sample=source.num_samples(k) - last, num_samples=last)
            for k in range(8, 24)
        ]
    )
    heard = np.asarray(parts.model.apply(variables, x)["embedding"])
    np.testing.assert_allclose(
        made["references"][1:32:2], (heard - made["mean"]) / made["scale"], rtol=1e-3, atol=1e-3
    )
    y = np.repeat(parts.source.labels[8:], 2)
    machine = SVC(C=STRENGTH, gamma=1 / heard.shape[1]).fit(made["references"][:32], y)
    expected = SHARES["embedding"] * STEEPNESS * machine.decision_function(made["references"][:32])
    np.testing.assert_allclose(logits_of(made, made["references"][:32])[:, 1], expected, atol=5e-3)
    assert made["share"] == pytest.approx(1 - SHARES["embedding"])


@pytest.mark.parametrize("changes", [{}, ON_EMBEDDING])
def test_the_order_of_songs_makes_no_difference(changes):
    parts = opened(room=20, **changes)  # of 32 windows
    variables = parts.model.init(jax.random.key(0))
    splits = parts.source.info.splits
    drawn = np.random.default_rng(0).permutation(splits["train"])
    source = Audible(24)
    source.info = dataclasses.replace(source.info, splits={**splits, "train": drawn})
    other = fitted(dataclasses.replace(parts, source=source), variables)
    for name, values in fitted(parts, variables).items():
        np.testing.assert_allclose(other[name], values, rtol=1e-4, atol=1e-4)


def test_an_embedding_that_trains_is_refused():
    for freeze in ((), ("*", "!{head}", "!layer2")):
        config = tiny_config(**{ROOM: 40} | ON_EMBEDDING | {"init__freeze": freeze})
        with pytest.raises(
            ValueError, match=r"opinion_on is 'embedding', which changes, as .* trains"
        ):
            setup.build(config)
    setup.build(tiny_config(**ON_EMBEDDING | {"init__freeze": ()}))  # which has none


def test_features_on_the_device_make_no_difference():
    first, second = (fitted(opened(features__on=on)) for on in ("pipeline", "device"))
    for name, values in first.items():
        np.testing.assert_allclose(second[name], values, atol=1e-3)
    assert isinstance(opened().model.features, LogMel)


def test_tags_that_nobody_knows_or_all_songs_have_are_a_bias_alone():
    class Tagged(Audible):
        @property
        def labels(self):
            odd = np.arange(self.count) % 2.0
            every = np.stack([odd, 1 + 0 * odd, 0 * odd, np.nan * odd], axis=1)
            every[10:14, 0] = np.nan
            return every.astype(np.float32)

    source = Tagged(24, task="multi_label")
    source.info = dataclasses.replace(source.info, labels=("odd", "all", "none", "unknown"))
    made = fitted(opened(source))
    x = made["references"][:32]
    said = logits_of(made, x)
    odd = np.repeat(np.arange(8, 24) % 2, 2)
    assert ((said[:, 0] > 0) == odd).mean() > 0.9
    full = SHARE * STEEPNESS
    np.testing.assert_allclose(said[:, 1:], np.tile([full, -full, 0], (32, 1)))
    assert not made["weights"][2 * (10 - 8) : 2 * (14 - 8), 0].any()  # those of unknown songs


def test_numbers_are_learnt_in_their_own_size():
    class Numbers(Audible):
        @property
        def labels(self):
            return 5 + 3 * (np.arange(self.count)[:, None] % 2).astype(np.float32)

    source = Numbers(24, task="regression")
    source.info = dataclasses.replace(source.info, labels=("size",), unit=())
    made = fitted(opened(source))
    said = logits_of(made, made["references"][:32])[:, 0] / SHARE
    np.testing.assert_allclose(said, np.repeat(source.labels[8:, 0], 2), atol=0.6)


def test_of_many_songs_as_many_as_there_is_room_for():
    made = fitted(opened(room=5))
    assert made["references"].shape == (5, 32)
    assert made["share"] == pytest.approx(1 - SHARE * 5 / 16)  # it has heard five of sixteen
    with pytest.raises(ValueError, match="no song of train that has a label could be read"):
        fitted(opened(Audible(24, broken=tuple(range(24)))))


def test_it_stands_in_the_state_and_in_its_average():
    run = setup.build(tiny_config(**{ROOM: 40}))
    state = jax.jit(run.initial_state)()
    made = fitted(run.parts, state.variables())
    shardings = jax.tree.map(lambda _: parallel.replicated(parallel.make_mesh(1)), state)
    found = install(state, made, shardings=shardings)
    places = [found.model_state["model"], found.ema["model_state"]["model"]]
    for place in places:
        for name, values in made.items():
            np.testing.assert_array_equal(place[COLLECTION][PLACE][name], values)
    assert jax.tree.structure(found) == jax.tree.structure(state)
    np.testing.assert_array_equal(found.variables()[COLLECTION][PLACE]["bias"], made["bias"])


@pytest.mark.parametrize(
    ("changes", "has"),
    [
        ({}, True),
        ({ROOM: 0}, False),
        ({"objective__name": "simclr", "eval__metric": "loss"}, False),
    ],
)
def test_who_has_one(changes, has):
    run = setup.build(tiny_config(**{ROOM: 40} | changes))
    assert opinion.has_opinion(run.parts, run.objective) is has
