"""A page as a browser takes it, and what holds for every page."""

import html.parser
import re

HOSTILE = "<script>alert('x')</script> & \"日本語\" $a$ {{ 7 * 7 }} {% raw %} {# é.mp3"
_VOID = {"meta", "br", "link", "img", "input", "hr"}


class Page(html.parser.HTMLParser):
    """The text of a page and how often each tag is in it.

    Fails unless tags nest, ids are unique and known to those who refer to them, and nothing is
    run or fetched.
    """

    def __init__(self, source):
        super().__init__()
        self.open, self.ids, self.resources, self.texts = [], [], [], []
        self.counts = {}
        self.feed(source)
        self.close()
        assert not self.open
        assert "script" not in self.counts
        assert not re.search(r"https?://|url\((?!#)|@import", source)
        assert len(self.ids) == len(set(self.ids))
        for resource in self.resources:
            assert resource.startswith(("data:", "#")), resource[:60]
        used = [resource for resource in self.resources if resource.startswith("#")]
        used += [f"#{name}" for name in re.findall(r"url\(#([^)]+)\)", source)]
        assert {name[1:] for name in used} <= set(self.ids)
        self.text = re.sub(r"[ \n]+", " ", " ".join(self.texts))

    def handle_starttag(self, tag, attrs):
        self.handle_startendtag(tag, attrs)
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.counts[tag] = self.counts.get(tag, 0) + 1
        self.ids += [value for name, value in attrs if name == "id"]
        names = ("src", "href", "data", "srcset", "action")
        self.resources += [value for name, value in attrs if name in names]
        assert not any(name.startswith("on") for name, _ in attrs)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)
