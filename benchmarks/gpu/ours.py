"""Steps of mclf_jax on one device: `python -m benchmarks.gpu.ours NAME --size full --out DIR`.

The step is that of `mclf train`: loss, gradients, Adam, batch statistics. It begins with what the
network takes, spectrograms or two views of a waveform; features and augmentation are not in it.
"""

import gc
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from benchmarks.gpu.cases import (
    CASES,
    NUM_LABELS,
    PRECISIONS,
    Case,
    read_arguments,
    say,
    timed,
    weights_file,
)
from mclf_jax import models, objectives
from mclf_jax.augment import Chains
from mclf_jax.common import keys, parallel
from mclf_jax.config import base
from mclf_jax.convert.to_torch import to_torch
from mclf_jax.models import Model
from mclf_jax.objectives.context import context_of
from mclf_jax.train import optim
from mclf_jax.train.spending.flops import step_flops
from mclf_jax.train.step import init_state, make_train_step

_MATMUL = {"bfloat16": "bfloat16", "tensorfloat32": "tensorfloat32", "float32": "highest"}


def main() -> None:
    arguments = read_arguments(__doc__.splitlines()[0])
    case = CASES[arguments.size][arguments.name]
    device = jax.devices(arguments.device)[0]
    say(kind="device", device=device.device_kind, jax=jax.__version__)
    # First, since PyTorch's side needs the weights.
    for found in parity(case, arguments.name, device, out=arguments.out):
        say(kind="parity", network=arguments.name, **found)
    with jax.default_device(device):
        for precision in PRECISIONS:
            try:
                found = measure(case, precision, device, seconds=arguments.seconds)
            except Exception as error:  # the others go on
                found = {"error": f"{type(error).__name__}: {str(error)[:300]}"}
            say(kind="step", by="mclf_jax", network=arguments.name, precision=precision, **found)
            gc.collect()


def measure(case: Case, precision: str, device: jax.Device, *, seconds: float) -> dict[str, Any]:
    """Time, memory and arithmetic of a step."""
    model = build(case, precision)
    with jax.default_matmul_precision(_MATMUL[precision]):
        objective, optimizer = _objective_and_optimizer(model)
        step = jax.jit(
            make_train_step(objective=objective, optimizer=optimizer, seed=0), donate_argnums=0
        )
        state = jax.jit(
            lambda key: init_state(key, objective=objective, optimizer=optimizer, ema_decay=0.0)
        )(keys.stream(0, "init"))
        hosts = [batch_of(model, case, seed) for seed in (0, 1)]
        mesh = parallel.make_mesh(devices=[device])
        resident = parallel.put_batch(hosts[0], mesh)
        flops = step_flops(step, state, resident)
        start_s = time.perf_counter()
        state, metrics = jax.block_until_ready(step(state, resident))
        compile_s = time.perf_counter() - start_s

        def run(count: int, *, fed: bool = False) -> None:
            nonlocal state, metrics
            before = metrics
            for i in range(count):
                batch = parallel.put_batch(hosts[i % 2], mesh) if fed else resident
                state, metrics = step(state, batch)
                jax.block_until_ready(before)  # one step ahead of the device, as in training
                before = metrics
            jax.block_until_ready(metrics)

        step_s = timed(run, seconds=seconds)
        fed_s = timed(lambda count: run(count, fed=True), seconds=seconds)
    memory = device.memory_stats() or {}
    return {
        "batch_size": case.batch_size,
        "step_ms": 1000 * step_s,
        "fed_ms": 1000 * fed_s,
        "compile_s": compile_s,
        "flops": flops,
        "peak_bytes": memory.get("peak_bytes_in_use"),
        "loss": float(metrics["loss"]),
    }


def build(case: Case, precision: str) -> Model:
    """The network, in bfloat16 for that, else in float32, whose products are as precise as told."""
    return models.build(
        case.network,
        num_labels=NUM_LABELS,
        window_s=case.window_s,
        dtype="bfloat16" if precision == "bfloat16" else "float32",
        **case.arguments,
    )


def _objective_and_optimizer(model: Model) -> tuple[Any, Any]:
    config = base()
    if model.name == "clmr_sample_cnn":
        config.objective.name = "simclr"
        config.objective.args = ConfigDict({"temperature": 0.5, "projector": (512, 64)})
    context = context_of(
        model,
        config,
        chains=Chains(),
        task="multi_label",
        label_names=tuple(map(str, range(NUM_LABELS))),
        targets=lambda: np.zeros((1, NUM_LABELS), np.float32),
        total_steps=1000,
    )
    return objectives.build(context, config), optim.build(config.optim, total_steps=1000)


def batch_of(model: Model, case: Case, seed: int) -> dict[str, np.ndarray]:
    """Noise where a batch has sound."""
    rng, size = np.random.default_rng(seed), case.batch_size
    views = (2,) if model.name == "clmr_sample_cnn" else ()
    name = "audio" if views else "features"
    return {
        name: rng.standard_normal((size, *views, *model.input_shape), np.float32),
        "label": (rng.random((size, NUM_LABELS)) < 0.1).astype(np.float32),
        "valid": np.ones(size, np.float32),
        "index": np.arange(size, dtype=np.int32),
        "group": np.arange(size, dtype=np.int32),
    }


def parity(case: Case, name: str, device: jax.Device, *, out: Path) -> list[dict[str, Any]]:
    """Scores on the device against those of this machine's CPU in float32, same weights and input.

    Weights, input and logits of the CPU are left in `out` for PyTorch.
    """
    cpu = jax.devices("cpu")[0]
    plain = build(case, "float32")
    x = np.random.default_rng(2).standard_normal((4, *plain.input_shape), np.float32)

    def logits(model: Model, variables: Any, on: jax.Device, precision: str) -> np.ndarray:
        apply = jax.jit(lambda v, x: model.module.apply(v, x, train=False)["logits"])
        with jax.default_matmul_precision(_MATMUL[precision]):
            return np.asarray(apply(*jax.device_put((variables, x), on)), np.float32)

    with jax.default_device(cpu):
        variables = jax.device_get(jax.jit(plain.init)(jax.random.key(0)))
    expected = logits(plain, variables, cpu, "float32")
    arrays = {f"weight {key}": array for key, array in to_torch(plain, variables).items()}
    np.savez(weights_file(out, name), x=x, logits=expected, **arrays)
    return [
        {
            "by": "mclf_jax",
            "precision": precision,
            **differences(logits(build(case, precision), variables, device, precision), expected),
        }
        for precision in PRECISIONS
    ]


def differences(logits: np.ndarray, expected: np.ndarray) -> dict[str, float]:
    """{"scores": largest difference of a probability, "logits": that of a logit, in deviations}."""

    def scores(of: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-of.astype(np.float64)))

    return {
        "scores": float(np.abs(scores(logits) - scores(expected)).max()),
        "logits": float(np.abs(logits - expected).max() / expected.std()),
    }


if __name__ == "__main__":
    main()
