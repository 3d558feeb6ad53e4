"""The same steps in PyTorch, eager and by torch.compile: `python -m benchmarks.gpu.theirs NAME`.

Of `benchmarks.gpu.ours` it takes weights, an input and its logits, by which both networks are shown
to be the same.
"""

import gc
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

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
from benchmarks.gpu.networks import NETWORKS, nt_xent

MODES = ("compile", "eager")


def main() -> None:
    arguments = read_arguments(__doc__.splitlines()[0])
    warnings.simplefilter("ignore")  # of ways of setting TF32 that are older than others
    device = torch.device("cuda" if arguments.device == "gpu" else "cpu")
    torch.backends.cudnn.benchmark = True
    case = CASES[arguments.size][arguments.name]
    say(kind="peer", torch=torch.__version__, **same(case, arguments.name, out=arguments.out))
    for mode in MODES:
        for precision in PRECISIONS:
            try:
                found = measure(case, precision, mode, device, seconds=arguments.seconds)
            except Exception as error:  # such as of a compiler that is not there
                found = {"error": f"{type(error).__name__}: {str(error)[:300]}"}
            by = f"PyTorch, {mode}"
            say(kind="step", by=by, network=arguments.name, precision=precision, **found)
            gc.collect()


def build(case: Case) -> torch.nn.Module:
    """The network, with random weights."""
    return NETWORKS[case.network](num_labels=NUM_LABELS, **case.arguments)


def same(case: Case, name: str, *, out: Path) -> dict[str, Any]:
    """{"network", "logits"}: how far its logits are from ours with our weights, in deviations."""
    path = weights_file(out, name)
    if not path.exists():
        return {"network": name, "error": "ours left no weights to compare with"}
    with np.load(path) as arrays:
        expected, x = arrays["logits"], torch.from_numpy(arrays["x"])
        weights = {
            key.removeprefix("weight "): torch.from_numpy(arrays[key])
            for key in arrays.files
            if key.startswith("weight ") and not key.startswith("weight spec.")
        }
    network = build(case).eval()
    missing, unexpected = network.load_state_dict(weights, strict=False)
    if unexpected or any(not key.startswith("projector.") for key in missing):
        return {"network": name, "error": f"other weights: {[*missing, *unexpected][:6]}"}
    with torch.no_grad():
        found = network(x).numpy()
    return {"network": name, "logits": float(np.abs(found - expected).max() / expected.std())}


def measure(
    case: Case, precision: str, mode: str, device: torch.device, *, seconds: float
) -> dict[str, Any]:
    """Time and memory of a step."""
    on_gpu = device.type == "cuda"
    torch.set_float32_matmul_precision("highest" if precision == "float32" else "high")
    torch.backends.cudnn.allow_tf32 = precision != "float32"
    if on_gpu:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    contrastive = case.network == "clmr_sample_cnn"
    network = build(case).to(device).train()
    if not contrastive:
        network = network.to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3, fused=on_gpu)

    def loss_of(x, label):
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16"):
            if contrastive:
                z = network.projector(network.embed(x.flatten(0, 1)))
                return nt_xent(z.unflatten(0, (-1, 2)))
            return F.binary_cross_entropy_with_logits(network(x).float(), label)

    if mode == "compile":
        loss_of = torch.compile(loss_of)
    hosts = [_batch(case, seed, pinned=on_gpu) for seed in (0, 1)]
    resident = [part.to(device) for part in hosts[0]]
    loss = torch.zeros(())

    def run(count: int, *, fed: bool = False) -> None:
        nonlocal loss
        for i in range(count):
            batch = resident
            if fed:
                batch = [part.to(device, non_blocking=True) for part in hosts[i % 2]]
            optimizer.zero_grad(set_to_none=True)
            loss = loss_of(*batch)
            loss.backward()
            optimizer.step()
        if on_gpu:
            torch.cuda.synchronize()

    start_s = time.perf_counter()
    run(1)
    compile_s = time.perf_counter() - start_s
    step_s = timed(run, seconds=seconds)
    fed_s = timed(lambda count: run(count, fed=True), seconds=seconds)
    return {
        "batch_size": case.batch_size,
        "step_ms": 1000 * step_s,
        "fed_ms": 1000 * fed_s,
        "compile_s": compile_s,
        "peak_bytes": torch.cuda.max_memory_allocated() if on_gpu else None,
        "loss": float(loss.detach()),
    }


def _batch(case: Case, seed: int, *, pinned: bool) -> list[torch.Tensor]:
    from mclf_jax import models  # of which the shape of an input is asked, and nothing computed

    model = models.build(
        case.network, num_labels=NUM_LABELS, window_s=case.window_s, **case.arguments
    )
    rng, size = np.random.default_rng(seed), case.batch_size
    views = (2,) if case.network == "clmr_sample_cnn" else ()
    x = rng.standard_normal((size, *views, *model.input_shape), np.float32)
    label = (rng.random((size, NUM_LABELS)) < 0.1).astype(np.float32)
    tensors = [torch.from_numpy(x), torch.from_numpy(label)]
    return [tensor.pin_memory() for tensor in tensors] if pinned else tensors


if __name__ == "__main__":
    main()
