"""Ablations and recipes of many stages: what a config's `sweep()` yields, trained and tabulated."""

from mclf_jax.sweep.settings import RunOf, Setting, grid, probes_of, run_of, settings_of

__all__ = ["RunOf", "Setting", "grid", "probes_of", "run_of", "settings_of"]
