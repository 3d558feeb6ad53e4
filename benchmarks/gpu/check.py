"""A GPU in ten minutes: steps of three networks, ours and PyTorch's; `launch/gpu_check.sh` runs it.

    python -m benchmarks.gpu.check --out gpu_check                # on one NVIDIA GPU
    python -m benchmarks.gpu.check --out gpu_check --device cpu   # that all of it works, no figures

Each part is a process with a time of its own, and says its results line by line: one that hangs or
crashes costs what it had not yet said. It ends after --seconds whatever happens. "utilisation" is
our count of the arithmetic of the network's step over the time and the chip's peak in that
precision (absent where `train/topology/chips.py` does not know the chip); "waiting" is the share by
which a step is longer when its batches come from this machine's memory and not from the GPU's. TF32
is what float32 products are computed in by default; "float32" is without it.
"""

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.gpu.cases import CASES, PRECISIONS
from mclf_jax.train.topology.chips import peak_flops

BY = ("mclf_jax", "PyTorch, compile", "PyTorch, eager")
_KEPT_S = 8.0  # for table and picture
LEAST_S = 5.0  # that are worth starting a part


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("gpu_check"), help="folder of results")
    parser.add_argument("--device", choices=("gpu", "cpu"), default="gpu")
    parser.add_argument("--seconds", type=float, default=470.0, help="for all of it")
    arguments = parser.parse_args(argv)
    ends_s = time.monotonic() + arguments.seconds
    out = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    size = "full" if arguments.device == "gpu" else "small"
    # Theirs last: torch.compile may take what time is left.
    parts = [(side, name) for side in ("ours", "theirs") for name in CASES[size]]
    found: dict[str, Any] = {"machine": machine(), "size": size, "lines": [], "parts": {}}
    for i, (side, name) in enumerate(parts):
        left_s = ends_s - time.monotonic() - _KEPT_S
        limit_s = min(left_s, 1.7 * left_s / (len(parts) - i))
        title = f"{side} {name}"
        print(f"{title}: at most {max(limit_s, 0):.0f} s", flush=True)
        lines, how = run_part(
            ["-m", f"benchmarks.gpu.{side}", name],
            options={"size": size, "device": arguments.device, "out": out}
            | ({} if size == "full" else {"seconds": 0.2}),
            log=out / f"{side}-{name}.log",
            limit_s=limit_s,
        )
        found["lines"] += lines
        found["parts"][title] = how
        (out / "lines.json").write_text(json.dumps(found, indent=1))  # whatever comes later
    result = summary(found)
    (out / "gpu.json").write_text(json.dumps(result, indent=1))
    text = table(result)
    (out / "gpu.md").write_text(text)
    print(text)
    try:
        picture(result, out / "gpu.png")
    except Exception as error:  # the figures are what it is for
        print(f"no picture: {error}")
    print(f"in {out}: gpu.json, gpu.md, gpu.png, and what each part said")


def machine() -> dict[str, str]:
    """What all of it ran on."""
    said = {"processor": platform.processor() or platform.machine(), "cores": str(os.cpu_count())}
    query = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=10, check=True)
        said["gpu"] = done.stdout.strip()
    except (OSError, subprocess.SubprocessError) as error:
        said["gpu"] = f"none found: {type(error).__name__}"
    return said


def run_part(
    words: Sequence[str], *, options: Mapping[str, Any], log: Path, limit_s: float
) -> tuple[list[dict[str, Any]], str]:
    """(the JSON lines that `python WORDS` printed, how it ended), within a time."""
    if limit_s < LEAST_S:
        return [], "not reached"
    flags = [text for key, value in options.items() for text in (f"--{key}", str(value))]
    output = log.with_suffix(".jsonl")
    with output.open("w") as lines, log.open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, *words, *flags],
            stdout=lines,
            stderr=errors,
            start_new_session=True,  # so that compilers that it started end with it
        )
        try:
            code = process.wait(timeout=limit_s)
            how = "done" if code == 0 else f"failed ({code}): {_last_line(log)}"
        except subprocess.TimeoutExpired:
            how = f"ended after {limit_s:.0f} s"
        finally:
            _end(process)
    return list(_read(output)), how


def _end(process: subprocess.Popen) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    process.wait()


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1][:200] if lines else ""


def _read(output: Path):
    for line in output.read_text(errors="replace").splitlines():
        try:
            yield json.loads(line)
        except ValueError:  # cut short, or of somebody else
            continue


def summary(found: Mapping[str, Any]) -> dict[str, Any]:
    """Rows for each network, precision and implementation, parity, and what is missing."""
    lines = found["lines"]
    device = next((line["device"] for line in lines if line["kind"] == "device"), "")
    steps = {
        (line["network"], line["precision"], line["by"]): line
        for line in lines
        if line["kind"] == "step"
    }
    rows, missing = [], []
    for name in CASES["full"]:
        for precision in PRECISIONS:
            flops = steps.get((name, precision, BY[0]), {}).get("flops")
            compiled_ms = steps.get((name, precision, BY[1]), {}).get("step_ms")
            for by in BY:
                line = steps.get((name, precision, by))
                if line is None or "error" in line:
                    why = line["error"] if line else "not reached"
                    missing.append(f"{name}, {precision}, {by}: {why}")
                    continue
                peak = peak_flops(device, precision=precision)
                row = {key: line[key] for key in ("network", "precision", "by", "batch_size")}
                row |= {key: line[key] for key in ("step_ms", "compile_s", "peak_bytes")}
                row["songs_per_s"] = 1000 * line["batch_size"] / line["step_ms"]
                row["waiting"] = max(0.0, 1 - line["step_ms"] / line["fed_ms"])
                row["flops"] = flops
                row["utilisation"] = (
                    flops / (line["step_ms"] / 1000) / peak if flops and peak else None
                )
                row["times_compile"] = compiled_ms / line["step_ms"] if compiled_ms else None
                rows.append(row)
    return {
        "machine": found["machine"],
        "device": device,
        "size": found["size"],
        "rows": rows,
        "parity": [line for line in lines if line["kind"] == "parity"],
        "same_networks": [line for line in lines if line["kind"] == "peer"],
        "parts": found["parts"],
        "missing": missing,
    }


def table(result: Mapping[str, Any]) -> str:
    """All of a summary in Markdown."""
    small = result["size"] == "small"
    lines = [
        f"# {result['device'] or 'no device'}; {', '.join(result['machine'].values())}",
        "",
        *(["Small sizes, which show that all of it works and measure nothing.", ""] * small),
        "| network | precision | by | ms a step | songs/s | utilisation | waiting | memory "
        "| compile | times torch.compile |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in result["rows"]:
        memory = f"{row['peak_bytes'] / 2**30:.2f} GiB" if row["peak_bytes"] else "–"
        share = "–" if row["utilisation"] is None else f"{row['utilisation']:.1%}"
        times = "–" if row["times_compile"] is None else f"{row['times_compile']:.2f}"
        cells = (
            *(row["network"], row["precision"], row["by"], f"{row['step_ms']:.2f}"),
            *(f"{row['songs_per_s']:,.0f}", share, f"{row['waiting']:.0%}", memory),
            *(f"{row['compile_s']:.1f} s", times),
        )
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", "Scores on the device against the CPU in float32 (largest difference):", ""]
    lines += [
        f"- {line['network']}, {line['precision']}: {line['scores']:.1e} of a score, "
        f"{line['logits']:.1e} deviations of a logit"
        for line in result["parity"]
    ]
    lines += ["", "The same network in PyTorch, our weights, both on a CPU:", ""]
    lines += [
        f"- {line['network']}: "
        + (line.get("error") or f"{line['logits']:.1e} deviations of a logit")
        for line in result["same_networks"]
    ]
    lines += ["", "Parts:", "", *(f"- {title}: {how}" for title, how in result["parts"].items())]
    if result["missing"]:
        lines += ["", "Not measured:", "", *(f"- {what}" for what in result["missing"])]
    return "\n".join(lines) + "\n"


def picture(result: Mapping[str, Any], path: Path) -> None:
    """Bars of milliseconds a step, a panel for each network."""
    from matplotlib.figure import Figure

    names = list(CASES["full"])
    figure = Figure(figsize=(4 * len(names), 3.4), layout="constrained")
    for name, axes in zip(names, figure.subplots(1, len(names)), strict=True):
        for k, by in enumerate(BY):
            there = {
                row["precision"]: row
                for row in result["rows"]
                if row["network"] == name and row["by"] == by
            }
            places = [i + 0.27 * (k - 1) for i, one in enumerate(PRECISIONS) if one in there]
            bars = axes.bar(places, [row["step_ms"] for row in there.values()], 0.25, label=by)
            shares = [row["utilisation"] for row in there.values()]
            axes.bar_label(bars, [f"{share:.0%}" if share else "" for share in shares], fontsize=7)
        axes.set_xticks(range(len(PRECISIONS)), PRECISIONS)
        axes.set(title=name, ylabel="ms a step")
    figure.axes[0].legend(fontsize=7)
    figure.suptitle(f"{result['device']}; above bars: utilisation", fontsize=9)
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    main()
