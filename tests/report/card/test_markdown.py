"""What others wrote shows in Markdown as it is, and does nothing."""

import pytest

from mclf_jax.report.card.markdown import Markdown, inline, listed, paragraphs, table


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a_b_c", "a_b_c"),  # readable: inside of a word it means nothing
        ("_x_ *y* `z`", r"\_x\_ \*y\* \`z\`"),
        ("<script>alert(1)</script>", "&lt;script>alert(1)&lt;/script>"),
        ("R&B, A & B, &lt;", "R&B, A & B, &amp;lt;"),
        ("![a](b) [c](javascript:d)", r"!\[a\](b) \[c\](javascript:d)"),
        ("a|b", r"a\|b"),
        ("one\n\n# two\r\n- three\u2028four", "one # two - three four"),
        ("# head", r"\# head"),
        ("> quoted", r"\> quoted"),
        ("- point", r"\- point"),
        ("---", r"\---"),
        ("12. twelve", r"12\. twelve"),
        ("-0.5", "-0.5"),
        ("\\| x", r"\\\| x"),
        ("\u202egnp.exe\x00", "\ufffdgnp.exe\ufffd"),
        ("caf\udce9", r"caf\\udce9"),
    ],
)
def test_text_of_others(text, shown):
    assert inline(text) == shown


def test_what_is_markdown_stays():
    assert inline(Markdown("**x**")) == "**x**"
    assert listed(["a|b", 1]) == r"a\|b, 1"


def test_a_cell_cannot_break_a_table():
    found = table(["label", "n"], [["a|b\n|x|", 3], ["longer than", -1]], numbers_from=1)
    lines = found.splitlines()
    assert len(lines) == 4 and len({len(line) for line in lines}) == 1
    assert lines[1].endswith("--: |") and lines[2].startswith(r"| a\|b \|x\|  |")


def test_paragraphs_and_points():
    assert paragraphs("one\ntwo\n\n\n# three") == "one two\n\n\\# three"
    assert paragraphs(["a", "- b"]) == "- a\n- \\- b"
