"""The pages of the site without building it, which launch/docs.sh does."""

import re
import urllib.parse

import pytest

import mclf_jax as mclf
from docs.check_links import broken_links
from tests import ROOT

DOCS = ROOT / "docs"
PAGES = sorted(
    path.relative_to(DOCS).as_posix()
    for path in DOCS.rglob("*.md")
    if not {"_build", "runs"} & set(path.parts)
)
TEXTS = {page: (DOCS / page).read_text(encoding="utf-8") for page in PAGES}
# Fences hold code, in which brackets are no links.
PROSE = {
    page: re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.DOTALL) for page, text in TEXTS.items()
}


def anchors(page):
    """The fragments that a page has, as GitHub and MyST make them of its headings."""
    heads = re.findall(
        r"^#{1,3} (.*)$", re.sub(r"```.*?```", "", TEXTS[page], flags=re.DOTALL), re.M
    )
    words = [re.sub(r"[^\w\- ]", "", head.lower()) for head in heads]
    return {word.strip().replace(" ", "-") for word in words}


def test_every_page_is_in_the_menu_once():
    listed = []
    for page, text in TEXTS.items():
        folder = page.rpartition("/")[0]
        for tree in re.findall(r"```\{toctree\}\n(.*?)```", text, re.DOTALL):
            names = [line for line in tree.split("\n") if line and not line.startswith(":")]
            listed += [f"{folder}/{name}.md".lstrip("/") for name in names]
    assert sorted(listed) == sorted(set(PAGES) - {"index.md"})


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_files_and_headings(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", PROSE[page]):
        if target.startswith(("http:", "https:")):
            parts = urllib.parse.urlsplit(target)
            assert "." in parts.netloc, target
            continue
        file, _, fragment = target.partition("#")
        path = (DOCS / page).parent / file if file else DOCS / page
        assert path.exists(), f"{page}: {target}"
        if fragment:
            other = path.resolve().relative_to(DOCS).as_posix()
            assert fragment in anchors(other), f"{page}: {target}"


def test_the_reference_has_every_public_name():
    text = "\n".join(TEXTS[page] for page in PAGES if page.startswith("api/"))
    named = set(re.findall(r"mclf_jax\.(\w+)", text)) | set(re.findall(r"`mclf\.(\w+)", text))
    assert named >= set(mclf.__all__)


def test_links_of_a_built_site_are_followed(tmp_path):
    page = '<h1 id="a">A</h1><a href="b.html#here"></a><a href="https://example.org/x"></a>'
    (tmp_path / "a.html").write_text(page + '<img src="gone.png"><a href="#a"></a>')
    (tmp_path / "b.html").write_text('<a href="a.html#none"></a><a href="http://no where"></a>')
    assert broken_links(tmp_path) == [
        "a.html: b.html#here",
        "a.html: gone.png",
        "b.html: a.html#none",
        "b.html: http://no where",
    ]
