"""The examples in docstrings run, and print what they say."""

import doctest
import importlib
import warnings

import pytest

from tests import ROOT

ROOMS = ("audio", "augment", "common", "losses", "metrics")
MODULES = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for room in ROOMS
    for path in sorted((ROOT / "mclf_jax" / room).rglob("*.py"))
    if ">>> " in path.read_text(encoding="utf-8")
]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = doctest.testmod(importlib.import_module(name))
    assert found.attempted and not found.failed
