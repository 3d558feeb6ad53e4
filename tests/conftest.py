"""Eight virtual CPU devices for every test, before anything starts JAX."""

import os

import hypothesis
import jax
import pytest

jax.config.update("jax_num_cpu_devices", 8)
# The same examples every time, so that a change is what breaks a test.
hypothesis.settings.register_profile("repeatable", derandomize=True, deadline=None)
hypothesis.settings.load_profile("repeatable")
# The caches of scanned audio and of compiled programs stay out of the user's home.
os.environ.setdefault("MPLBACKEND", "agg")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture
def quick_compiles():
    """For tests that compile a lot and compute little: about half the time."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)
