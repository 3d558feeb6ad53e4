"""Forward and training step of every network beside PyTorch's, from the waveform on.

Sizes and windows are the published ones. A step is features, forward, loss, gradients, batch
statistics and Adam; of `clmr_sample_cnn` the contrastive one, of two views. Both networks have the
same weights before the first round, and a row is measured only if their logits agree. Without
PyTorch only ours is measured.
"""

import argparse
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from benchmarks.frame.alternate import alternate, peak_bytes
from benchmarks.frame.machine import product_flops_per_s
from benchmarks.frame.report import Row
from benchmarks.frame.rows import wanted
from mclf_jax import models, objectives
from mclf_jax.augment import Chains
from mclf_jax.common import keys, parallel
from mclf_jax.config import base
from mclf_jax.models import Model
from mclf_jax.objectives.context import context_of
from mclf_jax.train import optim
from mclf_jax.train.spending.flops import step_flops
from mclf_jax.train.step import init_state, make_train_step

NAMES = (
    *("fcn", "musicnn", "crnn", "sample_cnn", "sample_cnn_se", "short_chunk_cnn"),
    *("short_chunk_resnet", "cnnsa", "harmonic_cnn", "music_tagging_transformer"),
    *("tutorial_cnn", "clmr_sample_cnn"),
)
NUM_LABELS = 50
GOALS = {"forward": 0.8, "training": 1.0}


def add_options(parser: argparse._ArgumentGroup) -> None:
    parser.add_argument(
        "--batch", type=int, nargs="+", default=[1, 8, 16], help="sizes of a batch (1 8 16)"
    )
    parser.add_argument(
        "--compile", action="store_true", help="PyTorch by torch.compile, which needs a compiler"
    )
    parser.add_argument("--memory", action="store_true", help="measure memory, too")


def measure(options: argparse.Namespace) -> Iterator[Row]:
    """Rows NAME, forward | training, batch B."""
    small = options.size == "small"
    for name in ("tutorial_cnn",) if small else NAMES:
        for size in (2,) if small else options.batch:
            asked = [
                kind for kind in GOALS if wanted(f"{name}, {kind}, batch {size},", options.only)
            ]
            if asked:
                yield from rows_of(name, size, asked, options)


def rows_of(name: str, size: int, kinds: list[str], options: argparse.Namespace) -> Iterator[Row]:
    """The rows of a network and a batch size."""
    model = models.build(name, num_labels=NUM_LABELS)
    batch = batch_of(model, size)
    variables = jax.device_get(model.init(jax.random.key(0)))
    ours = our_calls(model, variables, batch, kinds)
    theirs = their_calls(model, variables, batch, kinds, compiled=options.compile)
    rate = product_flops_per_s()
    for kind in kinds:
        calls = {"ours": ours[kind]["call"]}
        if kind in theirs:
            calls["theirs"] = theirs[kind]["call"]
        times = alternate(calls, rounds=options.rounds)
        row: Row = {"name": f"{name}, {kind}, batch {size}", "goal": GOALS[kind]}
        row["ours_s"] = times["ours"].median_s
        flops = ours[kind]["flops"]
        if kind in theirs:
            row["theirs_s"] = times["theirs"].median_s
            row["peer"] = "PyTorch, " + ("compiled" if options.compile else "eager")
            row["difference"] = theirs["difference"]
            flops = theirs[kind]["flops"]  # of the network, whatever gradients are made of
            row["theirs_share"] = flops / times["theirs"].median_s / rate
        row["flops"] = flops
        row["share"] = flops / times["ours"].median_s / rate
        if options.memory:
            row |= {f"{side}_bytes": peak_bytes(call) for side, call in calls.items()}
        yield row


def batch_of(model: Model, size: int) -> dict[str, np.ndarray]:
    """Noise where a batch has sound."""
    rng = np.random.default_rng(0)
    views = (2,) if is_contrastive(model) else ()
    return {
        "audio": 0.1 * rng.standard_normal((size, *views, model.window_samples), np.float32),
        "label": (rng.random((size, NUM_LABELS)) < 0.1).astype(np.float32),
        "valid": np.ones(size, np.float32),
        "index": np.arange(size, dtype=np.int32),
        "group": np.arange(size, dtype=np.int32),
    }


def is_contrastive(model: Model) -> bool:
    """Whether a network is trained without labels."""
    return model.name == "clmr_sample_cnn"


def our_calls(
    model: Model, variables: Any, batch: dict[str, np.ndarray], kinds: list[str]
) -> dict[str, dict[str, Any]]:
    """{kind: {"call", "flops"}}; a call returns when its work is done."""
    found = {}
    device = jax.devices()[0]
    if "forward" in kinds:
        forward = jax.jit(lambda variables, audio: model.apply(variables, audio)["logits"])
        audio = batch["audio"][:, 0] if is_contrastive(model) else batch["audio"]
        given = jax.device_put((variables, audio), device)
        found["forward"] = {
            "call": lambda: forward(*given).block_until_ready(),
            "flops": step_flops(forward, *given),
        }
    if "training" in kinds:
        config = base()
        if is_contrastive(model):
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
        objective = objectives.build(context, config)
        optimizer = optim.build(config.optim, total_steps=1000)
        step = jax.jit(
            make_train_step(objective=objective, optimizer=optimizer, seed=0), donate_argnums=0
        )
        state = jax.jit(
            lambda key: init_state(key, objective=objective, optimizer=optimizer, ema_decay=0.0)
        )(keys.stream(0, "init"))
        resident = parallel.put_batch(batch, parallel.make_mesh(devices=[device]))
        flops = step_flops(step, state, resident)

        def train() -> None:
            nonlocal state
            state, metrics = step(state, resident)
            jax.block_until_ready((state, metrics))

        found["training"] = {"call": train, "flops": flops}
    return found


def their_calls(
    model: Model,
    variables: Any,
    batch: dict[str, np.ndarray],
    kinds: list[str],
    *,
    compiled: bool,
) -> dict[str, Any]:
    """{kind: {"call", "flops"}, "difference": of logits, in their deviations}.

    {} without PyTorch.
    """
    try:
        from benchmarks.peers import calls
    except ImportError as error:
        if error.name != "torch":
            raise
        return {}
    expected: Callable[..., Any] = jax.jit(lambda v, x: model.apply(v, x)["logits"])
    audio = batch["audio"][:, 0] if is_contrastive(model) else batch["audio"]
    return calls.build(
        model,
        variables,
        audio=batch["audio"],
        label=batch["label"],
        kinds=kinds,
        compiled=compiled,
        expected=np.asarray(expected(variables, audio[:2])),
    )
