"""A page in a real browser, for tests of what is shown there."""

import contextlib
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

_FLAGS = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required"]


@contextlib.contextmanager
def open_page() -> Iterator[dict[str, Any]]:
    """{"page" of a phone's width, "said": what it writes to its console}; skips without browser."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("there is no chromium")
    with (
        playwright.sync_playwright() as browsers,
        browsers.chromium.launch(executable_path=path, args=_FLAGS) as browser,
    ):
        page, said = browser.new_page(viewport={"width": 360, "height": 800}), []
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        yield {"page": page, "said": said}
