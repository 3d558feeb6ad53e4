"""Recipes without labels: each fits together as it is, with any network where it takes any."""

import csv

import jax
import numpy as np
import pytest
import soundfile

from mclf_jax import config as config_lib
from mclf_jax import models, sweep
from mclf_jax.config import load_module
from mclf_jax.data import published
from mclf_jax.sweep import commands
from mclf_jax.train import setup as training
from tests.recipes import ROOT

RECIPE = str(ROOT / "configs" / "small_pretraining.py")
ABLATION = str(ROOT / "configs" / "ablations" / "pretraining.py")
METHODS = load_module(RECIPE).METHODS
PUBLISHED_SIZE = ("clmr", "moco", "byol", "cola", "cpc", "wav2vec", "vq_cpc", "pase", "myna", "m2d")
PUBLISHED_SIZE += ("masked_tokens", "rvq")


@pytest.fixture(scope="module")
def songs(tmp_path_factory):
    """Noises of three seconds, some of them without a label."""
    root = tmp_path_factory.mktemp("songs")
    rows = [{"path": f"{i}.wav", "label": ("", "low", "high")[i % 3]} for i in range(18)]
    for i, row in enumerate(rows):
        soundfile.write(root / row["path"], np.random.default_rng(i).uniform(-1, 1, 24_000), 8000)
    with (root / "manifest.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return root


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.slow_beyond(2)
def test_every_small_recipe_fits_together(method, songs):
    _trace(config_lib.load(f"{RECIPE}:method={method},path={songs}"))


@pytest.mark.parametrize("method", METHODS)
def test_windows_of_small_recipes_are_as_long_as_asked(method):
    lengths = [
        config_lib.load(f"{RECIPE}:method={method}{more}").model.window_s
        for more in ("", ",window_s=2")
    ]
    assert lengths == [{"pase": 1.0, "cpc": None, "vq_cpc": None}.get(method, 3.0), 2.0]


@pytest.mark.parametrize(
    ("method", "name"),
    [
        *(("clmr", name) for name in models.ARCHITECTURES),
        ("moco", "musicnn"),
        ("moco", "sample_cnn"),
        ("byol", "harmonic_cnn"),
    ],
)
@pytest.mark.slow_beyond(2)
def test_any_network_learns_by_comparing_views(method, name, songs):
    """Of waveforms and of spectrograms alike; `model.name` is all that changes.

    What is done to the waveforms before is the same for all, and most of what is traced: it stays
    at each of the two rates, 22,050 and 16,000 Hz.
    """
    changes = {"model.name": name, "train.batch_size": 4}
    if (method, name) not in (("clmr", "clmr_sample_cnn"), ("clmr", "fcn")):
        changes["augment.waveform"] = ""
    if method == "moco":
        changes["objective.args.queue_size"] = 8
    recipe = f"{ROOT / 'configs' / method}.py:data=folder,path={songs}"
    _trace(config_lib.override(config_lib.load(recipe), changes))


@pytest.mark.parametrize("recipe", PUBLISHED_SIZE)
@pytest.mark.slow_beyond(2)
def test_published_recipes_take_any_folder(recipe, songs):
    config = config_lib.load(f"{ROOT / 'configs' / recipe}.py:data=folder,path={songs}")
    parts = training.build(config_lib.override(config, {"train.batch_size": 4})).parts
    splits = parts.source.info.splits
    assert len(splits["unlabelled"]) == 6
    assert set(parts.train_indices) == {*splits["train"], *splits["unlabelled"]}
    for name in published.WITHOUT_LABELS:
        config_lib.load(f"{ROOT / 'configs' / recipe}.py:data={name},path={songs}")


def test_the_ablation_of_pretraining_trains_the_small_recipes():
    path = f"{ABLATION}:path=A,probe=B,songs=unlabelled,steps=40,seeds=1"
    config, settings = config_lib.load(path), sweep.settings_of(path)
    assert len(settings) == 16
    for name, changes in settings:
        arguments = f"method={name.partition(',')[0]},path=A,songs=unlabelled,steps=40"
        recipe = config_lib.load(f"{RECIPE}:{arguments}")
        different = config_lib.differences(recipe, config_lib.override(config, changes))
        assert not [field for field in different if not field.startswith("data.args")]
    assert sweep.probes_of(path)["other"]["arguments"] == {"path": "B"}


def test_what_a_command_asks_of_all_settings_they_have():
    path = f"{ABLATION}:path=A,seeds=1"
    flags = ["--config.model.args.n_channels=4", "--config.data.args.targets=valence|arousal"]
    config = config_lib.load(path, overrides=flags)
    for name, changes in sweep.settings_of(path):
        changed = config_lib.override(config, changes)
        assert changed.data.args.targets == "valence|arousal"
        if changed.model.name == config.model.name:
            assert changed.model.args.n_channels == 4, name
    assert commands.count_overruled(
        sweep.settings_of(path), [*flags, "--config.model.name=fcn"]
    ) == {
        "model.args.n_channels": 4,
        "model.name": 11,
    }


def _trace(config):
    """Its step takes its batch, at the size that the config says: traced and not compiled."""
    run = training.build(config)
    batch = run.batches()[0]
    run.take_failed(batch)
    state = jax.eval_shape(run.initial_state)
    new_state, metrics = jax.eval_shape(run.steps()[0], state, batch)
    assert jax.tree.structure(new_state) == jax.tree.structure(state)
    assert metrics["loss"].shape == ()
