"""The usual convolution, whose gradients take a part of the time on a CPU.

XLA's kernel for the gradient of weights runs there at a fifth of the rate of its forward kernel.
Written out as matrix products it runs at half to two thirds of that rate, unless a layer is small.
Which way is taken follows from the shape alone, by what was measured (benchmarks/NOTES.md).
"""

import functools
import itertools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

# Of a layer, below which XLA's own gradients are as fast.
_POSITIONS = 400  # of the output, for each example
_POSITIONS_STRIDED = 900  # for the gradient of the input
_POSITIONS_OF_BATCH = 4096  # with few channels
_INPUTS, _OUTPUTS = 32, 32  # channels
_FEW = 8  # input channels, such as those of a spectrogram or a waveform
_BLOCK = 640  # positions whose patches fit into a core's cache
_LAYOUT = ("NHWC", "HWIO", "NHWC")


def quick_conv(lhs, rhs, window_strides, padding, **settings):
    """`lax.conv_general_dilated`, [B, F, M, C] or [B, T, C], as `flax.linen.Conv` calls it.

    What it computes is the same, bit for bit; its gradients are the same but for rounding. Only
    large layers in float32 or float64 on a single CPU are differentiated in ways of their own. Over
    several devices the partitioner divides XLA's kernels well, and loops badly.
    """
    plain = all(
        factor == 1
        for name in ("lhs_dilation", "rhs_dilation")
        for factor in settings.get(name) or (1,)
    )
    plain &= settings.get("feature_group_count", 1) == 1
    plain &= settings.get("precision") is None
    plain &= not isinstance(padding, str) and lhs.dtype in (jnp.float32, jnp.float64)
    # Exported programs are of any batch, and nobody differentiates them.
    plain &= all(isinstance(size, int) for size in lhs.shape)
    if plain and jax.default_backend() == "cpu" and jax.device_count() == 1:
        geometry = (
            (*window_strides, *(1,) * (4 - lhs.ndim)),
            (*(tuple(sides) for sides in padding), *((0, 0),) * (4 - lhs.ndim)),
        )
        ways = choose_ways(lhs.shape, rhs.shape, *geometry)
        if ways != ("xla", "xla"):
            return _conv(lhs, rhs, *geometry, ways)
    return lax.conv_general_dilated(lhs, rhs, window_strides, padding, **settings)


def choose_ways(
    lhs: Sequence[int], rhs: Sequence[int], strides: Sequence[int], padding: Sequence[Any]
) -> tuple[str, str]:
    """How the gradients of weights and of the input are computed, by the shapes.

    Returns:
        "product", "blocks" or "xla"; and "product", "phases" or "xla".
    """
    inputs, outputs = rhs[-2:]
    sizes = [
        (size + sum(sides) - kernel) // stride + 1
        for size, kernel, stride, sides in zip(lhs[1:-1], rhs[:-2], strides, padding, strict=False)
    ]
    positions = 1
    for size in sizes:
        positions *= size
    if outputs < _OUTPUTS or all(size == 1 for size in rhs[:-2]):
        return "xla", "xla"
    if inputs <= _FEW:
        return ("product",) * 2 if lhs[0] * positions >= _POSITIONS_OF_BATCH else ("xla",) * 2
    # Of one-dimensional layers XLA's own are as fast, but for those of few channels.
    if inputs < _INPUTS or positions < _POSITIONS or len(lhs) == 3:
        return "xla", "xla"
    strided = any(stride > 1 for stride in strides) and positions >= _POSITIONS_STRIDED
    return "blocks", "phases" if strided else "xla"


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4))
def _conv(x, kernel, strides, padding, ways):
    return _plain(x, kernel, strides, padding)


def _plain(x, kernel, strides, padding):
    count = x.ndim - 2
    layout = tuple("".join(c for c in spec if c != "W" or count > 1) for spec in _LAYOUT)
    return lax.conv_general_dilated(
        x, kernel, strides[:count], padding[:count], dimension_numbers=layout
    )


def _forward(x, kernel, strides, padding, ways):
    return _conv(x, kernel, strides, padding, ways), (x, kernel)


def _backward(strides, padding, ways, saved, dy):
    def by_xla(x, kernel, dy):
        return jax.vjp(lambda x, kernel: _plain(x, kernel, strides, padding), x, kernel)[1](dy)

    def on_cpu(x, kernel, dy):
        weight_way, input_way = ways
        flat = x.ndim == 3
        x_4d, dy_4d = (x[:, :, None], dy[:, :, None]) if flat else (x, dy)
        kernel_4d = kernel[:, None] if flat else kernel
        if weight_way == "xla":
            (dw,) = jax.vjp(lambda kernel: _plain(x, kernel, strides, padding), kernel)[1](dy)
        else:
            way = _weights_by_product if weight_way == "product" else _weights_by_blocks
            dw = way(x_4d, dy_4d, kernel_4d.shape[:2], strides, padding)
        if input_way == "xla":
            (dx,) = jax.vjp(lambda x: _plain(x, kernel, strides, padding), x)[1](dy)
        else:
            way = _input_by_product if input_way == "product" else _input_by_phases
            dx = way(dy_4d, kernel_4d, x_4d.shape, strides, padding)
        return dx.reshape(x.shape), dw.reshape(kernel.shape)

    # Programs for other devices are made on machines that have none (`mclf inspect --topology`).
    return lax.platform_dependent(*saved, dy, cpu=on_cpu, default=by_xla)


_conv.defvjp(_forward, _backward)


def taps_of(x, kernel_size, strides, sizes):
    """What each place of the kernel sees: [..., F, M, C] -> a [..., *sizes, C] for each place."""
    spans = [(size - 1) * stride + 1 for size, stride in zip(sizes, strides, strict=True)]
    return [
        x[..., i : i + spans[0] : strides[0], j : j + spans[1] : strides[1], :]
        for i, j in itertools.product(*map(range, kernel_size))
    ]


def _weights_by_product(x, dy, kernel_size, strides, padding):
    """One product over all positions, for few channels."""
    outputs = dy.shape[-1]
    x = jnp.pad(x, ((0, 0), *padding, (0, 0)))
    taps = taps_of(x, kernel_size, strides, dy.shape[1:3])
    # Patches lie in rows, so that the product reads them in order.
    patches = jnp.concatenate([tap.reshape(-1, x.shape[-1]).T for tap in taps])
    product = lax.optimization_barrier(patches) @ dy.reshape(-1, outputs)
    return product.reshape(*kernel_size, x.shape[-1], outputs)


def _weights_by_blocks(x, dy, kernel_size, strides, padding):
    """Products over blocks of rows of one example after another, added up."""
    batch, rows, columns, outputs = dy.shape
    blocks = max(1, round(rows * columns / _BLOCK))
    height = -(-rows // blocks)
    blocks = -(-rows // height)
    seen = (height - 1) * strides[0] + kernel_size[0]
    missing = (blocks * height - 1) * strides[0] + kernel_size[0] - x.shape[1] - padding[0][0]
    x = jnp.pad(x, ((0, 0), (padding[0][0], max(missing, 0)), padding[1], (0, 0)))
    dy = jnp.pad(dy, ((0, 0), (0, blocks * height - rows), (0, 0), (0, 0)))
    channels = x.shape[-1]

    def add(total, index):
        example, block = index // blocks, index % blocks
        part = lax.dynamic_slice(
            dy, (example, block * height, 0, 0), (1, height, columns, outputs)
        ).reshape(-1, outputs)
        seen_x = lax.dynamic_slice(
            x, (example, block * height * strides[0], 0, 0), (1, seen, *x.shape[2:])
        )[0]
        taps = taps_of(seen_x, kernel_size, strides, (height, columns))
        patches = jnp.concatenate([tap.reshape(-1, channels) for tap in taps], axis=-1)
        # Or they would be made anew for each element of the product.
        part, patches = lax.optimization_barrier((part.T, patches))
        return total + part @ patches, None

    total = jnp.zeros((outputs, kernel_size[0] * kernel_size[1] * channels), dy.dtype)
    total, _ = lax.scan(add, total, jnp.arange(batch * blocks))
    return total.reshape(outputs, *kernel_size, channels).transpose(1, 2, 3, 0)


def _input_by_product(dy, kernel, shape, strides, padding):
    """One product for each position, whose parts are added where they belong: few channels."""
    height, width, channels, outputs = kernel.shape
    parts = dy.reshape(-1, outputs) @ kernel.reshape(-1, outputs).T
    parts = lax.optimization_barrier(parts).reshape(*dy.shape[:3], height, width, channels)
    dx = jnp.zeros(shape, dy.dtype)
    for i, j in itertools.product(range(height), range(width)):
        sides = [(0, 0, 0)]
        for axis, place in ((0, i), (1, j)):
            first = place - padding[axis][0]
            last = first + (dy.shape[axis + 1] - 1) * strides[axis]
            sides.append((first, shape[axis + 1] - 1 - last, strides[axis] - 1))
        part = parts[:, :, :, i, j]
        dx += lax.pad(part, jnp.zeros((), dy.dtype), [*sides, (0, 0, 0)])
    return dx


def _input_by_phases(dy, kernel, shape, strides, padding):
    """A convolution without stride for each remainder of a position divided by the stride."""
    axes = [_phases(kernel.shape[axis], strides[axis], padding[axis][0]) for axis in range(2)]
    counts = [-(-shape[axis + 1] // strides[axis]) for axis in range(2)]
    made = []
    for row in axes[0]:
        for column in axes[1]:
            if row["places"] is None or column["places"] is None:
                made.append(jnp.zeros((shape[0], *counts, shape[3]), dy.dtype))
                continue
            part = kernel[row["places"]][:, column["places"]]
            sides = [
                (-phase["first"], count - 1 + phase["last"] - (size - 1))
                for phase, count, size in zip((row, column), counts, dy.shape[1:3], strict=True)
            ]
            made.append(
                lax.conv_general_dilated(
                    dy, part, (1, 1), sides, dimension_numbers=("NHWC", "HWOI", "NHWC")
                )
            )
    dx = jnp.stack(made).reshape(*strides, shape[0], *counts, shape[3])
    dx = dx.transpose(2, 3, 0, 4, 1, 5)
    dx = dx.reshape(shape[0], counts[0] * strides[0], counts[1] * strides[1], shape[3])
    return dx[:, : shape[1], : shape[2]]


def _phases(kernel: int, stride: int, before: int) -> list[dict[str, Any]]:
    """For each remainder: places of the kernel that reach it, and from how far away.

    Place i of output o reads position stride * o - before + i.
    """
    found = []
    for remainder in range(stride):
        # In the order of the outputs, which is the reverse of the kernel's.
        places = [i for i in reversed(range(kernel)) if (remainder + before - i) % stride == 0]
        offsets = [(remainder + before - i) // stride for i in places]
        found.append(
            {
                "places": np.array(places) if places else None,
                "first": min(offsets, default=0),
                "last": max(offsets, default=0),
            }
        )
    return found
