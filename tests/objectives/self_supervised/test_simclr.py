"""SimCLR: what is compared with what, and the published sizes."""

import functools

import flax.linen as nn
import jax
import numpy as np
import pytest

from mclf_jax import models
from mclf_jax.objectives.self_supervised.simclr import simclr
from tests.objectives.material import gradients, made, small_model, songs


@functools.cache
def start(**settings):
    objective = made(simclr, small_model(num_blocks=1), **{"projector": (32, 16)} | settings)
    return objective, jax.jit(objective.init)(jax.random.key(0))


def loss_of(batch, **settings):
    return gradients(*start(**settings), batch, num_devices=1)


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("num_views", [2, 4])
def test_silence_is_like_all_others(num_views):
    batch = songs(16, seed=0, num_views=num_views)
    batch["audio"] *= 0
    (loss, (_, metrics)), _ = loss_of(batch, num_views=num_views)
    assert loss == pytest.approx(np.log(num_views * 16 - 1), rel=1e-5)
    assert (metrics["embedding_std"] < 1e-3).all()


def test_published_sizes_of_clmr():
    objective = made(simclr, models.build("clmr_sample_cnn", num_labels=50))
    params = jax.eval_shape(objective.init, jax.random.key(0))["params"]
    sizes = [leaf.shape for leaf in jax.tree.leaves(params["projector"])]
    assert sizes == [(512, 512), (512, 64)]
    assert objective.num_views == 2


@pytest.mark.slow
def test_clips_of_one_track_may_be_left_out():
    batch = songs(16, seed=0) | {"group": np.zeros(16, np.int32)}
    (ignored, _), _ = loss_of(batch, same_track="ignore")
    # Nothing is left but the positive.
    assert ignored == pytest.approx(0, abs=1e-5)
    (published, _), _ = loss_of(batch)
    assert published > 1


@pytest.mark.slow
def test_a_song_that_is_twice_in_a_batch_is_no_negative_of_itself():
    """As in a batch that goes over the end of an epoch."""
    batch = songs(16, seed=0)
    batch["index"][5] = batch["group"][5] = 3
    jax.tree.map(np.testing.assert_array_equal, loss_of(batch), loss_of(batch, same_track="ignore"))
    assert loss_of(batch)[0][0] < loss_of(songs(16, seed=0))[0][0]


@pytest.mark.slow
def test_blocks_give_the_same_gradients():
    batch = songs(16, seed=0)
    whole, blocks = loss_of(batch), loss_of(batch, block_size=6)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), whole, blocks)


@pytest.mark.slow
def test_embeddings_themselves_may_be_compared():
    assert start(projector=())[1]["params"]["projector"] == {}
    (loss, _), _ = loss_of(songs(16, seed=0), projector=())
    assert np.isfinite(loss)


def test_of_each_view_some_patches_are_encoded_alone():
    """As in Myna: what differs between views, and between songs, is what is kept of them."""
    batch = songs(8, seed=0)
    batch["audio"][:] = batch["audio"][:1, :1]  # one song, in one view
    losses = {}
    for kept in (1.0, 0.3):
        objective = made(simclr, small_model("vit"), projector=(16, 8), kept_patches=kept)
        seen = []

        def note(call, args, kwargs, context, seen=seen):
            if context.module.name == "blocks.0":
                seen.append(args[0][0].shape)
            return call(*args, **kwargs)

        initial = jax.jit(objective.init)(jax.random.key(0))
        with nn.intercept_methods(note):
            found = jax.jit(objective.evaluate)(*initial.values(), batch, jax.random.key(0))
        assert seen == [(16, {1.0: 16, 0.3: 4}[kept], 16)]
        losses[kept] = found.per_example
    np.testing.assert_allclose(losses[1.0], np.log(15), rtol=1e-4)
    assert np.ptp(losses[0.3]) > 0.01


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"similarity": "dot"}, "objective.args.similarity is 'dot'; allowed: cosine, bilinear"),
        ({"same_track": "no"}, "objective.args.same_track is 'no'; allowed: negative, ignore"),
        ({"projector_norm": "group"}, "objective.args.projector_norm is 'group'; allowed: none"),
        ({"kept_patches": 0.0}, r"objective.args.kept_patches is 0.0; it must be in \(0, 1\]"),
        (
            {"kept_patches": 0.1},
            "has no patches; for objective.args.kept_patches 0.1 take vit",
        ),
        ({"temperature": 0.0}, "objective.args.temperature is 0.0; it must be positive"),
        ({"num_views": 1}, "objective.args.num_views is 1; it must be at least 2"),
        ({"num_views": 3, "similarity": "bilinear"}, "objective.args.num_views is 3.*bilinear"),
    ],
)
def test_errors(settings, message):
    with pytest.raises(ValueError, match=message):
        made(simclr, small_model(), **settings)
