"""A compiled program, read as text: the memory that each instruction moves, and for what.

What is counted is what instructions read from main memory and write to it. An instruction here is
one of the optimised program: a fusion reads its operands and writes its result, whatever happens
inside of it. Buffers that the compiler keeps on the chip (memory space 1 of a TPU) count nothing,
arrays count with the padding of their tiles, bodies of loops as often as they run.

XLA's own sum (`compiled.cost_analysis()`) counts buffers on the chip as well, loops once, and in a
gather a whole tile for each element, so it may be far above or below.
"""

import collections
import dataclasses
import math
import re
from collections.abc import Iterator, Mapping

PARTS = ("network", "augmentation", "features", "optimizer", "objective")
"""Scopes (`jax.named_scope`) of a training step, inner ones first."""
OTHER = "other"

_BITS = {"pred": 8, "token": 0, "opaque": 0}
_COLLECTIVES = (
    "all-gather",
    "all-reduce",
    "all-to-all",
    "collective-broadcast",
    "collective-permute",
    "ragged-all-to-all",
    "reduce-scatter",
)
# They move nothing: names for what is there, or the ends of what was counted at its start.
_FREE = {
    "add-dependency",
    "after-all",
    "bitcast",
    "constant",
    "get-tuple-element",
    "opt-barrier",
    "optimization-barrier",
    "parameter",
    "partition-id",
    "replica-id",
    "tuple",
}
_FREE_CALLS = ("AllocateBuffer", "ConcatBitcast", "GatherScatterIndicesBitpacked")
_SLICES = ("dynamic-slice", "slice", "gather")
_SHAPE = re.compile(r"([a-z]\w*)\[([\d,]*)\](?:\{([^}]*)\})?")
_NAME = re.compile(r"%([\w.\-]+)")
_CALLED = re.compile(r"(?:body|to_apply|calls|async_computation)=%([\w.\-]+)")
_BRANCHES = re.compile(
    r"branch_computations=\{([^}]*)\}|true_computation=(%[\w.\-]+), false_computation=(%[\w.\-]+)"
)


@dataclasses.dataclass(frozen=True)
class Instruction:
    """One line of a program: `name = shape opcode(operands), attributes`."""

    name: str
    shape: str
    opcode: str
    operands: tuple[str, ...]
    attributes: str
    is_root: bool

    @property
    def scope(self) -> str:
        """Of the JAX code that it comes from, such as "jit(train_step)/objective/network"."""
        found = re.search(r'op_name="([^"]*)"', self.attributes)
        return found[1] if found else ""


@dataclasses.dataclass(frozen=True)
class Program:
    """Its computations by name, each with its instructions by name, and which one is run."""

    computations: Mapping[str, Mapping[str, Instruction]]
    entry: str


def parse(text: str) -> Program:
    """`compiled.as_text()` as instructions."""
    computations: dict[str, dict[str, Instruction]] = {}
    entry, current = "", {}
    for line in text.splitlines():
        if line.endswith("{") and (found := re.match(r"(ENTRY )?%([\w.\-]+) \(", line)):
            current = computations.setdefault(found[2], {})
            entry = found[2] if found[1] else entry
        elif found := re.match(r"\s+(ROOT )?%([\w.\-]+) = ", line):
            shape, rest = _split_shape(line[found.end() :])
            opcode, _, rest = rest.partition("(")
            inside, attributes = _split_bracket(rest)
            current[found[2]] = Instruction(
                name=found[2],
                shape=shape,
                opcode=opcode,
                operands=tuple(_NAME.findall(inside)),
                # Constants have numbers in their brackets, which a loop's end is known by.
                attributes=inside if opcode in ("constant", "parameter") else attributes,
                is_root=bool(found[1]),
            )
    return Program(computations, entry)


def traffic(program: Program) -> dict[str, float]:
    """Bytes of main memory that one run reads and writes, by part of the step, largest first."""
    found: dict[str, float] = collections.Counter()
    for instruction, computation, times, outer in _run(program):
        moved = times * _moved(program, computation, instruction)
        found[_part(instruction.scope) or outer or OTHER] += moved
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def collectives(program: Program) -> dict[str, dict[str, float]]:
    """{kind: {"count", "bytes"}} of what devices exchange: the size of the results, on a device."""
    found: dict[str, dict[str, float]] = {}
    # A fusion may hold one, and several fusions the ends and the middle of the same.
    seen: set[str] = set()
    for instruction, computation, times, _ in _run(program):
        inside, name = {instruction.name: instruction}, ""
        if instruction.opcode == "fusion":
            name = _called(instruction)
            inside = program.computations[name]
        for one in inside.values():
            kind = _collective(one)
            channel = re.search(r"channel_id=\d+", one.attributes)
            if kind is None or (name and channel and channel[0] in seen):
                continue
            if name and channel:
                seen.add(channel[0])
            size = _least(one.shape)
            if name.startswith("all-reduce-scatter"):
                kind, size = "reduce-scatter", _least(instruction.shape)
            elif one.opcode == "all-gather-start":
                # Its result has the operands beside what comes out.
                size -= sum(_least(computation[operand].shape) for operand in one.operands)
            entry = found.setdefault(kind, {"count": 0, "bytes": 0})
            entry["count"] += times
            entry["bytes"] += times * size
    return found


def _run(program: Program) -> Iterator[tuple[Instruction, Mapping[str, Instruction], int, str]]:
    """(instruction, its computation, how often it runs, the part of what calls it)."""

    def visit(name: str, times: int, outer: str):
        computation = program.computations[name]
        for instruction in computation.values():
            opcode = instruction.opcode
            part = _part(instruction.scope) or outer
            if opcode == "while":
                [condition] = re.findall(r"condition=%([\w.\-]+)", instruction.attributes)
                count = _trips(instruction, program.computations[condition])
                yield from visit(_called(instruction), times * count, part)
            elif opcode == "call" or opcode in ("async-start", "conditional"):
                # Of the branches of a conditional one is run; which one, nothing says.
                for branch in _branches(instruction)[:1]:
                    yield from visit(branch, times, part)
            else:
                yield instruction, computation, times, outer

    return visit(program.entry, 1, "")


def _called(instruction: Instruction) -> str:
    found = _CALLED.search(instruction.attributes)
    assert found, instruction
    return found[1]


def _branches(instruction: Instruction) -> list[str]:
    if found := _BRANCHES.search(instruction.attributes):
        return _NAME.findall(" ".join(group for group in found.groups() if group))
    return [_called(instruction)]


def _trips(loop: Instruction, condition: Mapping[str, Instruction]) -> int:
    """How often a loop runs: as it says, or up to the one number of its condition, or once."""
    if found := re.search(r'"known_trip_count":\{"n":"(\d+)"', loop.attributes):
        return int(found[1])
    numbers = [
        int(instruction.attributes)
        for instruction in condition.values()
        if instruction.opcode == "constant" and instruction.attributes.isdigit()
    ]
    return numbers[0] if len(numbers) == 1 else 1


def _part(scope: str) -> str:
    # "jit(train_step)/transpose(jvp(objective))/network/...": transforms stand around names.
    names = set(re.split(r"[/()]", scope))
    return next((part for part in PARTS if part in names), "")


def _collective(instruction: Instruction) -> str | None:
    kind = instruction.opcode.removesuffix("-start")
    return kind if kind in _COLLECTIVES else None


def _moved(
    program: Program, computation: Mapping[str, Instruction], instruction: Instruction
) -> float:
    opcode, shape = instruction.opcode, instruction.shape
    if opcode in _FREE or opcode.endswith("-done"):
        return 0
    if opcode == "custom-call" and any(name in instruction.attributes for name in _FREE_CALLS):
        return 0
    operands = [computation[name].shape for name in instruction.operands if name in computation]
    if opcode in ("copy-start", "slice-start"):
        # ((operand), result, context): between main memory and the chip, as much as is copied.
        leaves = [_leaf(*leaf) for leaf in _SHAPE.findall(shape)]
        copied = min(size for _, size in leaves[:2])
        return sum(copied for space, _ in leaves[:2] if space == 0)
    if opcode in _SLICES:
        return _least(shape) * (_in_memory(operands[0]) + _in_memory(shape))
    if opcode == "dynamic-update-slice":
        return _least(operands[1]) * (_in_memory(operands[1]) + _in_memory(shape))
    if opcode == "fusion":
        return _moved_by_fusion(program.computations[_called(instruction)], operands, shape)
    return _size(shape) + sum(map(_size, operands))


def _moved_by_fusion(inside: Mapping[str, Instruction], operands: list[str], shape: str) -> float:
    """Operands and result; of one that is only sliced inside, or updated in place, that part."""
    users: dict[str, list[Instruction]] = collections.defaultdict(list)
    for instruction in inside.values():
        for name in instruction.operands:
            users[name].append(instruction)

    def behind_names(name: str) -> list[Instruction]:
        """What really uses a value, under whatever shape."""
        return [
            user
            for direct in users[name]
            for user in (behind_names(direct.name) if direct.opcode == "bitcast" else [direct])
        ]

    total, updated = 0.0, 0.0
    for parameter in (one for one in inside.values() if one.opcode == "parameter"):
        operand = operands[int(parameter.attributes)]
        if not _in_memory(operand):
            continue
        parts = 0.0
        for user in behind_names(parameter.name):
            first = inside[user.operands[0]]
            while first.opcode == "bitcast":
                first = inside[first.operands[0]]
            if user.opcode in _SLICES and first is parameter:
                parts += _least(user.shape)
            elif user.opcode == "dynamic-update-slice" and first is parameter:
                updated += _least(operand) - _least(inside[user.operands[1]].shape)
            else:
                parts += math.inf
        total += min(parts, _size(operand))
    return total + max(_size(shape) - updated, 0)


def _split_shape(text: str) -> tuple[str, str]:
    """ "f32[2]{0} add(...)" as its shape and the rest; the shape may be a tuple of them."""
    if text.startswith("("):
        inside, rest = _split_bracket(text[1:])
        return f"({inside})", rest.lstrip(" ")
    shape, _, rest = text.partition(" ")
    return shape, rest


def _split_bracket(text: str) -> tuple[str, str]:
    """What stands before the bracket that closes one opened before the text, and behind it."""
    depth = 1
    for found in re.finditer(r"[()]", text):
        depth += 1 if found[0] == "(" else -1
        if not depth:
            return text[: found.start()], text[found.end() :]
    return text, ""


def _size(shape: str, *, everywhere: bool = False) -> float:
    """Bytes of a shape, or of all in a tuple, in main memory, or wherever they are."""
    leaves = (_leaf(*leaf) for leaf in _SHAPE.findall(shape))
    return sum(size for space, size in leaves if everywhere or space == 0)


def _least(shape: str) -> float:
    return _size(shape, everywhere=True)


def _in_memory(shape: str) -> bool:
    return any(_leaf(*leaf)[0] == 0 for leaf in _SHAPE.findall(shape))


def _leaf(dtype: str, dimensions: str, layout: str) -> tuple[int, float]:
    """Memory space and bytes of an array; "1,0:T(8,128)S(1)" are order, tile and space."""
    space = re.search(r"S\((\d+)\)", layout)
    sizes = [int(number) for number in dimensions.split(",") if number]
    order, _, rest = layout.partition(":")
    if sizes and (tile := re.match(r"T\(([\d,]+)\)", rest)):
        minor_first = [int(number) for number in order.split(",") if number]
        tiles = [int(number) for number in tile[1].split(",")]
        for axis, length in zip(minor_first, reversed(tiles), strict=False):
            sizes[axis] = math.ceil(sizes[axis] / length) * length
    return int(space[1]) if space else 0, math.prod(sizes) * _bits(dtype) / 8


def _bits(dtype: str) -> int:
    if dtype in _BITS:
        return _BITS[dtype]
    found = re.search(r"\d+", dtype)
    return int(found[0]) if found else 0
