"""How far the networks are from what their public PyTorch versions compute.

python -m tests.models.differences      # prints the largest differences in float64

The fixtures in `parity/` hold spectrogram, logits and embedding in evaluation mode; and in
training mode with every dropout at 0 the logits, the loss, the norm of each weight's gradient and
the running statistics after one step.
"""

import functools
import sys
from typing import Any

import flax.linen as nn
import jax
import numpy as np

from mclf_jax import losses, models
from mclf_jax.convert.from_torch import from_torch
from tests.models.reference import WITHOUT_FIXTURE, load_fixture, state_dict, waveform

# fixture -> (model, arguments that are not the published defaults)
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    name: (name, {}) for name in models.ARCHITECTURES if name not in WITHOUT_FIXTURE
}
CASES["musicfm"] = (
    "musicfm",
    {"conv_channels": 4, "attention_dim": 32, "num_heads": 4, "num_layers": 2},
)
CASES["mobilenet"] = ("mobilenet", {"hidden_size": 512})
CASES["musicnn_msd"] = ("musicnn", {"backend_channels": 512, "dense_units": 500})
CASES["vit"] = ("vit", {"attention_dim": 128, "num_layers": 2})
CASES["music_tagging_transformer"] = ("music_tagging_transformer", {"conv_channels": 16})

# What is left comes from the reference's float32 mel filter banks and windows: with those in place
# of ours every difference is below 1e-5. They also decide a few near-ties of max-poolings, which
# shows in gradients of long inputs by 1 %. Values are relative to max(1, |expected|).
TOLERANCES = {
    "spectrogram_db": 1e-2,
    "logits": 2e-4,
    "embedding": 2e-4,
    "train_logits": 2e-4,
    "train_loss": 2e-4,
    "gradient_norms": 1e-2,
    "batch_statistics": 1e-4,
}


def differences(
    case: str, *, precision: type = np.float64, modes: tuple[str, ...] = ("evaluation", "training")
) -> dict[str, float]:
    """Largest difference of each kind for one of `CASES`; names as in `TOLERANCES`."""
    compare = {"evaluation": _evaluation_mode, "training": _training_mode}
    with jax.enable_x64(precision == np.float64):
        found = [compare[mode](*_prepared(case, precision)) for mode in modes]
        return {kind: value for one in found for kind, value in one.items()}


@functools.lru_cache(maxsize=1)
def _prepared(case, precision):
    """(fixture, model, variables, input), which both modes need."""
    name, arguments = CASES[case]
    fixture = load_fixture(case)
    weights = {key: w.astype(precision) for key, w in state_dict(fixture["keys"]).items()}
    no_dropout = {key: 0.0 for key in models.arguments_of(name) if key.endswith("dropout_rate")}
    model = models.build(
        name, num_labels=fixture["eval_logits"].shape[1], **arguments, **no_dropout
    )
    variables = from_torch(name, weights, **arguments)
    audio = waveform(
        num_samples=int(fixture["n_samples"]),
        batch=int(fixture["batch"]),
        sample_rate_hz=int(fixture["sample_rate"]),
    ).astype(precision)
    assert model.features.sample_rate_hz == fixture["sample_rate"]
    return fixture, model, variables, jax.jit(model.features.__call__)(audio)


def _evaluation_mode(fixture, model, variables, x):
    @functools.partial(jax.jit, static_argnums=0)
    def apply(module, variables, x):
        # The harmonic network makes its spectrogram inside.
        return module.apply(
            variables,
            x,
            train=False,
            capture_intermediates=lambda submodule, _: submodule.name == "hstft",
        )

    outputs, captured = apply(model.module, variables, x)
    found = {
        "logits": error(outputs["logits"], fixture["eval_logits"]),
        "embedding": error(outputs["embedding"], fixture["eval_embedding"]),
    }
    if "spec_shape" in fixture:
        spectrogram = x
        if "intermediates" in captured:
            spectrogram = captured["intermediates"]["hstft"]["__call__"][0]
        # As PyTorch has it: [B, M, F], or [B, harmonics, M, F].
        spectrogram = np.asarray(spectrogram)
        spectrogram = spectrogram.transpose(0, *range(spectrogram.ndim - 1, 0, -1))
        assert spectrogram.shape == tuple(fixture["spec_shape"])
        found["spectrogram_db"] = max(
            abs(spectrogram.mean() - fixture["spec_mean"]),
            abs(spectrogram.std() - fixture["spec_std"]),
            np.abs(spectrogram[..., :8] - fixture["spec_first_frames"]).max(),
        )
    return found


def _training_mode(fixture, model, variables, x):
    rows = {}  # values per channel that each batch norm averages over, and how much it keeps

    def count_rows(call, args, kwargs, context):
        if isinstance(context.module, nn.BatchNorm):
            count = args[0].size // args[0].shape[-1]
            rows[context.module.path] = count, context.module.momentum
        return call(*args, **kwargs)

    def mean_loss(params, state):
        outputs, state = model.apply_train(params, state, x, key=jax.random.key(0))
        labels = fixture["train_labels"].astype(x.dtype)
        loss = losses.sigmoid_cross_entropy(outputs["logits"], labels).mean()
        return loss, (outputs["logits"], state["batch_stats"])

    params = variables["params"]
    state = {key: value for key, value in variables.items() if key != "params"}
    # In evaluation, where no norm is one with its convolution.
    with nn.intercept_methods(count_rows):
        jax.eval_shape(lambda x: model.module.apply(variables, x, train=False), x)
    gradient = jax.jit(jax.value_and_grad(mean_loss, has_aux=True))
    (loss, (logits, stats)), grads = gradient(params, state)

    norms = dict(zip(fixture["grad_keys"], fixture["grad_norms"], strict=True))
    assert len(norms) == len(jax.tree.leaves(grads))
    # Biases before a batch norm have no gradient but rounding: compare with the largest.
    floor = 5e-3 * max(norms.values())
    gradient_errors = []
    for key, expected in norms.items():
        node = at(grads, key.split(".")[:-1])
        leaf = key.split(".")[-1]
        value = node.get(leaf, node.get("kernel", node.get("scale")))
        norm = float(np.linalg.norm(np.asarray(value)))
        gradient_errors.append(abs(norm - expected) / (expected + floor))

    sums = dict(zip(fixture["bn_after_keys"], fixture["bn_after_sums"], strict=True))
    statistics_errors = []
    for key, expected in sums.items():
        *path, leaf = key.split(".")
        leaf = leaf.removeprefix("running_")
        new, old = (np.asarray(at(tree, path)[leaf]) for tree in (stats, state["batch_stats"]))
        assert new.dtype == old.dtype  # or the next step would be compiled again
        if leaf == "var":
            # PyTorch keeps the unbiased variance, N/(N-1) of the batch's.
            count, kept = rows[at_path(stats, path)]
            new = kept * old + (new - kept * old) * count / (count - 1)
        statistics_errors.append(error(new.sum(), expected))
    return {
        "train_logits": error(logits, fixture["train_logits"]),
        "train_loss": error(loss, fixture["train_loss"]),
        "gradient_norms": max(gradient_errors),
        "batch_statistics": max(statistics_errors),
    }


def error(got, expected) -> float:
    """Largest |got - expected| / max(1, |expected|)."""
    got, expected = np.asarray(got), np.asarray(expected)
    assert got.shape == expected.shape
    return float((np.abs(got - expected) / np.maximum(1, np.abs(expected))).max())


def at_path(tree, path) -> tuple[str, ...]:
    """Path of submodules whose names, some with dots of their own, join to that of `path`."""
    if not path:
        return ()
    for length in range(len(path), 0, -1):
        name = ".".join(path[:length])
        if name in tree:
            return name, *at_path(tree[name], path[length:])
    raise KeyError(".".join(path))


def at(tree, path):
    """The subtree of `at_path`."""
    for name in at_path(tree, path):
        tree = tree[name]
    return tree


def main() -> None:
    columns = list(TOLERANCES)
    print(f"{'':<28}" + "".join(f"{column:>18}" for column in columns))
    for case in sys.argv[1:] or CASES:
        found = differences(case)
        cells = (f"{found[c]:.1e}" if c in found else "-" for c in columns)
        print(f"{case:<28}" + "".join(f"{cell:>18}" for cell in cells), flush=True)


if __name__ == "__main__":
    main()
