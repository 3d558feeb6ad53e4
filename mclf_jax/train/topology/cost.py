"""`mclf inspect --topology`: what a training step costs on a pod, before one is rented."""

import dataclasses
import textwrap
import time
from collections.abc import Mapping
from typing import Any

import jax
from jax.sharding import Mesh
from ml_collections import ConfigDict

from mclf_jax.common import parallel
from mclf_jax.run.state import TrainState
from mclf_jax.train import setup
from mclf_jax.train.setup import Training
from mclf_jax.train.topology import program
from mclf_jax.train.topology.chips import CHIPS, Chip
from mclf_jax.train.topology.devices import devices_of

PyTree = Any


@dataclasses.dataclass(frozen=True)
class Cost:
    """Of one training step, for each of its devices.

    Attributes:
        topology: what it was compiled for.
        num_devices: of `topology`.
        songs: of the batch, for each device.
        compile_s: that lowering and compiling took here.
        flops: as the compiler counts them, bodies of loops once.
        traffic_bytes: of main memory, by part of the step, see `program.traffic`.
        compiler_bytes: XLA's own sum of what instructions access, wherever it lies.
        memory_bytes: {"arguments", "outputs", "temporary", "peak"}; outputs beside those that
            take the place of arguments.
        collectives: {kind: {"count", "bytes"}}, see `program.collectives`.
    """

    topology: str
    num_devices: int
    songs: float
    compile_s: float
    flops: float
    traffic_bytes: Mapping[str, float]
    compiler_bytes: float
    memory_bytes: Mapping[str, float]
    collectives: Mapping[str, Mapping[str, float]]

    @property
    def chip(self) -> Chip | None:
        """None for virtual devices."""
        return CHIPS.get(self.topology.partition(":")[0])

    def roofline(self) -> dict[str, Any] | None:
        """The step time that the chip allows; None for virtual devices.

        Each of arithmetic, memory and links at its peak, and all of them at the same time, takes
        the longest of the three (Williams et al. 2009). "utilisation" is the share of the peak
        FLOP/s that is left by then: no step can have more.
        """
        chip = self.chip
        if chip is None:
            return None
        exchanged = sum(entry["bytes"] for entry in self.collectives.values())
        seconds = {
            "arithmetic": self.flops / chip.flops,
            "memory": sum(self.traffic_bytes.values()) / chip.memory_bytes_s,
            "links": exchanged / chip.link_bytes_s,
        }
        step_s = max(seconds.values())
        return {
            "seconds": seconds,
            "bound_by": max(seconds, key=lambda name: seconds[name]),
            "step_s": step_s,
            "songs_per_s": self.songs * self.num_devices / step_s,
            "utilisation": seconds["arithmetic"] / step_s,
            "fits": self.memory_bytes["peak"] <= chip.memory_bytes,
        }

    def to_json(self) -> dict[str, Any]:
        """All of it as a dictionary of numbers and names."""
        return {
            **dataclasses.asdict(self),
            "chip": dataclasses.asdict(self.chip) if self.chip else None,
            "roofline": self.roofline(),
        }

    def text(self) -> str:
        """For people."""
        memory, moved = self.memory_bytes, sum(self.traffic_bytes.values())
        exchanged = sum(entry["bytes"] for entry in self.collectives.values())
        lines = [
            f"== Training step on {self.topology}, for each of {self.num_devices} devices ==",
            f"{self.songs:g} songs, compiled in {self.compile_s:.0f} s",
            _line("arithmetic", self.flops, unit="FLOP"),
            _line("memory traffic", moved)
            + f"  (by XLA's own count {_amount(self.compiler_bytes, 'B').strip()})",
            *(
                _line(f"  {part}", size) + f"{size / moved:6.0%}"
                for part, size in self.traffic_bytes.items()
                if size
            ),
            _line("memory, peak", memory["peak"]),
            *(_line(f"  {name}", memory[name]) for name in ("arguments", "outputs", "temporary")),
            _line("between devices", exchanged),
            *(
                _line(f"  {kind}", entry["bytes"]) + f"  in {entry['count']:.0f}"
                for kind, entry in self.collectives.items()
            ),
        ]
        if (roofline := self.roofline()) and (chip := self.chip):
            lines += textwrap.wrap(
                f"A {chip.name} ({chip.flops / 1e12:.0f} TFLOP/s in bfloat16, "
                f"{chip.memory_bytes_s / 1e9:.0f} GB/s, {chip.memory_bytes / 1e9:.0f} GB; "
                f"{chip.source}) allows no step under {1000 * roofline['step_s']:.3g} ms, bound by "
                f"{roofline['bound_by']}: "
                + ", ".join(f"{n} {1000 * s:.3g} ms" for n, s in roofline["seconds"].items())
                + f". At most {roofline['songs_per_s']:,.0f} songs/s on all devices and "
                f"{roofline['utilisation']:.1%} of the peak FLOP/s."
                + ("" if roofline["fits"] else " It does not fit into memory."),
                width=100,
            )
        return "\n".join(lines)


def _line(name: str, value: float, *, unit: str = "B") -> str:
    return f"{name:<20}{_amount(value, unit)}"


def _amount(value: float, unit: str) -> str:
    """With three digits or more, in the largest unit of which there is one."""
    for prefix, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= size:
            return f"{value / size:10,.4g} {prefix}{unit}"
    return f"{value:10,.0f} {unit}"


def cost_of(config: ConfigDict, *, topology: str) -> Cost:
    """Compile the first training step of a config for a topology; one song is read of its data.

    Args:
        config: as for training; `train.batch_size` is that of all devices.
        topology: of `devices_of`. Whatever `runtime.num_devices` says, all of it.

    Raises:
        ValueError: the config does not fit together, or not on that topology.
    """
    groups = config.runtime.num_groups
    mesh = parallel.make_mesh(groups=groups, devices=devices_of(topology))
    run = setup.build(config)
    batch_size = config.train.batch_size
    setup.check_batch_size(config, mesh, devices=f"devices of {topology}")
    compiled, compile_s = _compile(run, mesh)
    analysis, memory = compiled.cost_analysis() or {}, compiled.memory_analysis()
    text = program.parse(compiled.as_text())
    outputs = memory.output_size_in_bytes - memory.alias_size_in_bytes
    sizes = {
        "arguments": memory.argument_size_in_bytes,
        "outputs": outputs,
        "temporary": memory.temp_size_in_bytes,
        "peak": memory.argument_size_in_bytes + outputs + memory.temp_size_in_bytes,
    }
    return Cost(
        topology=topology,
        num_devices=mesh.size,
        songs=batch_size / mesh.size,
        compile_s=compile_s,
        flops=float(analysis.get("flops", 0.0)),
        traffic_bytes=program.traffic(text),
        compiler_bytes=float(analysis.get("bytes accessed", 0.0)),
        memory_bytes=sizes,
        collectives=program.collectives(text),
    )


def _compile(run: Training, mesh: Mesh) -> tuple[Any, float]:
    """The step of training with the shardings that it has there, and the seconds that it took."""
    config = run.parts.config
    state: TrainState = jax.eval_shape(run.initial_state)
    shardings = parallel.param_shardings(state, mesh, strategy=config.parallel.params)
    rows, batch_size = parallel.split_by_rows(mesh), config.train.batch_size

    def batch_of(leaf):
        shape = (leaf.shape[0] * batch_size, *leaf.shape[1:])
        return jax.ShapeDtypeStruct(shape, jax.dtypes.canonicalize_dtype(leaf.dtype), sharding=rows)

    def state_of(leaf, sharding):
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)

    step = jax.jit(
        run.steps(shardings=shardings)[0],
        donate_argnums=0,
        out_shardings=(shardings, parallel.replicated(mesh)),
    )
    began = time.monotonic()
    lowered = step.lower(
        jax.tree.map(state_of, state, shardings), jax.tree.map(batch_of, _one_song(run))
    )
    return lowered.compile(), time.monotonic() - began


def _one_song(run: Training) -> PyTree:
    """A batch of one, whose rows are as those of any batch."""
    config = run.parts.config.copy_and_resolve_references()
    config.train.batch_size = 1
    one = dataclasses.replace(run, parts=dataclasses.replace(run.parts, config=config))
    batch = one.batches()[0]
    run.take_failed(batch)
    return batch
