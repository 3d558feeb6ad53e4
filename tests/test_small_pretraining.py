"""Small recipes without labels: each fits together as it is, and the ablation trains just those."""

import csv

import jax
import numpy as np
import pytest
import soundfile

from mclf_jax import config as config_lib
from mclf_jax import sweep, training
from mclf_jax.config import load_module
from tests.recipes import ROOT

RECIPE = str(ROOT / "configs" / "small_pretraining.py")
ABLATION = str(ROOT / "configs" / "ablations" / "pretraining.py")
METHODS = load_module(RECIPE).METHODS


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
def test_every_method_fits_together(method, songs):
    """Its step takes its batch, at the size that the recipe says: traced and not compiled."""
    run = training.build(config_lib.load(f"{RECIPE}:method={method},path={songs}"))
    batch = run.batches()[0]
    run.take_failed(batch)
    state = jax.eval_shape(run.initial_state)
    new_state, metrics = jax.eval_shape(run.steps()[0], state, batch)
    assert jax.tree.structure(new_state) == jax.tree.structure(state)
    assert metrics["loss"].shape == ()


def test_the_ablation_of_pretraining_trains_the_small_recipes():
    path = f"{ABLATION}:path=A,probe=B,songs=unlabelled,steps=40,seeds=1"
    config, settings = config_lib.load(path), sweep.settings_of(path)
    assert len(settings) == 8
    for name, changes in settings:
        arguments = f"method={name.partition(',')[0]},path=A,songs=unlabelled,steps=40"
        recipe = config_lib.load(f"{RECIPE}:{arguments}")
        different = config_lib.differences(recipe, config_lib.override(config, changes))
        assert not [field for field in different if not field.startswith("data.args")]
    assert sweep.probes_of(path)["other"]["arguments"] == {"path": "B"}
