"""An experiment's settings: the fields with their defaults, overrides, and checks in words."""

from mclf_jax.common.callable import make_callable
from mclf_jax.config.check import validate
from mclf_jax.config.fields import base, flatten
from mclf_jax.config.library import load_module
from mclf_jax.config.load import (
    apply_overrides,
    as_before,
    differences,
    format_arg,
    from_json,
    load,
    named,
    override,
    parse_arg,
    to_json,
)
from mclf_jax.config.steps import evaluation_steps, phase_steps, to_steps, unfreeze_steps

__all__ = [
    "apply_overrides",
    "as_before",
    "base",
    "differences",
    "evaluation_steps",
    "flatten",
    "format_arg",
    "from_json",
    "load",
    "load_module",
    "named",
    "override",
    "parse_arg",
    "phase_steps",
    "to_json",
    "to_steps",
    "unfreeze_steps",
    "validate",
]

make_callable(__name__, named)
