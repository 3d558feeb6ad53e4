"""`mclf train --profile-steps A:B`: a trace of these steps, for xprof or Perfetto."""

import re
from pathlib import Path
from typing import Any

import jax

from mclf_jax.common import progress


def parse_steps(text: str) -> tuple[int, int]:
    """ "10:14" -> (10, 14), the first and the last step.

    Raises:
        ValueError: it is something else.
    """
    found = re.fullmatch(r"(\d+):(\d+)", text)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise ValueError(
            f"--profile-steps is {text!r}; it must be A:B, the first and the last step, such as "
            "10:14; steps count from 1"
        )
    return int(found[1]), int(found[2])


class Profile:
    """Has the methods of `run.writers`; the trace is in `profile/plugins/profile/` of the run.

    Args:
        workdir: the run directory.
        first_step, last_step: to be traced. The first step of a session compiles, and is large.
    """

    def __init__(self, workdir: str | Path, *, first_step: int, last_step: int):
        self._folder = Path(workdir) / "profile"
        self._first_step, self._last_step = first_step, last_step
        self._state = "before"

    def before_step(self, step: int) -> None:
        """Begin at the first of the steps, or where the run goes on between them."""
        if self._state == "before" and self._first_step <= step <= self._last_step:
            jax.profiler.start_trace(self._folder)
            self._state = "on"

    def after_step(self, step: int, state: Any, metrics: Any) -> None:
        """End when the device has done the last of them."""
        if self._state == "on" and step >= self._last_step:
            jax.block_until_ready(metrics)
            self._end()

    def close(self) -> None:
        """End where the run ends before the last of the steps."""
        if self._state == "on":
            self._end()
        elif self._state == "before":
            steps = f"{self._first_step}:{self._last_step}"
            progress.say(f"--profile-steps {steps}: none of these steps was trained; no trace")
        self._state = "after"

    def _end(self) -> None:
        self._state = "after"
        jax.profiler.stop_trace()
        written = sorted(self._folder.glob("plugins/profile/*/*.xplane.pb"))
        if not written:
            raise OSError(f"the profiler wrote nothing to {self._folder}")
        progress.say(
            f"trace of steps {self._first_step} to {self._last_step}: {written[-1].parent} "
            "(`xprof --logdir` its folder `profile`, or TensorBoard with its profile plugin)"
        )
