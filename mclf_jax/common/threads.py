"""A function over many items in threads, with progress: decoding and FFTs run outside the lock."""

import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from typing import TypeVar

from mclf_jax.common import checks
from mclf_jax.common import progress as progress_lib

In = TypeVar("In")
Out = TypeVar("Out")


def each(
    function: Callable[[In], Out],
    items: Iterable[In],
    *,
    total: int,
    title: str,
    num_workers: int | None,
    progress: str,
) -> Iterator[tuple[In, Out]]:
    """Yields (item, function(item)) as they are done, few of them waiting at any time.

    Args:
        function: called in one of the threads.
        items: any number of them.
        total: how many, for the progress bar.
        title: of the bar.
        num_workers: threads; None is one for each core.
        progress: "auto" (where stderr is a terminal), "on" or "off".

    Raises:
        ValueError: `progress` or `num_workers` is not allowed.
        Exception: whatever the function raised.
    """
    if num_workers is not None:
        checks.at_least("num_workers", num_workers, 1)
    num_workers = num_workers or os.cpu_count() or 1
    left = iter(items)
    bar = progress_lib.bar(total=total, title=title, unit="item", progress=progress)
    with bar, ThreadPoolExecutor(max_workers=num_workers) as pool:
        pending = {}
        try:
            while True:
                for item in itertools.islice(left, 4 * num_workers - len(pending)):
                    pending[pool.submit(function, item)] = item
                if not pending:
                    return
                done, _ = wait(pending, return_when=FIRST_COMPLETED)
                for future in done:
                    yield pending.pop(future), future.result()
                    bar.update()
        finally:  # interrupted: what has not begun is not waited for
            for future in pending:
                future.cancel()
