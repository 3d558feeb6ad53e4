"""Checks say what was got, what is allowed, and which field to change."""

import inspect
import math

import pytest

from mclf_jax.common import checks, progress


def test_what_is_allowed_passes():
    checks.choice("a", "x", ("x", "y"))
    checks.positive("a", None)
    checks.positive("a", 0.1)
    checks.at_least("a", 1, 1)
    checks.within("a", 0, 0, 1, ends="[)")
    checks.only_known("a", ["x"], ["x", "y"], of="b")


@pytest.mark.parametrize(
    ("check", "message"),
    [
        (lambda: checks.choice("split", False, range(5)), "split is False; allowed: 0, 1"),
        (lambda: checks.within("rate", None, 0, 1), "rate is None; it must be in"),
        (lambda: checks.positive("hop_s", 0, unit="seconds"), "hop_s is 0; .* number of seconds"),
        (lambda: checks.positive("hop_s", math.inf), "hop_s is inf; it must be positive"),
        (lambda: checks.at_least("seeds", math.nan, 1), "seeds is nan; it must be at least 1"),
        (lambda: checks.within("rate", 0, 0, 1, ends="(]"), r"rate is 0; it must be in \(0, 1\]"),
        (lambda: checks.within("rate", math.nan, 0, 1), r"rate is nan; it must be in \[0, 1\]"),
        (
            lambda: progress.bar(total=1, title="", unit="", progress="yes"),
            "allowed: auto, on, off",
        ),
    ],
)
def test_what_is_not_allowed_is_named(check, message):
    with pytest.raises(ValueError, match=message):
        check()


def test_settings_have_a_hash():
    assert checks.as_tuples([1, [2, "ab"]]) == (1, (2, "ab"))


def test_arguments_of_a_function():
    def build(path, *, depth=1):
        pass

    takes = inspect.signature(build).parameters
    checks.arguments("data.args", {"path": "."}, takes, of="build")
    with pytest.raises(ValueError, match="data.args has width; build takes depth, path"):
        checks.arguments("data.args", {"path": ".", "width": 2}, takes, of="build")
    with pytest.raises(ValueError, match="data.args lacks path, which build needs"):
        checks.arguments("data.args", {}, takes, of="build")


def test_a_function_that_takes_any_argument():
    def build(path, *more, **others):
        pass

    takes = inspect.signature(build).parameters
    checks.arguments("data.args", {"path": ".", "width": 2}, takes, of="build")
    with pytest.raises(ValueError, match="data.args lacks path, which build needs"):
        checks.arguments("data.args", {"width": 2}, takes, of="build")


def test_true_is_not_one():
    with pytest.raises(ValueError, match="split is True; allowed: 0, 1"):
        checks.choice("split", True, (0, 1))
    checks.choice("split", True, (0, True))
