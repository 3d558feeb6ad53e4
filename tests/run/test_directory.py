"""The JSON of a run, damaged or tampered with: file and field are named, and nothing is guessed."""

import itertools
import json
import math

import numpy as np
import pytest

from mclf_jax.common import parallel
from mclf_jax.run.directory import read_config, read_meta
from mclf_jax.run.weights import load_variables, open_run
from tests.damaged_json import changed_fields, whole_files
from tests.small_run import write_run


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "small"
    write_run(path, np.random.default_rng(0).normal(size=(2, 500)).astype(np.float32))
    return path


@pytest.fixture
def rewrite(run):
    """Writes another content to a file of the run, which is what it was afterwards."""
    before = {}

    def write(name, content):
        before.setdefault(name, (run / name).read_bytes())
        (run / name).write_bytes(content)
        return run

    yield write
    for name, content in before.items():
        (run / name).write_bytes(content)


@pytest.mark.parametrize("name", ["config.json", "meta.json"])
def test_another_file_in_its_place_is_named(run, rewrite, name):
    for what, content in whole_files((run / name).read_text()):
        rewrite(name, content)
        with pytest.raises(ValueError) as error:
            open_run(run)
        assert str(error.value).startswith(str(run / name)), what


@pytest.mark.parametrize("name", ["config.json", "meta.json"])
def test_a_changed_field_is_named_or_does_not_matter(run, rewrite, name):
    for what, content in itertools.islice(changed_fields((run / name).read_text()), 0, None, 31):
        rewrite(name, content)
        try:
            open_run(run)
        except ValueError as error:
            assert str(run / name) in str(error), what


@pytest.mark.parametrize(
    ("name", "path", "value", "message"),
    [
        ("config.json", "optim.learning_rate", "fast", 'is "fast"; it must be a number'),
        ("config.json", "optim.learning_rate", -1.0, "is -1.0; it must be positive"),
        ("config.json", "model", [], r"is \[\]; it must be an object"),
        ("config.json", "train.num_steps", 2.5, "is 2.5; it must be a whole number or null"),
        ("meta.json", "labels", "rock", 'is "rock"; it must be a list'),
        ("meta.json", "labels", [1], r"labels\[0\] is 1; it must be a text"),
        ("meta.json", "features.n_fft", -4, "n_fft"),
        ("meta.json", "features.kind", "tone", "kind is 'tone'; allowed: "),
        ("meta.json", "model.window_samples", 0, "is 0; it must be at least 1"),
        ("meta.json", "task", "guessing", "task is 'guessing'; allowed: single_label, "),
    ],
)
def test_what_a_field_must_be(run, rewrite, name, path, value, message):
    content = json.loads((run / name).read_text())
    *parents, last = path.split(".")
    at = content
    for key in parents:
        at = at[key]
    at[last] = value
    rewrite(name, json.dumps(content).encode())
    with pytest.raises(ValueError, match=f"{name}: .*{message}"):
        open_run(run)


def test_arguments_that_make_no_network(run, rewrite):
    config = json.loads((run / "config.json").read_text())
    for wrong in ("x", None, [], {}, 0.5):
        config["model"]["args"]["n_channels"] = wrong
        rewrite("config.json", json.dumps(config).encode())
        with pytest.raises(
            ValueError, match=r"config.json(: model.args.n_channels is| and .* no network)"
        ):
            load_variables(run, open_run(run).model, parallel.make_mesh(1))


def test_a_field_that_came_later_has_its_default(run, rewrite):
    config = json.loads((run / "config.json").read_text())
    del config["augment"]["cutmix_alpha"], config["parallel"]
    rewrite("config.json", json.dumps(config).encode())
    assert read_config(run).augment.cutmix_alpha == 0
    assert read_config(run).parallel.params == "replicated"
    assert math.isfinite(read_meta(run)["model"]["window_samples"])
