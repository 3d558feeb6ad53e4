"""A run directory with weights that nobody trained, for tests of what uses one."""

import jax
from ml_collections import ConfigDict

from mclf_jax import models
from mclf_jax.config import base
from mclf_jax.run import checkpoint, directory

LOG_MEL = {"sample_rate_hz": 1000, "n_fft": 64, "hop_length": 32, "n_mels": 8}
ARGUMENTS = {"n_channels": 4, "num_blocks": 1, "dropout_rate": 0.0}
LABELS = ("low", "high")


def small_model(*, num_labels=2, window_s=0.5, features=LOG_MEL, **arguments):
    """A network that hears half a second at 1 kHz, without dropout."""
    return models.build(
        "short_chunk_cnn",
        num_labels=num_labels,
        window_s=window_s,
        features=features,
        **ARGUMENTS | arguments,
    )


def write_run(
    run,
    audio,
    *,
    labels=LABELS,
    task="single_label",
    objective="supervised",
    seed=0,
    **arguments,
):
    """The path of a run of `small_model`, whose logits of `audio` have mean 0 and deviation 2."""
    model = small_model(num_labels=len(labels), **arguments)

    @jax.jit
    def calibrated(key):
        variables = model.init(key)
        x = model.features(audio)
        variables["batch_stats"]["spec_bn"] = {"mean": x.mean()[None], "var": x.var()[None]}
        head = variables["params"]["dense2"]
        logits = model.module.apply(variables, x, train=False)["logits"] - head["bias"]
        scale = 2 / logits.std(axis=0)
        new = {"kernel": head["kernel"] * scale, "bias": -(logits * scale).mean(axis=0)}
        return variables | {"params": variables["params"] | {"dense2": new}}

    variables = calibrated(jax.random.key(seed))
    config = base()
    config.model.args = ConfigDict({k: getattr(model.module, k) for k in ARGUMENTS})
    config.objective.name = objective
    config.eval.num_windows = 2
    checkpoints = checkpoint.open_checkpoints(run / "checkpoints")
    checkpoint.save_best(checkpoints, 3, variables)
    checkpoint.close(checkpoints)
    data = {"name": "none", "fingerprint": "none", "splits": {}}
    meta = directory.describe_run(model, task=task, labels=labels, data=data)
    directory.write_run(run, config=config, meta=meta, skipped=())
    return str(run)
