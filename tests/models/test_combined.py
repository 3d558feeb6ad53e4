"""Any front end with any back end: shapes, names, arguments, and parts from outside."""

import itertools
import json

import jax
import numpy as np
import pytest
from jax import export

from mclf_jax import config as config_lib
from mclf_jax import models, sweep
from mclf_jax.models import combined
from mclf_jax.models.backs import BACKS
from mclf_jax.models.fronts import FRONTS
from mclf_jax.models.hidden import layer_widths
from mclf_jax.run.experiment import features_of
from tests import ROOT
from tests.models.test_networks import one_batch, training

OWN = """
import flax.linen as nn

from mclf_jax.audio.features import LogMel

FEATURES = LogMel(sample_rate_hz=8000, n_mels=16)
WINDOW_SAMPLES = 8000


class Bands(nn.Module):
    width: int = 6
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x, *, train: bool):
        return nn.Dense(self.width, dtype=self.dtype)(x)


class Middle(nn.Module):
    @nn.compact
    def __call__(self, x, *, train: bool):
        return x[:, x.shape[1] // 2]


class Flat(nn.Module):
    @nn.compact
    def __call__(self, x, *, train: bool):
        return x.reshape(len(x), -1)


def function(x):
    return x
"""


def built(front="log_mel", back="pooling", **arguments):
    narrow = {"front_args": {"n_channels": 2}, "width": 8} if front in FRONTS else {}
    return models.build("combined", num_labels=3, front=front, back=back, **narrow | arguments)


def short(config):
    config.train.num_steps = config.eval.every_steps = 1
    return config


def shapes_of(model):
    """Of outputs, and of the variables."""
    variables = jax.eval_shape(model.init, jax.random.key(0))
    audio = jax.ShapeDtypeStruct((2, model.window_samples), np.float32)
    outputs = jax.eval_shape(model.apply, variables, audio)
    return {name: output.shape for name, output in outputs.items()}, variables


@pytest.mark.parametrize("front", FRONTS)
@pytest.mark.slow_beyond(2)
def test_every_front_end_goes_with_a_back_end(front):
    """By what it gives: a sequence of more than a few steps in five seconds."""
    model = built(front, "flatten")
    outputs, variables = shapes_of(model)
    assert model.window_s == 5 and model.length == "fixed"
    assert outputs["logits"] == (2, 3)
    assert outputs["embedding"][1] // 8 >= 10
    assert {name.partition(".")[0] for name in variables["params"]} == {"front", "between", "head"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("front", "back"), [("leaf", "gru"), ("patches", "conformer"), ("frames", "convolutions")]
)
def test_learns_one_batch_by_heart(front, back):
    """What no published network is made of."""
    fewer = {"num_layers": 1, "num_heads": 2, "dropout_rate": 0.0} if back == "conformer" else {}
    model = models.build(
        "combined",
        num_labels=10,
        front=front,
        front_args={"n_channels": 8},
        back=back,
        back_args=fewer,
        width=32,
        dropout_rate=0.0,
        window_s=1.0,
    )
    step, state = training(model)
    batch, losses = one_batch(model), []
    while len(losses) < 100 and (not losses or losses[-1] > 0.1):
        state, metrics = step(state, batch)
        losses.append(float(metrics["loss"]))
    assert losses[0] > 1.5 and losses[-1] <= 0.1


def test_patches_of_one_time_are_side_by_side():
    front = FRONTS["patches"](patch=(2, 4), n_channels=3)
    x = np.random.default_rng(0).standard_normal((1, 7, 8)).astype("f4")
    variables = front.init(jax.random.key(0), x, train=False)
    louder = x.copy()
    louder[:, 2:4, 4:] += 1  # the second time, the upper patch
    before, after = (front.apply(variables, heard, train=False) for heard in (x, louder))
    assert before.shape == (1, 3, 6)
    changed = np.zeros((1, 3, 6), bool)
    changed[:, 1, 3:] = True
    np.testing.assert_array_equal(before != after, changed)


@pytest.mark.parametrize("back", BACKS)
@pytest.mark.slow_beyond(2)
def test_every_back_end_goes_with_a_front_end(back):
    arguments = {"back_args": {"num_heads": 4}} if "former" in back or back == "attention" else {}
    outputs, variables = shapes_of(built(back=back, **arguments))
    assert outputs["logits"] == (2, 3)
    assert outputs["embedding"] == (2, variables["params"]["head"]["kernel"].shape[0])
    ends = {name.partition(".")[0] for name in variables["params"]}
    assert {"front", "between", "head"} <= ends <= {"front", "between", "back", "head"}


def test_the_number_of_rows_may_be_unknown():
    """As it is in exported programs; with depthwise kernels, and with products of LEAF."""
    (rows,) = export.symbolic_shape("rows")
    for front, back in (("patches", "conformer"), ("leaf", "gru")):
        model = built(front, back, window_s=0.5, width=16)
        variables = jax.eval_shape(model.init, jax.random.key(0))
        audio = jax.ShapeDtypeStruct((rows, model.window_samples), np.float32)
        assert jax.eval_shape(model.apply, variables, audio)["logits"].shape == (rows, 3)


def test_its_layers_are_those_of_both_ends():
    two = {"n_channels": 2, "multipliers": (1, 2), "pools": ((8, 8), (4, 4))}
    model = built("log_mel", "gru", front_args=two, width=0)
    names = layer_widths(model)
    assert names == {"front.layer1": 2, "front.layer2": 4, "back.gru": 128, "embedding": 128}
    # As a run directory and a file keep it.
    used = json.loads(json.dumps(models.used_arguments(model)))
    again = models.build("combined", num_labels=3, **used)
    assert again == model and hash(again) == hash(model)


def test_what_it_hears_is_what_its_front_end_hears():
    waveform = built("waveform", "gru")
    assert waveform.features.kind == "waveform"
    config = config_lib.override(
        short(config_lib.base()),
        {"model.name": "combined", "model.args.front": "harmonic", "features.n_fft": 1024},
    )
    assert features_of(config).shape(16000) == (63, 513)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"front": "mel"}, "model.args.front is 'mel'; allowed: waveform, frames, waveform_se,"),
        ({"back": "lstm"}, "model.args.back is 'lstm'; allowed: pooling, flatten"),
        ({"front_args": {"channels": 3}}, "model.args.front_args has channels.*n_channels"),
        ({"front_args": 3}, "model.args.front_args is 3; it must be a dictionary"),
        ({"front_args": {"n_channels": 0}}, "model.args.front_args.n_channels is 0"),
        ({"back_args": {"pooling": "sum"}}, "model.args.back_args.pooling is 'sum'; allowed: max"),
        ({"back": "attention", "width": 12}, "12 wide, .*model.args.back_args.num_heads"),
        ({"window_s": 0.1}, "the input is too small for this network"),
    ],
)
def test_errors_name_the_field(arguments, message):
    with pytest.raises(ValueError, match=message):
        model = models.build("combined", num_labels=2, **arguments)
        jax.eval_shape(model.init, jax.random.key(0))


def test_parts_from_outside(tmp_path):
    file = tmp_path / "bands_and_middle.py"
    file.write_text(OWN)
    front, middle = f"{file}:Bands", f"{file}:Middle"
    model = built(front, middle, front_args={"width": 5}, dtype="bfloat16")
    assert (model.features.sample_rate_hz, model.window_s) == (8000, 1.0)
    outputs, variables = shapes_of(model)
    assert outputs == {"logits": (2, 3), "embedding": (2, 5)}
    assert set(variables["params"]) == {"front", "head"}
    assert layer_widths(model) == {"front": 5, "embedding": 5}
    with pytest.raises(ValueError, match="front_args has depth; .*:Bands takes width"):
        built(front, front_args={"depth": 5})
    with pytest.raises(ValueError, match=r"makes \(1, \d+\) of .*; it must make \[B, F, D\]"):
        shapes_of(built(f"{file}:Flat"))
    with pytest.raises(ValueError, match="must be a subclass of flax.linen.Module"):
        built(f"{file}:function")


def test_overrides_reach_the_arguments_of_parts():
    config = short(config_lib.base())
    config.model.name = "combined"
    config.model.args.front_args = {"n_channels": 2}
    changed = config_lib.override(config, {"model.args.back_args.hidden_size": 7})
    assert changed.model.args.to_dict() == {
        "front_args": {"n_channels": 2},
        "back_args": {"hidden_size": 7},
    }
    other = config_lib.override(changed, {"model.args.front": "waveform"})
    assert other.model.args.to_dict() == {"front": "waveform", "back_args": {"hidden_size": 7}}
    typed = config_lib.load(
        f"{ROOT}/configs/ablations/parts.py:size=small,fronts=waveform",
        overrides=["--config.model.args.front_args.num_blocks=5"],
    )
    assert typed.model.args.front_args.to_dict() == {"n_channels": 16, "num_blocks": 5}


def test_the_comparison_has_every_front_end_and_every_back_end():
    path = f"{ROOT}/configs/ablations/parts.py:size=small"
    config, pairs = config_lib.load(path), set()
    for name, changes in sweep.settings_of(path):
        arguments = config_lib.override(config, changes).model.args.to_dict()
        combined.check(models.arguments_of("combined") | arguments)
        pairs.add((arguments["front"], arguments["back"]))
        assert name == f"{arguments['front']},{arguments['back']},seed=0"
    assert pairs == set(itertools.product(FRONTS, BACKS))
