"""Eight virtual CPU devices for every test, before anything starts JAX."""

import collections
import contextlib
import functools
import gc
import importlib.metadata
import os
import pathlib
import tempfile

# Tests and the processes that they start compile the same small programs again and again. They are
# not kept for later runs: one that was loaded from an earlier run has been seen to wait for ever.
_PROGRAMS = tempfile.TemporaryDirectory(prefix="mclf-programs-")
os.environ["JAX_COMPILATION_CACHE_DIR"] = _PROGRAMS.name
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
# XLA's older way to its kernels, in one piece: it compiles small programs, of which there are tens
# of thousands here, in half the time or less. The quick start after the tests takes its usual way.
_XLA_FLAGS = ["--xla_cpu_parallel_codegen_split_count=1"]
if importlib.metadata.version("jaxlib").startswith("0.10."):  # later ones have the newer way alone
    _XLA_FLAGS += ["--xla_cpu_use_fusion_emitters=false"]
os.environ["XLA_FLAGS"] = " ".join([os.environ.get("XLA_FLAGS", ""), *_XLA_FLAGS]).strip()

import hypothesis  # noqa: E402
import jax  # noqa: E402
import pytest  # noqa: E402

from tests import fuzz as fuzz_lib  # noqa: E402

jax.config.update("jax_num_cpu_devices", 8)
# The same examples every time, so that a change is what breaks a test.
hypothesis.settings.register_profile("repeatable", derandomize=True, deadline=None)
hypothesis.settings.load_profile("repeatable")
os.environ.setdefault("MPLBACKEND", "agg")


def pytest_addoption(parser):
    """The time of tests that try inputs at random."""
    parser.addoption(
        "--fuzz-seconds",
        type=float,
        default=6.0,
        help="how long each fuzz test goes on; all of them take a minute as it is",
    )


@pytest.fixture
def fuzz_numbers(request):
    """Seeds of inputs, 0, 1, 2, ... until the time is up: `for n in fuzz_numbers: ...`."""
    return fuzz_lib.numbers(request.config.getoption("--fuzz-seconds"))


@pytest.fixture
def fuzz_examples(request):
    """`fuzz_examples(check, *strategies)`: hypothesis, until the time is up."""
    return functools.partial(fuzz_lib.examples, request.config.getoption("--fuzz-seconds"))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Of a test with `slow_beyond(n)` all cases but the first n are slow."""
    seen = collections.Counter()
    for item in items:
        if mark := item.get_closest_marker("slow_beyond"):
            test = item.nodeid.partition("[")[0]
            seen[test] += 1
            if seen[test] > mark.args[0]:
                item.add_marker("slow")


@pytest.hookimpl(trylast=True)
def pytest_collection_finish():
    """The garbage collector need not look again and again through what was imported."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    """What is found out about audio files stays out of the user's home."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))


_FOR_PROCESSES = "JAX_DISABLE_MOST_OPTIMIZATIONS"


@contextlib.contextmanager
def _compiling(quickly: bool):
    """They round otherwise: what is kept from one call to the next is compiled anew."""
    from mclf_jax.evaluation.windows import make_step
    from mclf_jax.export.bundle import make_live_step

    def switch(value):
        jax.config.update("jax_disable_most_optimizations", value)
        make_step.cache_clear()
        make_live_step.cache_clear()

    before = _FOR_PROCESSES in os.environ
    if before == quickly:
        yield
        return
    switch(quickly)
    try:
        with pytest.MonkeyPatch.context() as patch:
            if quickly:
                patch.setenv(_FOR_PROCESSES, "1")
            else:
                patch.delenv(_FOR_PROCESSES)
            yield
    finally:
        switch(before)


def compiling_quickly():
    """Here and in processes that are started meanwhile, programs are compiled in half the time."""
    return _compiling(True)


# Of numbers as users have them, or that compute much, by the beginning of their path. The others
# compile a lot and compute little.
_FULLY = ("audio/", "compat/", "losses/", "models/test_parity.py")


@pytest.fixture(scope="module", autouse=True)
def _quick_module(request):
    """Before what a module trains; what a session trains says so itself."""
    path = request.path.relative_to(pathlib.Path(__file__).parent).as_posix()
    with _compiling(not path.startswith(_FULLY)):
        yield


@pytest.fixture
def quick_compiles():
    """For tests that compile a lot and compute little, where others compute a lot."""
    with _compiling(True):
        yield


@pytest.fixture
def full_compiles():
    """For tests that compute a lot."""
    with _compiling(False):
        yield
