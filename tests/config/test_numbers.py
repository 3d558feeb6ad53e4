"""Every number of a config out of its range is refused by the name of its field."""

import pytest

from mclf_jax import config as config_lib
from mclf_jax import models

BELOW_0 = [
    "augment.cutmix_alpha",
    "augment.eq_std_db",
    "augment.frame_shift_fraction",
    "augment.freq_mask_bands",
    "augment.gain_db",
    "augment.mixup_alpha",
    "augment.num_freq_masks",
    "augment.num_time_masks",
    "augment.time_mask_fraction",
    "data.balance",
    "data.fold",
    "data.fold_seed",
    "data.fraction",
    "data.fraction_seed",
    "data.num_folds",
    "data.song_s",
    "data.songs_per_label",
    "data.view_span_s",
    "eval.batch_size",
    "eval.every_epochs",
    "eval.every_steps",
    "eval.hop_s",
    "eval.num_windows",
    "eval.patience",
    "model.window_s",
    "objective.label_smoothing",
    "objective.num_sampled",
    "optim.base_batch_size",
    "optim.ema_decay",
    "optim.grad_clip_norm",
    "optim.layer_decay",
    "optim.learning_rate",
    "optim.warmup_steps",
    "optim.weight_decay",
    "runtime.keep_best",
    "runtime.keep_last",
    "runtime.log_every_steps",
    "runtime.num_devices",
    "runtime.num_groups",
    "runtime.num_threads",
    "runtime.num_workers",
    "runtime.prefetch",
    "seed",
    "train.accumulate",
    "train.batch_size",
    "train.num_epochs",
    "train.num_steps",
    "unlabelled.ratio",
]
OTHERS = [
    ("data.balance", 2.0),
    ("data.fraction", 0.0),
    ("data.num_folds", 1),
    ("data.song_s", 0.0),
    ("eval.num_windows", 0),
    ("model.window_s", 0.0),
    ("model.window_s", 1e12),
    ("optim.layer_decay", 0.0),
    ("optim.weight_decay", float("nan")),
    ("seed", 2**63),
    ("runtime.keep_last", 1),
    ("runtime.num_threads", 0),
]


def test_none_is_forgotten():
    flat = config_lib.flatten(config_lib.base())
    numbers = {
        field
        for field, value in flat.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
    assert numbers <= set(BELOW_0)


@pytest.mark.parametrize("field, value", [(field, -1) for field in BELOW_0] + OTHERS)
def test_it_is_refused_by_name(field, value):
    config = config_lib.base()
    config.train.num_steps = config.eval.every_steps = 1
    number = float if isinstance(config_lib.flatten(config)[field], float) else type(value)
    config.update_from_flattened_dict({field: number(value)})
    with pytest.raises(ValueError, match=f"^{field} is .*must be"):
        config_lib.validate(config)


@pytest.mark.parametrize(
    "argument, value", [("n_channels", 0), ("n_channels", -1), ("dropout_rate", 1.5)]
)
def test_those_of_a_network_too(argument, value):
    with pytest.raises(ValueError, match=f"model.args.{argument} is {value}; it must be"):
        models.build("short_chunk_cnn", num_labels=2, **{argument: value})


@pytest.mark.parametrize(
    "argument", ["window_s=0", "window_s=nan", "window_s=inf", "window_s=4e3", "steps=-5"]
)
def test_those_behind_the_colon_too(argument):
    with pytest.raises(ValueError, match=f"^{argument.partition('=')[0]} is .*must be"):
        config_lib.load(f"configs/folder.py:{argument}")
    short = "configs/folder.py:window_s=1e-5"
    assert config_lib.load(f"{short},init=none").features.hop_length == 1
    with pytest.raises(ValueError, match="at least 1.5 for a network that starts from 'small'"):
        config_lib.load(short)
