"""Steps of methods that compare songs: `python -m tests.tiny_pretraining FILE`, in any processes.

Rows of a batch are ordered by process. Negatives are drawn by row and a queue is filled in the
order of rows, so a process alone reads what two would, in their order.
"""

import os
import sys

import jax
import numpy as np
from ml_collections import ConfigDict

from mclf_jax.common import parallel
from mclf_jax.train import setup as training
from tests.tiny import tiny_config

NUM_STEPS, BATCH_SIZE, QUEUE_SIZE = 3, 32, 64
_NETWORK = {"n_channels": 2, "num_blocks": 1, "dropout_rate": 0.0}
_CPC_NETWORK = {
    "n_channels": 4,
    "kernel_sizes": (10, 4),
    "strides": (10, 4),
    "context_kernel_sizes": (3,),
}
# model.name, model.args and objective.args of each method.
METHODS = {
    "simclr": ("short_chunk_cnn", _NETWORK, {"projector": (8, 4)}),
    "moco": ("short_chunk_cnn", _NETWORK, {"queue_size": QUEUE_SIZE, "dim": 4, "momentum": 0.5}),
    "cpc": ("wav2vec", _CPC_NETWORK, {"num_steps_ahead": 2, "num_negatives": 5, "subsample": 0}),
}


def config_of(method: str) -> ConfigDict:
    # SGD, because Adam makes full steps out of rounding noise.
    config = tiny_config(optim__name="sgd", optim__schedule="constant", optim__ema_decay=0.0)
    config.optim.learning_rate = 3.0 if method == "cpc" else 0.1
    config.data.args.count = 60
    config.train.batch_size = BATCH_SIZE
    config.objective.name = method
    config.model.name, arguments, settings = METHODS[method]
    config.model.args = ConfigDict(arguments)
    config.objective.args = ConfigDict(settings)
    if method == "cpc":
        config.features = ConfigDict({"on": "pipeline", "sample_rate_hz": 1000})
    return config


def steps_of_all() -> dict[str, np.ndarray]:
    """ "method.loss" and "method.grad_norm", [NUM_STEPS], and every array of the last states."""
    runs = {method: training.build(config_of(method)) for method in METHODS}
    mesh, (here, count) = parallel.make_mesh(), (jax.process_index(), jax.process_count())
    shards = [here] if count == 2 else [0, 1]

    def batch_of(run, step):
        parts = [run.batches(process_index=i, process_count=2)[step] for i in shards]
        rows = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        return parallel.put_batch(rows, mesh)

    def first():
        return {method: run.initial_state() for method, run in runs.items()}

    def train_steps(states, batches):
        new = {m: run.steps()[0](states[m], batches[m]) for m, run in runs.items()}
        values = {f"{m}.{k}": new[m][1][k] for m in METHODS for k in ("loss", "grad_norm")}
        return {method: state for method, (state, _) in new.items()}, values

    everywhere = parallel.replicated(mesh)
    states, history = jax.jit(first, out_shardings=everywhere)(), []
    step = jax.jit(train_steps, out_shardings=everywhere)
    for number in range(NUM_STEPS):
        states, values = step(states, {m: batch_of(run, number) for m, run in runs.items()})
        history.append(jax.device_get(values))
    arrays = {name: np.stack([values[name] for values in history]) for name in history[0]}
    for path, leaf in jax.tree_util.tree_leaves_with_path(jax.device_get(states)):
        arrays[jax.tree_util.keystr(path, simple=True, separator=".")] = leaf
    return arrays


if __name__ == "__main__":
    jax.config.update("jax_disable_most_optimizations", True)
    if "JAX_COORDINATOR_ADDRESS" in os.environ:
        parallel.start()
    found = steps_of_all()
    if jax.process_index() == 0:
        np.savez(sys.argv[1], **found)
    print("finished")
