"""`mclf inspect` of every published recipe, on a few files that have labels of its data set.

Nothing is trained. One experiment of each file is compiled, at its full size; of the others, a
network and size each, everything but the compiled step is looked at, with four songs in a batch.
"""

import csv
import itertools

import jax
import numpy as np
import pytest
import soundfile

from mclf_jax import config as config_lib
from mclf_jax import models, sweep
from mclf_jax.train import overview
from mclf_jax.train import setup as training
from tests.recipes import EXPERIMENTS, ROOT, golden_name

# Parameters as published, with the number of labels of the data set; None: never stated.
PARAMETERS = {
    "clmr_supervised.data=gtzan": 2_373_642,
    "clmr_supervised.data=mtat": 2_394_162,
    "clmr_supervised.data=msd": 2_394_162,
    "music_tagging_transformer.data=msd": 4_567_732,
    "music_tagging_transformer.data=mtat": 4_567_732,
    "music_tagging_transformer.data=jamendo": 4_567_732,
    "music_tagging_transformer.data=msd,size=student": 1_108_852,
    "musicnn_training.data=mtat": 605_748,
    "musicnn_training.data=msd": 605_748,
    "tutorial": 40_124,
    "won2020.model=fcn,data=mtat": 447_732,
    "won2020.model=fcn,data=mtat,n_mels=128": 447_732,
    "won2020.model=fcn,data=jamendo": 447_732,
    "won2020.model=musicnn,data=mtat": 784_300,
    "won2020.model=musicnn,data=mtat,n_mels=128": None,
    "won2020.model=musicnn,data=msd": 7_972_000,
    "won2020.model=crnn,data=mtat": 394_100,
    "won2020.model=crnn,data=mtat,n_mels=128": None,
    "won2020.model=sample_cnn,data=mtat": 1_869_874,
    "won2020.model=sample_cnn_se,data=mtat": 6_951_858,
    "won2020.model=cnnsa,data=mtat": 10_521_652,
    "won2020.model=harmonic_cnn,data=mtat": 3_631_551,
    "won2020.model=short_chunk_cnn,data=mtat": 3_687_348,
    "won2020.model=short_chunk_resnet,data=mtat": 12_104_244,
}
# Without labels: the parameters are the network's and those of heads beside it.
SELF_SUPERVISED = ("byol", "clmr", "cola", "cpc", "moco.version=v1", "moco.version=v2")
SELF_SUPERVISED += ("myna", *(f"m2d.method={m}" for m in ("m2d", "matpac", "matpac_plus_plus")))
SELF_SUPERVISED += (*(f"masked_tokens.method={m}" for m in ("musicfm", "omar_rq")), "rvq")
SELF_SUPERVISED += (
    "masked_tokens.method=omar_rq_fsq",
    "pase.version=pase",
    "pase.version=plus",
    "vq_cpc",
    "wav2vec",
)
PARAMETERS |= dict.fromkeys(SELF_SUPERVISED)
# Their labels are made of the data set's, which have no artists here; see tests/test_pretext_*.
PRETEXT = {"pretext_artist", "pretext_artist_group"}
RECIPES = {
    golden_name(file, arg): f"{ROOT / file}:{arg + ',' if arg else ''}layout=manifest,path="
    for file, arg in EXPERIMENTS
    if golden_name(file, arg) in PARAMETERS
}
# The first experiment of each file.
COMPILED = {}
for name in (name for name in RECIPES if name not in SELF_SUPERVISED):
    COMPILED.setdefault(name.partition(".")[0], name)


# The first of each network and size; with other data the network is the same.
DISTINCT = {}
for name in RECIPES:
    DISTINCT.setdefault((name.partition("data=")[0], PARAMETERS[name]), name)


@pytest.fixture(scope="module")
def songs(tmp_path_factory):
    """Eight noises of half a second, each with labels of all the lists."""
    root = tmp_path_factory.mktemp("songs")
    rows = []
    for i, split in enumerate(("train",) * 4 + ("valid",) * 2 + ("test",) * 2):
        soundfile.write(root / f"{i}.wav", np.random.default_rng(i).uniform(-1, 1, 4000), 8000)
        genre, instrument = (("rock", "guitar"), ("jazz", "piano"))[i % 2]
        tags = f"{genre}|{instrument}|genre---{genre}|instrument---{instrument}"
        rows.append({"path": f"{i}.wav", "label": genre, "labels": tags, "split": split})
    with (root / "manifest.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return root


def test_every_recipe_is_here():
    own_data = {"ablations.augmentation", "ablations.distillation", "ablations.few_labels"}
    own_data |= {"ablations.frontend", "ablations.networks", "transfer.how=scratch"}
    own_data |= {"ablations.benchmark", "ablations.parts"}
    own_data |= {"ablations.pretraining", "folder", "quickstart", "pretext_listening"}
    own_data |= {"folder.init=none", "folder.layers=tuned"}
    own_data |= {"embedding_distillation", "made_music", "words"}
    others = ("small_pretraining", "semi_supervised", "noisy_student")  # see their own tests
    names = {golden_name(*one) for one in EXPERIMENTS}
    elsewhere = {name for name in names if name.startswith(others)}
    assert names - elsewhere == set(PARAMETERS) | own_data | PRETEXT


@pytest.mark.slow
def test_the_comparison_has_every_network():
    path = f"{ROOT}/configs/ablations/networks.py:size=small"
    config = config_lib.load(path)
    found = {}
    for _, changes in sweep.settings_of(path):
        model = config_lib.override(config, changes).model
        built = models.build(model.name, num_labels=10, **model.args)
        shapes = jax.eval_shape(built.init, jax.random.key(0))
        found[model.name] = sum(leaf.size for leaf in jax.tree.leaves(shapes["params"]))
    # Which makes tokens for others.
    assert found.keys() == models.ARCHITECTURES.keys() - {"rvq"}
    assert max(found.values()) < 2_000_000
    with pytest.raises(ValueError, match="networks has vgg; allowed: fcn, vgg_ish"):
        config_lib.load(f"{ROOT}/configs/ablations/networks.py:networks=vgg+fcn")


def test_transfer_takes_any_data_set_in_its_own_splits():
    recipe = f"{ROOT}/configs/transfer.py:how=scratch,seeds=2"
    config = config_lib.load(f"{recipe},data=fma,path=DIR")
    assert config.data.name == "fma" and config.data.args.subset == "small"
    settings = dict(sweep.settings_of(f"{recipe},data=fma,path=DIR"))
    assert [changes.get("data.num_folds") for changes in settings.values()] == [None, None]
    folder = dict(sweep.settings_of(f"{recipe},path=DIR"))
    assert [changes["data.fold"] for changes in folder.values()] == [0, 1]


@pytest.mark.parametrize("name", sorted(PRETEXT))
def test_pretext_tasks_of_composed_songs_are_long_enough(name):
    """For their warm-up: the optimiser is made when the step is."""
    config = config_lib.load(f"{ROOT}/configs/{name}.py:data=synthetic")
    jax.eval_shape(training.build(config).initial_state)


def test_without_a_folder_it_says_so():
    for recipe in RECIPES.values():
        config = config_lib.load(recipe)
        with pytest.raises(ValueError, match="path must be a folder of audio, got ''"):
            list(overview.describe(config))


@pytest.mark.slow
@pytest.mark.parametrize("name", RECIPES)
def test_inspect(name, songs):
    config = config_lib.load(f"{RECIPES[name]}{songs}")
    if name not in COMPILED.values():
        config = config_lib.override(config, {"train.batch_size": 4})
    sections = overview.describe(config)
    _, data, augmentation = itertools.islice(sections, 3)
    num_labels = 10 if config.data.args.labels == "gtzan" else 50
    assert "songs: train 4, valid 2, test 2; skipped: 0" in data
    assert f"{num_labels} labels: " in data
    assert ("waveforms: none" in augmentation) == (config.augment.waveform == "")
    if name not in DISTINCT.values():
        return
    _, stages, parameters, schedule = itertools.islice(sections, 4)
    assert f"'logits': ({config.train.batch_size}, {num_labels})" in stages
    if PARAMETERS[name]:
        assert f"Total: {PARAMETERS[name]:,} --" in parameters
    assert schedule.count("from step") == len(config.optim.phases)
    if name in COMPILED.values():
        assert "GFLOP a step" in next(sections)


@pytest.mark.parametrize(
    "recipe",
    [
        "won2020.py:model=harmonic_cnn,",
        "won2020.py:model=sample_cnn,",
        "musicnn_training.py:",
        "clmr_supervised.py:",
        "music_tagging_transformer.py:",
        "tutorial.py:",
    ],
)
@pytest.mark.slow_beyond(2)
def test_published_training_of_any_folder(recipe, songs):
    """One label of many, those of the folder: traced, with a batch of its audio."""
    config = config_lib.load(f"{ROOT}/configs/{recipe}data=folder,path={songs}")
    changes = {"train.batch_size": 4, "data.args.task": "single_label"}
    run = training.build(config_lib.override(config, changes))
    info = run.parts.source.info
    assert (info.task, info.labels) == ("single_label", ("jazz", "rock"))
    batch = run.batches()[0]
    run.take_failed(batch)
    _, metrics = jax.eval_shape(run.steps()[0], jax.eval_shape(run.initial_state), batch)
    assert metrics["loss"].shape == ()
