"""Damaged and strange weights: they are the right ones, or an error of a few lines says why not."""

import resource

import hypothesis.strategies as st
import jax
import numpy as np
import pytest

from mclf_jax.convert.from_torch import from_torch
from mclf_jax.convert.weights import write_weights
from tests.convert.networks import small_weights

SUFFIXES = (".npz", ".safetensors", ".pth")
WEIGHTS = {key: array.astype("f4") for key, array in small_weights("fcn").items()}
KEYS = sorted(WEIGHTS)
RIGHT = from_torch("fcn", WEIGHTS)
LONGEST = 16  # lines of an error


def outcome(weights):
    """Variables, or None where an error was fit to be shown."""
    try:
        return from_torch("fcn", weights)
    except ValueError as error:
        assert str(error).count("\n") < LONGEST and "Traceback" not in str(error)
        return None


def are_right(variables):
    same = jax.tree.map(lambda a, b: a.shape == b.shape and bool((a == b).all()), variables, RIGHT)
    return all(jax.tree.leaves(same))


def are_usable(variables):
    assert jax.tree.map(np.shape, variables) == jax.tree.map(np.shape, RIGHT)
    return all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(variables))


def mutated(content, edits):
    data = bytearray(content)
    for place, what, value in edits:
        if not data:
            break
        # Headers are at the ends, where the most can go wrong.
        at = int(place * len(data)) if value % 3 else min(int(place * 4000), len(data) - 1)
        at = len(data) - 1 - at if value % 2 else at
        if what == "flip":
            data[at] ^= 1 << value % 8
        elif what == "set":
            data[at] = value
        elif what == "cut":
            del data[max(at, 9) :]
        elif what == "drop":
            del data[at : at + value + 1]
        elif what == "put":
            data[at:at] = bytes([value]) * (value + 1)
        elif what == "copy":
            data[at:at] = data[: value + 1]
    return bytes(data)


edit = st.tuples(
    st.floats(0, 1, exclude_max=True),
    st.sampled_from(("flip", "set", "cut", "drop", "put", "copy")),
    st.integers(0, 255),
)


@pytest.fixture(scope="module")
def contents(tmp_path_factory):
    folder = tmp_path_factory.mktemp("seeds")
    for suffix in SUFFIXES:
        if suffix == ".pth":
            try:
                import torch  # noqa: F401
            except ImportError:
                continue
        write_weights(folder / f"w{suffix}", WEIGHTS)
    return {file.suffix: file.read_bytes() for file in folder.iterdir()}


@pytest.mark.filterwarnings("ignore")
def test_mutated_files(contents, tmp_path, fuzz_examples):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    def check(suffix, edits):
        path = tmp_path / f"w{suffix}"
        path.write_bytes(mutated(contents[suffix], edits))
        found = outcome(path)
        if found is not None and suffix != ".safetensors":  # which has no checksums
            assert are_right(found)
        elif found is not None:
            assert are_usable(found)

    fuzz_examples(check, st.sampled_from(sorted(contents)), st.lists(edit, min_size=1, max_size=4))
    grown_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1e3
    assert grown_mb < 400


numbers = st.sampled_from((np.nan, np.inf, 1e300, -1.0, 0.0))
shapes = st.lists(st.integers(0, 5), max_size=5).map(tuple)
values = st.one_of(
    st.none(),
    st.integers(),
    st.text(max_size=3),
    st.just([np.ones(2)]),
    st.dictionaries(st.sampled_from(("weight", "step", "a.b")), st.just(np.ones(3)), max_size=2),
    st.builds(np.ones, shapes, st.sampled_from(("f4", "f8", "i8", "c8", "?", "U3", "O", "M8[s]"))),
)
change = st.one_of(
    st.tuples(st.just("drop"), st.sampled_from(KEYS), st.none()),
    st.tuples(st.just("value"), st.sampled_from(KEYS), numbers),
    st.tuples(st.just("replace"), st.sampled_from(KEYS), values),
    st.tuples(st.just("add"), st.text(max_size=4) | st.integers() | st.none(), values),
    st.tuples(st.just("prefix"), st.sampled_from(("net.", "encoder.", "k.", ".", "é.")), st.none()),
    st.tuples(st.just("nest"), st.sampled_from(("model", "", "a.b", "teacher")), values),
)


@pytest.mark.filterwarnings("ignore")
def test_strange_state_dicts(fuzz_examples):
    def check(changes):
        weights = dict(WEIGHTS)
        harmless = True
        for what, key, value in changes:
            if what == "drop":
                weights.pop(key, None)
            elif what == "value" and isinstance(weights.get(key), np.ndarray):
                weights[key] = np.full(weights[key].shape, value)
            elif what in ("replace", "add"):
                weights[key] = value
            elif what == "prefix":
                weights = {f"{key}{name}": array for name, array in weights.items()}
            elif what == "nest":
                weights = {key: weights, "beside": value}
            harmless &= what in ("prefix", "nest")
        found = outcome(weights)
        if harmless:
            assert found is not None and are_right(found)
        elif found is not None:
            assert are_usable(found)

    fuzz_examples(check, st.lists(change, min_size=1, max_size=4))
