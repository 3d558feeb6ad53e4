"""`mclf inspect`: a whole experiment looked at before a minute of training is spent on it."""

import textwrap
from collections.abc import Iterator

import flax.linen as nn
import jax
import numpy as np
from clu import parameter_overview
from ml_collections import ConfigDict

from mclf_jax import config as config_lib
from mclf_jax.common import parallel
from mclf_jax.data.base import targets as target_lib
from mclf_jax.objectives import Objective
from mclf_jax.run.experiment import Experiment
from mclf_jax.train import optim
from mclf_jax.train import setup as training
from mclf_jax.train.setup import Training
from mclf_jax.train.start import load_weights

_BARS = " ▁▂▃▄▅▆▇█"


def overview(config: ConfigDict) -> str:
    """All sections of `describe` as one text."""
    return "\n".join(describe(config))


def describe(config: ConfigDict) -> Iterator[str]:
    """The sections of an overview, each a printable text, quick ones first.

    Reads one batch and compiles the training step; nothing is trained and nothing written.
    """
    yield _section("Config", config_lib.to_json(config))
    run = training.build(config)
    parts = run.parts
    yield _section("Data", _data(run))
    yield _section("Augmentation, in training", _augmentation(parts))

    batch = run.batches()[0]
    yield _section("First batch", _batch(batch))
    yield _section("Stages of the network, for this batch", _stages(parts, batch, run.objective))

    state = jax.eval_shape(run.initial_state)
    if loaded := load_weights(run):
        yield _section("Start", loaded.text())
    if run.frozen.first_steps:
        yield _section("Frozen", run.frozen.text())
    yield _section(
        "Parameters", parameter_overview.get_parameter_overview(state.params, include_stats=False)
    )
    yield _section("Schedule", _schedule(run.optimizer, run.evaluation_steps))
    run.take_failed(batch)
    yield _section("Compiled training step", _compiled(run.steps()[0], state, batch, config))


def _section(title: str, text: str) -> str:
    return f"== {title} ==\n{text.rstrip()}\n"


def _data(run: Training) -> str:
    parts = run.parts
    info, model = parts.source.info, parts.model
    splits = ", ".join(f"{name} {len(items)}" for name, items in info.splits.items())
    labels = textwrap.shorten(", ".join(info.labels), 200, placeholder=" ...")
    lines = [
        f"{info.name} {info.version}, task {info.task}, licence {info.licence}",
        f"songs: {splits}; skipped: {len(info.skipped)}, used in part: {len(info.parts)}",
        f"{len(info.labels)} labels: {labels}",
        _label_counts(parts),
        f"window: {model.window_s:.2f} s = {model.window_samples} samples "
        f"at {info.sample_rate_hz} Hz -> {model.features.kind} {list(model.input_shape)}",
        _lengths(parts),
        *info.notes,
    ]
    if (more := run.unlabelled) is not None:
        of = "" if more.source is parts.source else f" of {more.source.info.name}"
        lines.append(f"used without labels: {len(more.indices)} songs{of}")
    return "\n".join(lines)


def _label_counts(parts: Experiment) -> str:
    """How many songs of the training split have each label, the commonest first."""
    info = parts.source.info
    if not len(info.splits.get("train", ())):
        return "no song has a label"
    targets = parts.targets("train")
    found = observed = target_lib.count_observed(targets, num_labels=len(info.labels))
    if info.task != "regression":
        found = target_lib.count_positives(targets, num_labels=len(info.labels))
    what, texts = "songs with each label", [str(count) for count in found]
    if info.task == "regression":
        what = "songs with a value"
    elif (observed < len(targets)).any():
        what += ", of those in which it was looked for"
        texts = [f"{count}/{of}" for count, of in zip(found, observed, strict=True)]
    counts = [f"{info.labels[k]} {texts[k]}" for k in np.argsort(-found, kind="stable")]
    return f"{what}, in train: " + textwrap.shorten(", ".join(counts), 400, placeholder=" ...")


def _lengths(parts: Experiment, most: int = 1000) -> str:
    """How long songs are, beside the window; of very many, of some."""
    source, model = parts.source, parts.model
    some = np.unique(np.linspace(0, len(source) - 1, min(len(source), most)).astype(int))
    samples = np.array([source.num_samples(int(index)) for index in some])
    low, median, high = np.quantile(samples / source.info.sample_rate_hz, (0.05, 0.5, 0.95))
    text = f"length of songs: median {median:.3g} s, nine of ten {low:.3g} to {high:.3g} s"
    if (short := (samples < model.window_samples).mean()) > 0:
        how = {"tile": "repeated", "pad": "filled up with silence"}[parts.config.data.short]
        text += f"; {short:.0%} are shorter than the window, and {how} (model.window_s, data.short)"
    return text


def _augmentation(parts: Experiment) -> str:
    chains = parts.chains
    where = {"pipeline": ", in the pipeline", "device": ", on the device"}[parts.config.augment.on]
    named = {
        f"waveforms{where if chains.waveform else ''}": chains.waveform,
        "spectrograms": chains.spectrogram,
        "across the batch": chains.batch,
    }
    return "\n".join(f"{name}: {chain or 'none'}" for name, chain in named.items())


def _batch(batch: dict[str, np.ndarray]) -> str:
    rows = [f"{'name':<21}{'shape':<20}{'dtype':<10}{'min':>10}{'mean':>10}{'std':>10}{'max':>10}"]
    named = {name: x for name, x in batch.items() if name != "unlabelled"}
    # Of songs without labels, what is known beside the input is of no use.
    for name in ("audio", "features"):
        if name in batch.get("unlabelled", ()):
            named[f"{name}, unlabelled"] = batch["unlabelled"][name]
    for name, x in named.items():
        x64 = x.astype(np.float64)
        unknown = np.isnan(x64) if name == "label" else np.zeros(x.shape, bool)
        known = x64[~unknown] if not unknown.all() else x64
        summary = (known.min(), known.mean(), known.std(), known.max())
        numbers = "".join(f"{value:>10.3g}" for value in summary)
        note = f"  ({unknown.sum()} of {x.size} not observed)" if unknown.any() else ""
        rows.append(f"{name:<21}{x.shape!s:<20}{x.dtype!s:<10}{numbers}{note}")
    return "\n".join(rows)


def _stages(parts: Experiment, batch: dict[str, np.ndarray], objective: Objective) -> str:
    model, rows = parts.model, []
    arrays = {name: batch[name] for name in ("audio", "features") if name in batch}
    if objective.num_views > 1:
        arrays = {name: array[:, 0] for name, array in arrays.items()}

    def record(call, args, kwargs, context):
        outputs = call(*args, **kwargs)
        if context.method_name == "__call__":
            name = ".".join(context.module.path) or model.name
            shapes = jax.tree.map(lambda leaf: leaf.shape, outputs)
            rows.append(f"{name:<24}{shapes}")
        return outputs

    def apply(arrays):
        x = model.inputs(arrays)
        rows.append(f"{'input':<24}{x.shape}")
        variables = model.module.init(jax.random.key(0), x, train=False)
        with nn.intercept_methods(record):
            return model.module.apply(variables, x, train=False)

    jax.eval_shape(apply, arrays)
    return "\n".join(rows)


def _schedule(optimizer: optim.Optimizer, evaluation_steps: list[int]) -> str:
    total_steps = evaluation_steps[-1]
    steps = np.linspace(0, total_steps - 1, min(60, total_steps)).astype(int)
    rates = np.array([float(optimizer.schedule(step)) for step in steps])
    heights = np.ceil(rates / rates.max() * (len(_BARS) - 1)).astype(int)
    later = [
        f"from step {phase.first_step}: {phase.name}, learning rate {phase.learning_rate:.3g}"
        + ("" if phase.first_step < total_steps else " (never: the run is shorter)")
        for phase in optimizer.phases[1:]
    ]
    return "\n".join(
        [
            f"{total_steps} steps; {len(evaluation_steps)} evaluations, the first after step "
            f"{evaluation_steps[0]}",
            "learning rate  " + "".join(_BARS[height] for height in heights),
            f"first {rates[0]:.3g}, highest {rates.max():.3g}, last {rates[-1]:.3g}",
            *later,
        ]
    )


def _compiled(step, state, batch, config: ConfigDict) -> str:
    mesh = parallel.make_mesh(config.runtime.num_devices)
    training.check_batch_size(config, mesh)
    compiled = jax.jit(step, donate_argnums=0).lower(state, batch).compile()
    flops = (compiled.cost_analysis() or {}).get("flops", float("nan"))
    memory = compiled.memory_analysis()
    sizes = {
        "arguments": memory.argument_size_in_bytes,
        "temporary": memory.temp_size_in_bytes,
        "output": memory.output_size_in_bytes,
        "shared by arguments and output": memory.alias_size_in_bytes,
    }
    lines = [f"{flops / 1e9:.2f} GFLOP a step on one {jax.devices()[0].platform} device"]
    lines += [f"memory, {name}: {size / 2**20:.1f} MiB" for name, size in sizes.items()]
    return "\n".join(lines)
