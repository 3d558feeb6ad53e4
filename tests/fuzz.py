"""Inputs that nobody thought of, tried for as long as `--fuzz-seconds` says; see conftest.py."""

import contextlib
import itertools
import time
import unittest
from collections.abc import Callable, Iterator
from typing import Any

import hypothesis
from hypothesis import strategies


def numbers(seconds: float) -> Iterator[int]:
    """0, 1, 2, ... until the time is up, at least 0: the seed of each input, so that a longer run
    begins with those of a short one, and a failure says which one it was."""
    end = time.monotonic() + seconds
    return itertools.takewhile(lambda n: not n or time.monotonic() < end, itertools.count())


def examples(seconds: float, check: Callable[..., Any], *given: Any) -> int:
    """Calls `check` with examples of hypothesis strategies until the time is up; how many.

    What fails is made as small as it can be, and raised.
    """
    end, count, failed = time.monotonic() + seconds, 0, False

    @hypothesis.settings(
        max_examples=10**9,
        deadline=None,
        derandomize=True,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(strategies.tuples(*given))
    def run(example):
        nonlocal count, failed
        # What ends hypothesis at once. A failure is made smaller first, however long that takes.
        if count and not failed and time.monotonic() > end:
            raise unittest.SkipTest
        count += 1
        try:
            check(*example)
        except Exception:
            failed = True
            raise

    with contextlib.suppress(unittest.SkipTest):
        run()
    return count
