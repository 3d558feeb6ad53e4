"""Where compiled programs are kept."""

import jax
import pytest

from mclf_jax.common import files
from mclf_jax.common.machine import programs

FIELDS = ("jax_compilation_cache_dir", "jax_compilation_cache_max_size")


@pytest.fixture
def settings(monkeypatch):
    """JAX as it is where nobody has set anything, and back afterwards."""
    before = {name: getattr(jax.config, name) for name in FIELDS}
    jax.config.update("jax_compilation_cache_dir", None)
    yield monkeypatch
    for name, value in before.items():
        jax.config.update(name, value)
    programs.compilation_cache.reset_cache()


def test_on_accelerators_and_wherever_somebody_says(settings):
    assert programs.keep_programs() == ""  # on a CPU
    settings.setattr(jax, "default_backend", lambda: "gpu")
    assert programs.keep_programs() == str(files.cache_folder() / "programs")
    assert jax.config.jax_compilation_cache_dir == programs.keep_programs()
    settings.setattr(jax, "default_backend", lambda: "cpu")
    jax.config.update("jax_compilation_cache_dir", "/elsewhere")
    assert programs.keep_programs() == "/elsewhere"


def test_switched_off(settings):
    settings.setattr(jax, "default_backend", lambda: "gpu")
    jax.config.update("jax_enable_compilation_cache", False)
    try:
        assert programs.keep_programs() == "" and jax.config.jax_compilation_cache_dir is None
    finally:
        jax.config.update("jax_enable_compilation_cache", True)
