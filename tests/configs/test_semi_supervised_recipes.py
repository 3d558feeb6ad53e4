"""Recipes with few labels: each fits together, and the ablation is what it says."""

import csv
import itertools

import jax
import numpy as np
import pytest
import soundfile

from mclf_jax import config as config_lib
from mclf_jax import models, sweep
from mclf_jax.config import load_module
from mclf_jax.train import setup as training
from tests.recipes import ROOT
from tests.small_run import small_model, write_run

RECIPE = str(ROOT / "configs" / "semi_supervised.py")
ABLATION = str(ROOT / "configs" / "ablations" / "few_labels.py")
METHODS = load_module(RECIPE).METHODS
CLASSES = ("low", "high")


@pytest.fixture(scope="module")
def songs(tmp_path_factory):
    """Noises of half a second: of each class nine labelled ones, and four unlabelled ones."""
    root = tmp_path_factory.mktemp("songs")
    rows = [{"path": f"{i}.wav", "label": CLASSES[i % 2], "group": f"{i}"} for i in range(18)]
    rows += [{"path": f"{i}.wav", "label": "", "group": f"{i}"} for i in range(18, 22)]
    for i, row in enumerate(rows):
        soundfile.write(root / row["path"], np.random.default_rng(i).uniform(-1, 1, 4000), 8000)
    with (root / "manifest.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return root


def _path(value):
    return str(value) if isinstance(value, sweep.RunOf) else value


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.slow_beyond(2)
def test_every_method_fits_together(method, songs, tmp_path):
    """Its step takes its batch: traced, with a batch of real audio, and not compiled."""
    arguments = f"method={method},path={songs},window_s=.3,songs_per_label=2,ratio=2"
    changes = {"model.args.n_channels": 4, "model.args.num_blocks": 2, "train.batch_size": 4}
    if method == "noisy_student":
        audio = np.random.default_rng(0).uniform(-1, 1, (4, 500)).astype("f4")
        changes["objective.args.teacher"] = write_run(
            tmp_path / "teacher", audio, labels=("high", "low")
        )
        changes |= {"features.sample_rate_hz": small_model().features.sample_rate_hz}
        changes |= {"features.f_max_hz": 400.0, "features.on": "device"}
    config = config_lib.override(config_lib.load(f"{RECIPE}:{arguments}"), changes)
    run = training.build(config)
    splits = run.parts.source.info.splits
    assert len(splits["train"]) == 4
    batch = run.batches()[0]
    run.take_failed(batch)
    state = jax.eval_shape(run.initial_state)
    new_state, metrics = jax.eval_shape(run.steps()[0], state, batch)
    assert jax.tree.structure(new_state) == jax.tree.structure(state)
    if method == "supervised":
        return
    assert "unlabelled_loss" in metrics
    assert sorted(run.unlabelled.indices) == sorted([*splits["unlabelled"], *splits["train"]])


def test_the_ablation_compares_on_the_same_songs(songs):
    path = f"{ABLATION}:path={songs},songs=1+3,seeds=2,rounds=2,steps=10,pretraining_steps=20"
    config, settings = config_lib.load(path), sweep.settings_of(path)
    names = [name for name, _ in settings]
    methods = ["supervised", "mean_teacher", "fixmatch", "noisy_student", "noisy_student round 2"]
    first = [f"{method},songs=1,seed=0" for method in methods]
    first += ["simclr pretraining,seed=0", "simclr then fine-tuned,songs=1,seed=0"]
    assert names[:7] == first
    assert len(names) == 2 * 2 * 7 - 2
    changed = {}
    for name, changes in settings:
        changed[name] = config_lib.override(config, {k: _path(v) for k, v in changes.items()})
    taught = changed["noisy_student round 2,songs=3,seed=1"].objective.args.teacher
    assert taught == "noisy_student,songs=3,seed=1"
    for name, one in changed.items():
        assert one.train.num_steps == (20 if "pretraining" in name else 10)
        if "fine-tuned" in name:
            assert one.init.path == f"simclr pretraining,seed={one.seed}"
            pretraining = changed[one.init.path].data
            assert (pretraining.fold, pretraining.songs_per_label) == (one.data.fold, 0)
    for songs_per_label, seed in itertools.product((1, 3), (0, 1)):
        of_one = [c for n, c in changed.items() if n.endswith(f"={songs_per_label},seed={seed}")]
        assert {c.data.songs_per_label for c in of_one} == {songs_per_label}
        assert {(c.data.fold, c.data.fraction_seed, c.seed) for c in of_one} == {(seed,) * 3}


def test_the_ablation_of_distillation_has_one_teacher_and_two_small_networks(songs):
    path = f"{ROOT / 'configs' / 'ablations' / 'distillation.py'}:path={songs},seeds=2"
    config, settings = config_lib.load(path), sweep.settings_of(path)
    names = ["large,seed=1", "small,seed=1", "small distilled,seed=1"]
    assert [name for name, _ in settings][3:] == names
    large, small, distilled = (
        config_lib.override(config, {k: _path(v) for k, v in changes.items()})
        for _, changes in settings[3:]
    )
    assert distilled.objective.args.teacher == "large,seed=1"
    assert set(config_lib.differences(large, small)) == {"model.args.n_channels"}
    assert large.data.fold == small.data.fold == distilled.data.fold == 1
    different = config_lib.differences(small, distilled)
    assert all(field.startswith(("objective.", "unlabelled.")) for field in different)


@pytest.mark.slow
def test_transfer_takes_the_network_of_a_run(songs, tmp_path):
    audio = np.random.default_rng(0).uniform(-1, 1, (4, 500)).astype("f4")
    run = write_run(tmp_path / "run", audio, labels=("fast", "slow", "loud"))
    path = f"{ROOT / 'configs' / 'transfer.py'}:run={run},path={songs}"
    config, settings = config_lib.load(path), sweep.settings_of(path)
    changed = {name: config_lib.override(config, changes) for name, changes in settings}
    assert len(changed) == 9
    trained = {}
    for how in ("tuned", "frozen", "scratch"):
        built = training.build(changed[f"{how},seed=2"])
        assert built.parts.model.module.n_channels == small_model().module.n_channels
        assert changed[f"{how},seed=2"].init.path == ("" if how == "scratch" else run)
        trained[how] = built.frozen.first_steps
    assert trained["frozen"] and not trained["tuned"] and not trained["scratch"]
    with pytest.raises(ValueError, match="config argument run is ''"):
        config_lib.load(f"{ROOT / 'configs' / 'transfer.py'}:path={songs}")


@pytest.mark.parametrize("name", models.ARCHITECTURES)
def test_transfer_augments_whatever_a_network_takes(name, songs, tmp_path):
    config = config_lib.base()
    config.model.name = name
    config.features.on = "device"
    (tmp_path / "config.json").write_text(config_lib.to_json(config))
    recipe = f"{ROOT / 'configs' / 'transfer.py'}:run={tmp_path},path={songs},how=scratch"
    config = config_lib.load(recipe)
    chains = training.build(config).parts.chains
    features = models.features_of(name)
    assert (chains.waveform is not None) == (features.kind == "waveform")
    assert (chains.spectrogram is not None) == (features.kind != "waveform")
    assert bool(config.augment.gain_db) == (features.unit == "dB")
