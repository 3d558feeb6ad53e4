"""Follow every link of a built site within it; of links elsewhere, look at how they are written.

python docs/check_links.py FOLDER
"""

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class _Page(HTMLParser):
    """What a page links to, and what can be linked to in it."""

    def __init__(self):
        super().__init__()
        self.links: set[str] = set()
        self.anchors = {"", "top"}

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.anchors |= {given[name] for name in ("id", "name") if given.get(name)}
        link = given.get("href" if tag in ("a", "link") else "src")
        if link and not link.startswith("data:"):
            self.links.add(link)


def broken_links(site: Path) -> list[str]:
    """A line for each link that leads nowhere, or is not written as an address."""
    pages = {}
    for path in sorted(site.rglob("*.html")):
        pages[path.resolve()] = page = _Page()
        page.feed(path.read_text(encoding="utf-8"))
    found = []
    for path, page in pages.items():
        for link in sorted(page.links):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                address = parts.scheme in ("http", "https") and "." in parts.netloc
                good = (address or parts.scheme == "mailto") and not set(link) & set(" <>\"'`|")
            else:
                target = path if not parts.path else (path.parent / unquote(parts.path)).resolve()
                good = target.is_file()
                # Pages of source code lead back to names as the code calls them, which the
                # reference calls as users do.
                back = path.relative_to(site.resolve()).parts[0] == "_modules"
                if good and parts.fragment and target in pages and not back:
                    good = unquote(parts.fragment) in pages[target].anchors
            if not good:
                found.append(f"{path.relative_to(site.resolve())}: {link}")
    return found


if __name__ == "__main__":
    lines = broken_links(Path(sys.argv[1]))
    print("\n".join(lines) or "all links of the site lead somewhere")
    sys.exit(bool(lines))
