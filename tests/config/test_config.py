"""Configs: overrides, checks in words, durations, and the golden text of every config file."""

import inspect
import json
import os

import pytest

from mclf_jax import config as config_lib
from mclf_jax.config import (
    base,
    differences,
    evaluation_steps,
    format_arg,
    load,
    override,
    parse_arg,
    phase_steps,
    validate,
)
from mclf_jax.objectives import arguments_of
from tests.recipes import EXPERIMENTS, ROOT, golden_name

GOLDEN = ROOT / "tests" / "golden"


@pytest.mark.parametrize(("file", "arg"), EXPERIMENTS)
def test_resolved_text_is_golden(file, arg):
    """UPDATE_GOLDEN=1 writes the files anew; then the diff shows what a change does."""
    text = config_lib.to_json(load(f"{ROOT / file}:{arg}"))
    golden = GOLDEN / f"{golden_name(file, arg)}.json"
    if os.environ.get("UPDATE_GOLDEN"):
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(text)
    assert text == golden.read_text()


def test_every_golden_file_has_its_config():
    names = {f"{golden_name(file, arg)}.json" for file, arg in EXPERIMENTS}
    assert {path.name for path in GOLDEN.glob("*.json")} == names


def test_arguments_of_the_network_can_be_overridden_even_if_the_config_is_silent():
    path = str(ROOT / "configs" / "quickstart.py")
    config = load(path, overrides=["--config.model.args.pooling=mean_max"])
    assert config.model.args.pooling == "mean_max"
    assert override(load(path), {"model.args.pooling": "mean_max"}).model.args == config.model.args
    with pytest.raises(ValueError, match="no field 'model.args.poolin'"):
        load(path, overrides=["--config.model.args.poolin=max"])


def test_arguments_of_a_target_can_be_given_where_there_is_one():
    path = str(ROOT / "configs" / "quickstart.py")
    changes = {"data.target_args.edges": (1970, 1980), "data.target_args.column": "year"}
    changes["data.target"] = "column"
    config = load(path, overrides=[f"--config.{k}={v}" for k, v in changes.items()])
    assert config.data.target_args.to_dict() == {"edges": (1970, 1980), "column": "year"}
    assert override(load(path), changes) == config
    with pytest.raises(ValueError, match="it is of data.target, which is ''; set that, too"):
        load(path, overrides=["--config.data.target_args.column=year"])


@pytest.mark.parametrize("order", [1, -1])
def test_another_network_or_objective_starts_without_arguments(order):
    """In any order, from Python and on the command line; those of the old one do not linger."""
    path = str(ROOT / "configs" / "quickstart.py")
    changes = {
        "objective.args.temperature": 0.25,
        "objective.name": "simclr",
        "model.args.n_channels": 3,
        "model.name": "fcn",
        "features.n_fft": 256,  # which holds None, and still knows its type
    }
    changes = dict(list(changes.items())[::order])
    config = load(path, overrides=[f"--config.{k}={v}" for k, v in changes.items()])
    assert config == override(load(path), changes)
    assert config.model.args.to_dict() == {"n_channels": 3}
    assert config.objective.args.to_dict() == {"temperature": 0.25}
    again = override(config, {"objective.name": "simclr", "objective.args.projector": (8,)})
    assert again.objective.args.to_dict() == {"temperature": 0.25, "projector": (8,)}
    assert override(config, {"objective.name": "supervised"}).objective.args.to_dict() == {}
    assert config.objective.name == "simclr"  # the given one stays as it is
    with pytest.raises(ValueError, match="unknown field 'objective.args.momentum'"):
        override(config, {"objective.args.momentum": 0.9})
    with pytest.raises(ValueError, match="no field 'model.args.num_blocks'"):
        load(path, overrides=["--config.model.name=fcn", "--config.model.args.num_blocks=3"])
    with pytest.raises(ValueError, match="objective.name is 'simclear'; allowed"):
        override(config, {"objective.name": "simclear", "objective.args.temperature": 1.0})
    with pytest.raises(ValueError, match="override of seed"):
        override(config, {"seed": "three"})


def test_arguments_whose_default_is_no_type(monkeypatch):
    """A teacher that has to be given, and a threshold that may be None."""
    defaults = {"teacher": inspect.Parameter.empty, "threshold": None}
    monkeypatch.setattr("mclf_jax.objectives.arguments_of", lambda name: defaults)
    path = str(ROOT / "configs" / "quickstart.py")
    for changes in (
        {"objective.args.teacher": "runs/teacher,seed=0", "objective.args.threshold": 0.5},
        {"objective.args.teacher": "runs/1", "objective.args.threshold": None},
    ):
        config = load(path, overrides=[f"--config.{k}={v}" for k, v in changes.items()])
        assert config == override(load(path), changes)
        assert [config.objective.args[k.split(".")[-1]] for k in changes] == list(changes.values())


def test_overrides_are_typed():
    path = str(ROOT / "configs" / "quickstart.py")
    config = load(
        f"{path}:task=instruments",
        overrides=["--config.optim.learning_rate=1e-4", "--config.features.n_mels=48"],
    )
    assert config.data.args.task == "instruments"
    assert config.optim.learning_rate == 1e-4
    assert config.features.n_mels == 48
    other = load(path, overrides=["--config.train.num_epochs=None", "--config.train.num_steps=7"])
    assert (other.train.num_epochs, other.train.num_steps) == (None, 7)
    with pytest.raises(ValueError, match="'optim.learning_rat'; did you mean optim.learning_rate"):
        load(path, overrides=["--config.optim.learning_rat=1"])
    with pytest.raises(ValueError, match="batch_size"):
        load(path, overrides=["--config.train.batch_size=many"])
    with pytest.raises(ValueError, match="no such file"):
        load("configs/absent.py")
    phases = "--config.optim.phases=((1, 'adam', 1e-4),)"
    plain = ["--config.optim.schedule=constant", "--config.optim.warmup_steps=0"]
    assert load(path, overrides=[phases, *plain]).optim.phases == ((1, "adam", 1e-4),)
    with pytest.raises(ValueError, match="'tusk'; allowed: task"):
        load(f"{path}:tusk=style")


def complete(**changes):
    config = base()
    config.train.num_steps = 10
    config.eval.every_steps = 5
    return override(config, {name.replace("__", "."): value for name, value in changes.items()})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("data__level", "songs"),
        ("data__short", "loop"),
        ("features__on", "gpu"),
        ("optim__schedule", "step"),
        ("optim__decay_mask", "some"),
        ("objective__pos_weight", "auto"),
        ("parallel__params", "tensor"),
        ("optim__learning_rate", 0.0),
        ("optim__learning_rate", None),
        ("data__song_s", None),
        ("optim__ema_decay", None),
        ("optim__ema_decay", 1.0),
        ("objective__label_smoothing", 1.0),
        ("train__batch_size", 0),
        ("train__num_steps", -1),
    ],
)
def test_errors_name_the_field(field, value):
    with pytest.raises(ValueError, match=field.replace("__", ".")):
        complete(**{field: value})


def test_mixtures_are_for_objectives_that_take_them():
    assert complete(augment__mixup_alpha=0.4).augment.mixup_alpha == 0.4
    with pytest.raises(
        ValueError, match="augment.cutmix_alpha are for .*; set them to 0 for 'byol'"
    ):
        complete(augment__cutmix_alpha=1.0, objective__name="byol")


def test_parts_of_a_batch_are_for_losses_of_each_song_alone():
    with pytest.raises(ValueError, match="batch_size is 16; .* train.accumulate, which is 3"):
        complete(train__accumulate=3)
    with pytest.raises(ValueError, match="simclr compares .* supervised, noisy_student; .*num_chu"):
        complete(train__accumulate=4, objective__name="simclr")
    complete(train__accumulate=4)


def test_the_queue_of_moco_holds_whole_batches():
    path = f"{ROOT}/configs/small_pretraining.py:method=moco"
    with pytest.raises(ValueError, match="queue_size is 480; .* train.batch_size, which is 64"):
        load(path, overrides=["--config.train.batch_size=64"])
    load(path, overrides=["--config.train.batch_size=32"])
    with pytest.raises(ValueError, match="queue_size is 65536; .* train.batch_size, which is 96"):
        load(f"{ROOT}/configs/moco.py", overrides=["--config.train.batch_size=96"])
    assert arguments_of("moco")["queue_size"] == 65_536


def test_unlabelled_songs_of_another_data_set():
    flags = ["name=folder", "args.path=A", "args.min_duration_s=0.5", "args.task=multi_label"]
    config = load(
        f"{ROOT}/configs/semi_supervised.py:method=fixmatch,path=B",
        overrides=[f"--config.unlabelled.{flag}" for flag in flags],
    )
    expected = {"path": "A", "min_duration_s": 0.5, "task": "multi_label"}
    assert config.unlabelled.args.to_dict() == expected
    moved = override(config, {"unlabelled.args.path": "C", "data.args.path": "D"})
    assert differences(config, moved) == {}


def test_exactly_one_duration():
    with pytest.raises(
        ValueError, match="one of train.num_steps and train.num_epochs .* got None and None"
    ):
        validate(base())
    with pytest.raises(ValueError, match="one of eval.every_steps"):
        complete(eval__every_epochs=1.0)


@pytest.mark.parametrize(
    ("phases", "message"),
    [
        (
            (80, "sgd", 1e-3),
            r"optim.phases\[0\] is 80; it must be \(from_epoch, name, learning_rate",
        ),
        (((8, "sgd", "fast"),), r"optim.phases\[0\] is \(8, 'sgd', 'fast'\); it must be"),
        (((8, "sgd"),), r"optim.phases\[0\] is \(8, 'sgd'\); it must be"),
        (((0, "sgd", 1e-3),), r"optim.phases\[0\] starts at epoch 0; it must start after 0"),
        (((8, "sgd", 1e-3), (8, "sgd", 1e-4)), r"optim.phases\[1\] starts at epoch 8; .* after 8"),
        (((8, "sgd", 0.0),), r"learning rate of optim.phases\[0\] is 0.0; it must be positive"),
    ],
)
def test_phases_that_make_no_sense(phases, message):
    with pytest.raises(ValueError, match=message):
        complete(optim__phases=phases)


def test_phases_go_with_nothing_else_that_changes_the_rate():
    changes = {"optim__phases": ((8, "sgd", 1e-3),), "optim__schedule": "cosine"}
    with pytest.raises(ValueError, match="optim.phases needs .* but optim.schedule is 'cosine'"):
        complete(**changes)
    with pytest.raises(ValueError, match="optim.warmup_steps is 3, optim.ema_decay is 0.9"):
        complete(
            optim__phases=changes["optim__phases"], optim__warmup_steps=3, optim__ema_decay=0.9
        )


def test_unknown_override():
    with pytest.raises(ValueError, match="model.depth"):
        complete(model__depth=3)


def test_evaluation_steps():
    assert evaluation_steps(complete(), num_examples=100) == [5, 10]
    epochs = complete()
    epochs.train.update({"num_steps": None, "num_epochs": 3.0, "batch_size": 32})
    epochs.eval.update({"every_steps": None, "every_epochs": 1.0})
    assert evaluation_steps(epochs, num_examples=72) == [2, 4, 7]  # 2.25, 4.5, 6.75
    epochs.train.num_epochs = 0.001
    assert evaluation_steps(epochs, num_examples=72) == [1]
    phases = complete(optim__phases=((2, "sgd", 1e-3), (100, "sgd", 1e-4)))
    assert phase_steps(phases, num_examples=24) == [3, 150]
    assert evaluation_steps(phases, num_examples=24) == [3, 5, 10]


def test_json_round_trip_and_differences():
    config = complete()
    again = config_lib.from_json(config_lib.to_json(config))
    assert config_lib.differences(again, config) == {}
    changed = complete(seed=1, runtime__num_threads=7)
    assert config_lib.differences(again, changed) == {"seed": {"old": 0, "new": 1}}
    text = json.loads(config_lib.to_json(config))
    del text["augment"]["cutmix_alpha"]  # from before the field was there
    older = config_lib.from_json(json.dumps(text))
    assert older.augment.cutmix_alpha == 0
    assert config_lib.differences(older, config) == {}
    older.data.args = {"path": "here", "seed": 0}
    config.data.args = {"path": "there", "seed": 1}
    assert config_lib.differences(older, config) == {"data.args.seed": {"old": 0, "new": 1}}


def test_parse_arg():
    values = parse_arg("small,rate=2.5,name=x", small=False, rate=1.0, name="", left=3)
    assert values.to_dict() == {"small": True, "rate": 2.5, "name": "x", "left": 3}
    with pytest.raises(ValueError, match="rate='fast' is no float"):
        parse_arg("rate=fast", rate=1.0)
    assert parse_arg("", size=("small", "large")).size == "small"
    assert parse_arg("size=large", size=("small", "large")).size == "large"
    with pytest.raises(ValueError, match="size='huge'; allowed: small, large"):
        parse_arg("size=huge", size=("small", "large"))


def test_a_comma_within_a_value_is_escaped():
    assert parse_arg(r"path=a\,b,small", path="", small=False).to_dict() == {
        "path": "a,b",
        "small": True,
    }
    with pytest.raises(ValueError, match=r"argument 'songs'; allowed: run, path. .*written \\,"):
        parse_arg("run=runs/supervised,songs=3", run="", path="")
    values = {"path": "runs/supervised,songs=3", "steps": 5}
    assert parse_arg(format_arg(**values), path="", steps=0).to_dict() == values


@pytest.mark.parametrize("name", ["semi_supervised", "small_pretraining", "ablations/few_labels"])
def test_configs_that_build_on_others_keep_a_comma(name):
    config = load(rf"{ROOT}/configs/{name}.py:path=Handel\, Messiah")
    assert config.data.args.path == "Handel, Messiah"
