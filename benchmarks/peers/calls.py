"""Forward and training step of the networks in PyTorch, with our weights."""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.gpu.networks import nt_xent
from benchmarks.peers.front_ends import front_end
from benchmarks.peers.networks import NETWORKS
from mclf_jax.audio.features import harmonic_centres_hz
from mclf_jax.convert.to_torch import to_torch
from mclf_jax.models import Model
from mclf_jax.models.backs.attention import class_vector

_LARGEST_DIFFERENCE = 1e-3


def build(
    model: Model,
    variables: Any,
    *,
    audio: np.ndarray,
    label: np.ndarray,
    kinds: list[str],
    compiled: bool,
    expected: np.ndarray,
) -> dict[str, Any]:
    """{kind: {"call", "flops"}, "difference": of logits, in their deviations}.

    The call of "training" takes another batch, waveforms and labels, too.

    Args:
        model, variables: ours.
        audio, label: of the batch.
        kinds: "forward" and "training".
        compiled: whether by torch.compile.
        expected: our logits of the first two songs.

    Raises:
        ValueError: the logits are not ours, so that this is another network.
    """
    network = _network(model)
    weights = {key: torch.from_numpy(array) for key, array in to_torch(model, variables).items()}
    missing, unexpected = network.load_state_dict(weights, strict=False)
    odd = [key for key in missing if not key.startswith("projector.")]
    odd += [key for key in unexpected if not key.endswith((".window", ".fb"))]
    if odd:
        raise ValueError(f"PyTorch's {model.name} has other weights: {', '.join(odd[:6])}")
    contrastive = audio.ndim == 3
    spectrogram = front_end(model.features)
    waveform, labels = torch.from_numpy(audio), torch.from_numpy(label)
    plain = waveform[:, 0] if contrastive else waveform

    def logits(x):
        return network(spectrogram(x))

    def loss_of(x, label):
        if contrastive:
            z = network.projector(network.embed(x.flatten(0, 1)))
            return nt_xent(z.unflatten(0, (-1, 2)))
        return F.binary_cross_entropy_with_logits(logits(x), label)

    network.eval()
    with torch.inference_mode():
        got = logits(plain[:2]).numpy()
    difference = float(np.abs(got - expected).max() / expected.std())
    if not difference < _LARGEST_DIFFERENCE:
        raise ValueError(
            f"PyTorch's {model.name} differs by {difference:.1g} deviations of the logits"
        )
    run, lose = (torch.compile(logits), torch.compile(loss_of)) if compiled else (logits, loss_of)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)

    def forward() -> None:
        network.eval()
        with torch.inference_mode():
            run(plain)

    def train(waveform=waveform, labels=labels) -> None:
        network.train()
        optimizer.zero_grad(set_to_none=True)
        lose(waveform, labels).backward()
        optimizer.step()

    found = {"forward": forward, "training": train}
    eager = {
        "forward": lambda: logits(plain),
        "training": lambda: loss_of(waveform, labels).backward(),
    }
    return {
        **{kind: {"call": found[kind], "flops": _flops(eager[kind])} for kind in kinds},
        "difference": difference,
    }


def _network(model: Model) -> torch.nn.Module:
    more: dict[str, Any] = {}
    if model.name == "harmonic_cnn":
        more["centres_hz"] = harmonic_centres_hz(model.features.sample_rate_hz)
    if model.name == "cnnsa":
        more["first_token"] = class_vector(256)
    return NETWORKS[model.name](num_labels=model.module.num_labels, **more)


def _flops(call) -> float:
    """Of its products and convolutions, forwards and backwards."""
    with FlopCounterMode(display=False) as counter:
        call()
    return float(counter.get_total_flops())
