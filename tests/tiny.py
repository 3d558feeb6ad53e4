"""The smallest run there is, on songs in memory: `python -m tests.tiny WORKDIR [field=value]`."""

import ast
import os
import sys

import jax
import numpy as np
import orbax.checkpoint as ocp
from ml_collections import ConfigDict

from mclf_jax import config as config_lib
from mclf_jax import data
from mclf_jax.common import parallel
from mclf_jax.train import train
from tests.songs import Songs

# This module is "__main__" when it is run, and "tests.tiny" when it is imported.
data.SOURCES["songs"] = __name__


def songs(*, sample_rate_hz: int, count: int = 24) -> Songs:
    return Songs(count)


def tiny_config(**changes) -> ConfigDict:
    """20 steps, evaluated every 5; `changes` by field, with `__` for dots."""
    config = config_lib.base()
    config.data.name = "songs"
    config.data.args = ConfigDict({"count": 24})
    config.features.update({"sample_rate_hz": 1000, "n_fft": 64, "hop_length": 32, "n_mels": 8})
    config.model.args = ConfigDict({"n_channels": 4, "num_blocks": 2, "dropout_rate": 0.5})
    config.model.window_s = 0.5
    config.optim.schedule = "cosine"
    config.optim.ema_decay = 0.9
    config.train.batch_size = 8
    config.train.num_steps = 20
    config.eval.update({"every_steps": 5, "batch_size": 8, "num_windows": 2})
    config.runtime.log_every_steps = 2
    named = {field.replace("__", "."): value for field, value in changes.items()}
    return config_lib.override(config, named)


def final_arrays(workdir) -> list[np.ndarray]:
    """Every array of the last checkpoint of a tiny run."""
    latest = max(
        (workdir.absolute() / "checkpoints" / "latest").iterdir(), key=lambda path: int(path.name)
    )
    # As numpy, because the run may have had other devices than this process.
    with ocp.PyTreeCheckpointer() as checkpointer:
        tree = checkpointer.metadata(latest / "state").item_metadata.tree
        as_numpy = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), tree)
        state = checkpointer.restore(latest / "state", restore_args=as_numpy)
    return [np.asarray(leaf) for leaf in jax.tree.leaves(state)]


def _value(text: str):
    try:
        return ast.literal_eval(text)
    except ValueError:
        return text


if __name__ == "__main__":
    if "JAX_COORDINATOR_ADDRESS" in os.environ:
        parallel.start()
    given = (argument.split("=") for argument in sys.argv[2:])
    config = tiny_config(**{field: _value(text) for field, text in given})
    print(train(config, workdir=sys.argv[1], config_change="extend"))
