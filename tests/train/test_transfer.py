"""Starting from earlier weights: what is loaded, what stays new, and what the report says."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mclf_jax import models
from mclf_jax.convert.from_torch import from_torch
from mclf_jax.convert.run import run_from_weights
from mclf_jax.convert.weights import write_weights
from mclf_jax.data.catalogue.label_lists import LabelList
from mclf_jax.export.archive import write_archive
from mclf_jax.export.collect import bundle_of
from mclf_jax.export.huggingface import write_huggingface
from mclf_jax.models.names import rename
from mclf_jax.objectives.self_supervised.byol import byol
from mclf_jax.run import restore
from mclf_jax.run.directory import read_model
from mclf_jax.train import train, transfer
from tests.convert.networks import SMALL, small_weights
from tests.export.bundles import small_bundle
from tests.objectives.material import made
from tests.tiny import tiny_config

LABELS = ("calm", "happy", "sad")


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """weights.npz of a small MusiCNN, and "run", made of it for three tags."""
    folder = tmp_path_factory.mktemp("musicnn")
    write_weights(folder / "weights.npz", small_weights("musicnn"))
    listed = LabelList(LABELS, "multi_label", "the test")
    run_from_weights(folder / "weights.npz", model="musicnn", labels=listed, out=folder / "run")
    return folder


def network(name="musicnn", *, num_labels=3, **changes):
    return models.build(name, num_labels=num_labels, **SMALL[name] | changes)


def start(path, model, *, task="multi_label", labels=LABELS, **settings):
    rng = np.random.default_rng(7)
    fresh = jax.tree.map(
        lambda leaf: jnp.asarray(rng.standard_normal(leaf.shape), leaf.dtype),
        jax.eval_shape(model.init, jax.random.key(0)),
    )
    loaded = transfer.initialise(fresh, path, model=model, task=task, labels=labels, **settings)
    assert jax.tree.structure(loaded.variables) == jax.tree.structure(fresh)
    for leaf, old in zip(jax.tree.leaves(loaded.variables), jax.tree.leaves(fresh), strict=True):
        assert isinstance(leaf, np.ndarray) and leaf.dtype == old.dtype
    return fresh, loaded


def assert_equal(tree, other):
    jax.tree.map(np.testing.assert_array_equal, tree, other)


def without_head(tree, head="dense2"):
    return {
        collection: {k: v for k, v in of.items() if k != head} for collection, of in tree.items()
    }


def test_what_was_exported_is_as_its_run(weights, tmp_path):
    bundle = bundle_of(weights / "run")
    folder = write_huggingface(bundle, tmp_path / "hub")
    file = write_archive(bundle, tmp_path / "tagger.mclf")
    _, of_run = start(weights / "run", network())
    for path in (folder, file):
        _, loaded = start(path, network())
        assert_equal(loaded.variables, of_run.variables)
        assert loaded.num_parameters() == of_run.num_parameters()
    with pytest.raises(ValueError, match="other features: features.n_mels was 96 and is 48"):
        start(folder, network(features={"n_mels": 48}))
    with pytest.raises(ValueError, match="holds a musicnn, and model.name is 'fcn'"):
        start(file, network("fcn"))


def test_an_ensemble_is_nothing_to_start_from(tmp_path):
    bundle = small_bundle()
    pair = dataclasses.replace(bundle, models=bundle.models * 2, variables=bundle.variables * 2)
    folder = write_huggingface(pair, tmp_path / "hub")
    with pytest.raises(ValueError, match="must be one network"):
        start(folder, bundle.models[0], labels=bundle.labels)


def test_a_converted_checkpoint_for_other_labels(weights):
    fresh, loaded = start(weights / "run", network(num_labels=2), labels=("a", "b"))
    expected = jax.tree.map(
        lambda leaf: leaf.astype(np.float32), from_torch("musicnn", small_weights("musicnn"))
    )
    assert_equal(without_head(loaded.variables), without_head(expected))
    assert_equal(loaded.variables["params"]["dense2"], fresh["params"]["dense2"])
    sizes = {
        name: sum(leaf.size for leaf in jax.tree.leaves(tree))
        for name, tree in loaded.variables["params"].items()
    }
    assert loaded.num_parameters() == {
        "loaded": sum(sizes.values()) - sizes["dense2"],
        "new": sizes["dense2"],
    }
    lines = loaded.text().splitlines()
    taken, total = sum(sizes.values()) - sizes["dense2"], sum(sizes.values())
    statistics = sum(leaf.size for leaf in jax.tree.leaves(loaded.variables["batch_stats"]))
    assert lines == [
        f"starting from {weights / 'run'} (musicnn, supervised, step 0): {taken:,} of {total:,} "
        "parameters",
        "  part            parameters  statistics",
        f"  spec_bn ... bn  {taken:>10,}  {statistics:>10,}  loaded",
        "  dense2                  14              new: for other labels (2, was for 3)",
    ]


@pytest.mark.parametrize(
    ("task", "labels", "why"),
    [
        ("multi_label", LABELS, None),
        ("multi_label", ("calm", "sad", "happy"), "the labels are the same in another order"),
        ("multi_label", ("calm", "happy", "mad"), "for other labels (3, was for 3)"),
        ("single_label", LABELS, "for task single_label, was for multi_label"),
    ],
)
def test_the_last_layer_stays_for_the_same_labels_only(weights, task, labels, why):
    fresh, loaded = start(weights / "run", network(), task=task, labels=labels)
    head = loaded.variables["params"]["dense2"]
    if why is None:
        kernel = small_weights("musicnn")["dense2.weight"].T.astype(np.float32)
        np.testing.assert_array_equal(head["kernel"], kernel)
        assert "new" not in loaded.num_parameters()
    else:
        assert_equal(head, fresh["params"]["dense2"])
        assert loaded.text().splitlines()[-1].endswith(f"new: {why}")


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("suffix", [".npz", ".safetensors", ".pth"])
def test_a_file_of_weights(weights, tmp_path, suffix):
    """As self-supervised training leaves it: wrapped, without a head, beside a projector."""
    if suffix == ".pth":
        pytest.importorskip("torch")
    arrays = {f"encoder.{k}": a for k, a in small_weights("musicnn").items() if "dense2" not in k}
    arrays |= {"projector.0.weight": np.zeros((4, 6))}
    arrays |= {"encoder.bn.num_batches_tracked": np.array(3)}
    write_weights(tmp_path / f"weights{suffix}", arrays)
    fresh, loaded = start(tmp_path / f"weights{suffix}", network())
    _, of_run = start(weights / "run", network())
    assert_equal(without_head(loaded.variables), without_head(of_run.variables))
    assert_equal(loaded.variables["params"]["dense2"], fresh["params"]["dense2"])
    assert loaded.unused == ()
    assert loaded.text().splitlines()[-3:] == [
        "  dense2                  21              new: the file has no last layer",
        "  note: the file does not say which features it was trained on",
        "  note: left out: projector.*",
    ]


def test_a_file_of_weights_with_a_last_layer_does_not_say_for_what(weights):
    fresh, loaded = start(weights / "weights.npz", network())
    assert_equal(loaded.variables["params"]["dense2"], fresh["params"]["dense2"])
    assert "new: the file does not say its labels; `mclf convert` it with them" in loaded.text()


@pytest.mark.slow
def test_a_self_supervised_run_goes_on_with_labels(tmp_path):
    changes = {
        "objective__name": "simclr",
        "train__num_steps": 2,
        "eval__every_steps": 2,
        "optim__ema_decay": 0.0,
    }
    config = tiny_config(**changes)
    config.objective.args = {"projector": (4,)}
    train(config, workdir=tmp_path / "run")
    model = read_model(tmp_path / "run")
    fresh, loaded = start(tmp_path / "run", model, task="single_label", labels=("low", "high"))
    best = restore.restore_best(tmp_path / "run" / "checkpoints", fresh)["variables"]
    assert_equal(without_head(loaded.variables), without_head(dict(best)))
    assert_equal(loaded.variables["params"]["dense2"], fresh["params"]["dense2"])
    assert loaded.text().splitlines()[-1].endswith("new: it was trained by simclr, without labels")
    assert "(short_chunk_cnn, simclr, step 2)" in loaded.origin


@pytest.mark.slow
def test_what_an_objective_derives_starts_there_too(weights):
    model = network()
    _, loaded = start(weights / "run", model)
    started = transfer.starting_from(model, loaded.variables)
    assert dataclasses.replace(started, frozen=frozenset({"bn.bias"})).variables is not None
    initial = made(byol, started, total_steps=10, projector=(4, 4), predictor=(4, 4)).init(
        jax.random.key(0)
    )
    assert_equal(initial["params"]["model"], loaded.variables["params"])
    assert_equal(initial["state"]["target"]["params"]["model"], loaded.variables["params"])
    assert_equal(initial["state"]["model"]["batch_stats"], loaded.variables["batch_stats"])
    assert (started.module, started.features) == (model.module, model.features)


def test_what_does_not_fit_is_skipped_and_the_rest_loaded(weights):
    fresh, loaded = start(weights / "run", network(backend_channels=7))
    bias = small_weights("musicnn")["layers.0.conv.bias"].astype(np.float32)
    np.testing.assert_array_equal(loaded.variables["params"]["layers.0"]["conv"]["bias"], bias)
    for name in ("layer1", "layer2", "layer3"):
        assert_equal(loaded.variables["params"][name], fresh["params"][name])
        assert_equal(loaded.variables["batch_stats"][name], fresh["batch_stats"][name])
    # Biases of dense1 fit, its kernel does not.
    dense1 = small_weights("musicnn")["dense1.bias"].astype(np.float32)
    np.testing.assert_array_equal(loaded.variables["params"]["dense1"]["bias"], dense1)
    text = loaded.text()
    assert "skipped: bn.bias is [5] there and [7] here" in text
    assert "skipped: kernel is [96, 6] there and [108, 6] here" in text
    assert text.endswith("note: model.args.backend_channels was 5 and is 7")
    assert len(text.splitlines()) < 14


def test_renaming(weights, tmp_path):
    renamed = {key.replace("layers.", "front."): a for key, a in small_weights("musicnn").items()}
    renamed |= {
        f"back.{n}.{leaf}": renamed.pop(f"layer{n}.{leaf}")
        for n in (1, 2)
        for leaf in (
            "conv.weight",
            "conv.bias",
            "bn.weight",
            "bn.bias",
            "bn.running_mean",
            "bn.running_var",
        )
    }
    write_weights(tmp_path / "weights.npz", renamed)
    names = (("front", "layers"), ("back.*", "layer*"), ("bn", ""))
    fresh, loaded = start(tmp_path / "weights.npz", network(), renames=names)
    _, of_run = start(weights / "run", network())
    for name in ("layers.0", "layers.4", "layer1", "layer2", "layer3", "dense1"):
        assert_equal(loaded.variables["params"][name], of_run.variables["params"][name])
    assert_equal(loaded.variables["params"]["bn"], fresh["params"]["bn"])
    text = loaded.text()
    assert "renamed: from back.1" in text and "renamed: from front" in text
    assert "not used: bn.running_mean, bn.running_var, bn.bias, bn.weight\n" in text

    def error(message, *names):
        with pytest.raises(ValueError, match=message):
            start(tmp_path / "weights.npz", network(), renames=names)

    error("init.rename has 'encoder', of which there is nothing in", ("encoder", "layers"))
    error("may not have more", ("front", "layer*"))
    error("gives dense1.bias and layer3.bn.bias the same name", ("dense1", "layer3.bn"))


@pytest.mark.parametrize(
    ("renames", "expected"),
    [
        ({"a": "b"}, "b.conv.kernel"),
        ({"a.conv": "b"}, "b.kernel"),
        ({"a.*.kernel": "*.weights.kernel"}, "conv.weights.kernel"),
        ({"*.kernel": "x.*.kernel"}, "x.a.conv.kernel"),
        ({"a.co": "b"}, "a.conv.kernel"),
        ({"b": "c", "*.conv": "*2", "a": "z"}, "a2.kernel"),
        ({"a.*": ""}, None),
    ],
)
def test_patterns_of_renaming(renames, expected):
    assert rename("a.conv.kernel", renames) == expected


@pytest.mark.slow
def test_errors_name_the_fields(weights, tmp_path):
    def error(kind, message, path=weights / "run", model=None, **settings):
        with pytest.raises(kind, match=message):
            start(path, model or network(), **settings)

    error(ValueError, "holds a musicnn, and model.name is 'fcn'", model=network("fcn"))
    other = network(features={"n_mels": 64, "sample_rate_hz": 8000})
    message = "features.sample_rate_hz was 16000 and is 8000; features.n_mels was 96 and is 64. M"
    error(ValueError, message, model=other)
    _, loaded = start(weights / "run", other, other_features="allow")
    notes = [line for line in loaded.text().splitlines() if "note: features." in line]
    assert len(notes) == 2 and loaded.num_parameters()["loaded"] > 0
    error(ValueError, "init.other_features is 'no'; allowed: refuse, allow", other_features="no")
    error(FileNotFoundError, "init.path is '.*absent'", path=tmp_path / "absent")
    error(FileNotFoundError, "is not a run directory", path=tmp_path)
    (tmp_path / "weights.onnx").write_text("")
    error(ValueError, "must be a run directory, .* or a file", path=tmp_path / "weights.onnx")
    write_weights(tmp_path / "fcn.npz", small_weights("fcn"))
    error(
        ValueError,
        "init.path: nothing in .* fits harmonic_cnn",
        path=tmp_path / "fcn.npz",
        model=network("harmonic_cnn", n_channels=5),
    )
    bank = {"spec.mel_scale.fb": np.zeros((257, 128))}
    write_weights(tmp_path / "bank.npz", small_weights("musicnn") | bank)
    error(ValueError, "init.path: .* features.n_mels=128 .*'allow'", path=tmp_path / "bank.npz")
    _, loaded = start(tmp_path / "bank.npz", network(), other_features="allow")
    assert "note: these weights are for features.n_mels=128" in loaded.text()
