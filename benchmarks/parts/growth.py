"""How time and memory grow with what there is more of, and the slope on paper with two logarithms.

1 is linear. Windows, batch, width and labels are those of a training step of `short_chunk_cnn`, on
waveforms; contrastive batch is InfoNCE with its gradient, 128 numbers each, all pairs of which are
compared, so 2 is what it must be; songs are those of a data set whose order is drawn.
"""

import argparse
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import numpy as np
from matplotlib.figure import Figure

from benchmarks.frame.alternate import alternate, peak_bytes
from benchmarks.frame.rows import wanted
from mclf_jax import losses, models
from mclf_jax.data.pipeline import Input, training_batches

Call = Callable[[], object]


def measure(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """A row for each size of each quantity, "window 2 (s)"."""
    for quantity, (sizes, make) in _QUANTITIES.items():
        for size in sizes[:2] if options.size == "small" else sizes:
            name = f"{quantity} {size:g}"
            if not wanted(name, options.only):
                continue
            call = make(size)
            call()
            memory = peak_bytes(call)
            times = alternate({"ours": call}, rounds=options.rounds)
            yield {
                "name": name,
                "quantity": quantity,
                "size": size,
                "ours_s": times["ours"].median_s,
                "ours_bytes": memory,
            }


def slope(rows: Sequence[dict[str, Any]], of: str) -> float:
    """Of the logarithm of `of` over that of the size, through the upper half of the sizes.

    >>> slope([{"size": n, "t": 3 * n**2} for n in (1, 2, 4, 8)], "t").round(3)
    2.0
    """
    upper = sorted(rows, key=lambda row: row["size"])[len(rows) // 2 - (len(rows) < 4) :]
    x, y = (np.log([row[key] for row in upper]) for key in ("size", of))
    return np.polyfit(x, y, 1)[0]


def draw(rows: Sequence[dict[str, Any]]) -> Figure:
    """Time and memory over size, a column for each quantity."""
    quantities = list(dict.fromkeys(row["quantity"] for row in rows))
    figure = Figure(figsize=(2.6 * max(1, len(quantities)), 5), layout="constrained")
    axes = figure.subplots(2, max(1, len(quantities)), squeeze=False)
    for column, quantity in enumerate(quantities):
        own = [row for row in rows if row["quantity"] == quantity]
        for axis, of, scale in zip(axes[:, column], _AXES, _AXES.values(), strict=True):
            there = [row for row in own if row.get(of)]
            axis.loglog([r["size"] for r in there], [r[of] / scale for r in there], "o-")
            if len(there) > 1:
                axis.set_title(f"slope {slope(there, of):.2f}", fontsize=8)
            axis.set_xlabel(quantity, fontsize=8)
            axis.xaxis.minorticks_off()
            sizes = [row["size"] for row in own]
            axis.set_xticks(sizes, [f"{size:g}" for size in sizes], rotation=30)
            axis.tick_params(labelsize=7, which="both")
    for axis, title in zip(axes[:, 0], ("seconds", "MiB"), strict=True):
        axis.set_ylabel(title, fontsize=8)
    return figure


_AXES = {"ours_s": 1, "ours_bytes": 2**20}


def _step(*, window_s: float = 3.69, batch: int = 4, channels: int = 32, labels: int = 50) -> Call:
    """Loss and gradients from waveforms."""
    model = models.build(
        "short_chunk_cnn", num_labels=labels, window_s=window_s, n_channels=channels
    )
    variables = model.init(jax.random.key(0))
    state = {name: value for name, value in variables.items() if name != "params"}
    audio = np.random.default_rng(0).standard_normal((batch, model.window_samples), np.float32)
    targets = np.zeros((batch, labels), np.float32)

    @jax.jit
    @jax.grad
    def gradient(params, audio):
        x = model.inputs({"audio": audio})
        found, _ = model.apply_train(params, state, x, key=jax.random.key(1))
        return losses.sigmoid_cross_entropy(found["logits"], targets).mean()

    return lambda: jax.block_until_ready(gradient(variables["params"], 0.1 * audio))


def _contrastive(size: int) -> Call:
    rng = np.random.default_rng(0)
    views = [rng.standard_normal((int(size), 128), np.float32) for _ in range(2)]
    gradient = jax.jit(jax.grad(lambda a, b: losses.nt_xent(a, b, temperature=0.5).mean()))
    return lambda: jax.block_until_ready(gradient(*views))


def _songs(size: int) -> Call:
    from mclf_jax.data.base.source import Info, Source

    class Silent(Source):
        info = Info("silent", "single_label", ("a",), 8000, {}, ("",) * int(size), "1", "", "")
        labels = targets = np.zeros(int(size), np.int32)

        def read(self, index, *, start_sample, num_samples):
            return np.zeros(num_samples, np.float32)

        def num_samples(self, index):
            return 16

    source, inputs = Silent(), Input(num_samples=8, short="pad", features=None)

    def call() -> object:
        everything = np.arange(int(size))
        batches = training_batches(source, everything, inputs=inputs, batch_size=8, seed=0)
        return [batches[step] for step in range(4)]

    return call


_QUANTITIES: dict[str, tuple[tuple[float, ...], Callable[[Any], Call]]] = {
    "window (s)": ((3.69, 7.38, 14.76, 29.52), lambda n: _step(window_s=n)),
    "batch": ((1, 2, 4, 8, 16), lambda n: _step(batch=n)),
    "channels": ((16, 32, 64, 128), lambda n: _step(channels=n)),
    "labels": ((50, 500, 5000, 50000), lambda n: _step(labels=n)),
    "contrastive batch": ((256, 512, 1024, 2048, 4096, 8192), _contrastive),
    "songs": ((1000, 10_000, 100_000, 1_000_000), functools.partial(_songs)),
}
