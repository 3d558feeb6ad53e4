"""The page in a real browser: a song is dropped, its tags are seen, and move with the music."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from mclf_jax.export import archive
from tests import ROOT
from tests.browser import open_page
from tests.export.bundles import small_bundle

PAGE = ROOT / "mclf_jax" / "export" / "page"


def test_all_files_that_the_page_names_are_there():
    for file in PAGE.iterdir():
        text = file.read_text(encoding="utf-8")
        assert "http://" not in text.replace("http://www.w3.org/", "") and "https://" not in text
        names = re.findall(r'(?:src|href)="([\w.]+)"|from "\./([\w.]+)"|"(tap\.js)"', text)
        for name in filter(None, sum(names, ())):
            assert (PAGE / name).is_file(), f"{file.name} names {name}"


@pytest.fixture
def address(tmp_path):
    for name, seed in (("first", 0), ("second", 1)):
        archive.write_archive(small_bundle(seed=seed), tmp_path / f"{name}.mclf")
    words = ["serve", tmp_path / "first.mclf", tmp_path / "second.mclf", "--port", "0"]
    command = [sys.executable, "-m", "mclf_jax.cli", *map(str, words)]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ
    ) as process:
        line = process.stdout.readline().strip()
        assert line.startswith("http://127.0.0.1:"), process.stderr.read()
        yield line
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130


@pytest.mark.slow
def test_a_song_is_tagged_in_a_browser(address, tmp_path):
    times_s = np.arange(6 * 8000) / 8000
    soundfile.write(tmp_path / "tone.wav", 0.3 * np.sin(2 * np.pi * 200 * times_s), 8000)
    Path(tmp_path / "text.mp3").write_text("no song at all " * 20)
    with open_page() as opened:
        page, said = opened["page"], opened["said"]
        page.goto(address)
        page.set_input_files("#file", tmp_path / "tone.wav")
        page.wait_for_selector("#song:not([hidden])")
        assert page.locator(".result h3").all_inner_texts() == ["first.mclf", "second.mclf"]
        assert page.locator(".result").first.locator(".tags li").count() == 2
        page.evaluate("document.getElementById('audio').play()")
        page.wait_for_function("() => parseFloat(document.querySelector('.cursor').style.left) > 1")
        page.evaluate("document.getElementById('audio').pause()")
        page.focus(".plot >> nth=0")
        page.keyboard.press("End")
        page.wait_for_function(
            "() => parseFloat(document.querySelector('.cursor').style.left) > 99"
        )
        assert "0:0" in page.get_attribute(".plot >> nth=0", "aria-valuetext")
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        assert said == []
        page.set_input_files("#file", tmp_path / "text.mp3")
        page.wait_for_selector("#error:not([hidden])")
        assert "not audio" in page.inner_text("#error")
