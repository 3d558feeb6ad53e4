"""Bytes that a program moves, counted by hand."""

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from mclf_jax.common import parallel
from mclf_jax.train.topology.program import collectives, parse, traffic

LOOP = """HloModule jit_step

%cond (p: (s32[], f32[8,128])) -> pred[] {
  %end = s32[]{:T(128)} constant(10)
  %p = (s32[]{:T(128)}, f32[8,128]{1,0:T(8,128)}) parameter(0)
  %i = s32[]{:T(128)S(6)} get-tuple-element(%p), index=0
  ROOT %less = pred[]{:T(512)S(6)} compare(%i, %end), direction=LT
}

%sliced (a: f32[1000,128], b: s32[]) -> f32[1,128] {
  %a = f32[1000,128]{1,0:T(8,128)} parameter(0)
  %b = s32[]{:T(128)} parameter(1)
  %zero = s32[] constant(0)
  ROOT %cut = f32[1,128]{1,0:T(1,128)} dynamic-slice(%a, %b, %zero), dynamic_slice_sizes={1,128}
}

%body (q: (s32[], f32[8,128])) -> (s32[], f32[8,128]) {
  %q = (s32[]{:T(128)S(6)}, f32[8,128]{1,0:T(8,128)}) parameter(0)
  %j = s32[]{:T(128)S(6)} get-tuple-element(%q), index=0
  %x = f32[8,128]{1,0:T(8,128)} get-tuple-element(%q), index=1
  %y = f32[8,128]{1,0:T(8,128)} add(%x, %x), metadata={op_name="jit(step)/objective/network/add"}
  ROOT %t = (s32[]{:T(128)S(6)}, f32[8,128]{1,0:T(8,128)}) tuple(%j, %y)
}

ENTRY %main (w: f32[1000,128], n: s32[]) -> f32[8,128] {
  %w = f32[1000,128]{1,0:T(8,128)} parameter(0)
  %n = s32[]{:T(128)S(6)} parameter(1)
  %row = f32[1,128]{1,0:T(1,128)} fusion(%w, %n), kind=kLoop, calls=%sliced
  %wide = f32[8,3]{1,0:T(8,128)} custom-call(%row), custom_call_target="Widen", \
metadata={op_name="jit(step)/transpose(jvp(objective))/features/widen"}
  %near = f32[8,128]{1,0:T(8,128)S(1)} negate(%wide), metadata={op_name="jit(step)/optimizer/neg"}
  %whole = f32[8,128]{1,0:T(8,128)} all-reduce(%near), replica_groups={}, to_apply=%sliced
  %start = (s32[]{:T(128)S(6)}, f32[8,128]{1,0:T(8,128)}) tuple(%n, %whole)
  %loop = (s32[]{:T(128)S(6)}, f32[8,128]{1,0:T(8,128)}) while(%start), condition=%cond, body=%body
  ROOT %out = f32[8,128]{1,0:T(8,128)} get-tuple-element(%loop), index=1
}
"""
ROW, TILE = 512, 4096


def test_counts_main_memory_tiles_slices_and_loops():
    program = parse(LOOP)
    assert traffic(program) == {
        "network": 10 * 3 * TILE,  # the operand twice, and the result
        # The row and what is cut; what is widened is 3 lanes of 128; the sum over devices.
        "other": 2 * ROW + TILE,
        "features": ROW + TILE,
        "optimizer": TILE,  # what comes out stays on the chip
    }
    assert collectives(program) == {"all-reduce": {"count": 1, "bytes": TILE}}


def test_a_program_of_this_jax():
    rows = NamedSharding(parallel.make_mesh(2), PartitionSpec("data"))

    def step(x):
        with jax.named_scope("objective"):
            x, _ = jax.lax.scan(lambda x, _: (jnp.sin(x @ x.T @ x), None), x, length=5)
            return x.sum()

    x = jax.ShapeDtypeStruct((64, 64), jnp.float32, sharding=rows)
    compiled = jax.jit(step).lower(x).compile()
    program = parse(compiled.as_text())
    found, exchanged = traffic(program), collectives(program)
    # Rows times columns of all rows: those are gathered in each of the five turns.
    assert sum(entry["count"] for entry in exchanged.values()) >= 5
    assert found["objective"] > 5 * 3 * 32 * 64 * 4
    once = compiled.cost_analysis()["bytes accessed"]
    assert sum(found.values()) == pytest.approx(5 * once, rel=0.3)
