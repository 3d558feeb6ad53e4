"""What a run says while it goes: metrics.jsonl, writers, and a bar or lines on the screen."""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tqdm import tqdm

from mclf_jax.common import files
from mclf_jax.common import progress as screen
from mclf_jax.run import history
from mclf_jax.run.writers import Writers

# On a screen that is no terminal (a batch job's log) a line at most this often.
_LINE_EVERY_S = 30.0


class Logbook:
    """Writes the log of a run; on all but the first process it does nothing.

    Args:
        workdir: the run directory, or None to write nothing.
        first_step: steps already taken; later entries of an earlier try are dropped, because
            they will be written again.
        total_steps: of the run.
        batch_size: songs per step.
        open_writers: `writers.open_writers` with all but `say`.
        progress: "auto" (a bar on terminals, lines elsewhere), "on" (bar) or "off".
    """

    def __init__(
        self,
        workdir: Path | None,
        *,
        first_step: int,
        total_steps: int,
        batch_size: int,
        open_writers: Callable[..., Writers],
        progress: str = "auto",
    ):
        self._file = self._bar = None
        self._writers = Writers({}, say=self.say)
        self._lines = False
        self._total_steps, self._batch_size = total_steps, batch_size
        self._last_line_s = time.monotonic()
        if workdir is None:
            return
        path = workdir / "metrics.jsonl"
        _drop_after(path, first_step)
        self._file = path.open("a", encoding="utf-8")
        self._writers = open_writers(say=self.say)
        if screen.level() == "quiet":
            progress = "off"
        bar = progress == "on" or (progress == "auto" and sys.stderr.isatty())
        self._lines = progress == "auto" and not bar
        if bar:
            self._bar = tqdm(
                total=total_steps, initial=first_step, unit="step", dynamic_ncols=True, leave=False
            )

    def write(self, kind: str, step: int, values: dict[str, float]) -> None:
        """Append {"kind", "step", **values} to metrics.jsonl, and hand it to the writers."""
        if self._file is None:
            return
        line = {"kind": kind, "step": step, **files.without_nan(values)}
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()
        self._writers.call("write", kind, step, values)

    def call(self, method: str, *arguments: Any) -> None:
        """Tell the writers, on the first process, how far the run is; see `run.writers`."""
        self._writers.call(method, *arguments)

    def advance(self, step: int, values: dict[str, float]) -> None:
        """Show how far training is; `values` as logged for kind "train"."""
        text = (
            f"loss {values['loss']:.4f}, {values['songs_per_s']:.0f} songs/s, "
            f"{values['data_wait']:.0%} of time waiting for data"
        )
        if self._bar is not None:
            self._bar.set_postfix_str(text, refresh=False)
            self._bar.update(step - self._bar.n)
        elif self._lines and time.monotonic() - self._last_line_s > _LINE_EVERY_S:
            self._last_line_s = time.monotonic()
            left_s = (self._total_steps - step) * self._batch_size / values["songs_per_s"]
            self.say(f"step {step}/{self._total_steps}: {text}, {left_s / 60:.1f} min left")

    def say(self, text: str) -> None:
        """A line on the screen that does not tear the bar."""
        if self._file is not None:
            screen.say(text)

    def close(self) -> None:
        """Flush and close everything; may be called twice."""
        self._writers.call("close")
        for handle in (self._bar, self._file):
            if handle is not None:
                handle.close()
        self._bar = self._file = None
        self._writers = Writers({}, say=self.say)


def _drop_after(path: Path, step: int) -> None:
    kept = []
    text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    for line in text.splitlines():
        # A line that a kill cut off is dropped too.
        if (record := history.parse(line)) and record["step"] <= step:
            kept.append(line + "\n")
    files.write_text(path, "".join(kept))
