"""What is wrong with JSON, by file and field."""

import pytest

from mclf_jax.common.text import documents

LIKE = {"name": str, "sizes": [(int, None)], "by_label": {str: {"mean": float}}}
RIGHT = '{"name": "a", "sizes": [1, null], "by_label": {"rock": {"mean": 1}}, "more": 3}'


def test_what_is_like_it_is_read(tmp_path):
    (tmp_path / "a.json").write_text(RIGHT)
    assert documents.read(tmp_path / "a.json", LIKE)["sizes"] == [1, None]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (RIGHT, "", "a.json is empty; restore a.json from a copy"),
        (RIGHT, RIGHT[:-3], "a.json is no JSON or was cut short: .* line 1"),
        (RIGHT, "[" * 100_000, "a.json is nested deeper"),
        (RIGHT, "[]", r"a.json holds \[\]; it must be an object"),
        ('"more"', '"name"', "a.json: name is there twice"),
        ("1, null", "NaN", "a.json: NaN is no number"),
        ('"name": "a", ', "", "a.json lacks name, which must be a text"),
        (
            "[1, null]",
            "[1, true]",
            r"a.json: sizes\[1\] is true; it must be a whole number or null",
        ),
        ("[1, null]", "[1.5]", r"a.json: sizes\[0\] is 1.5; it must be a whole number or null"),
        ('{"mean": 1}', "{}", "a.json lacks by_label.rock.mean, which must be a number"),
        ('"mean": 1', '"mean": 1e999', "a.json: by_label.rock.mean is Infinity; it must be a num"),
        ('"a"', f'["{"x" * 99}"]', r'a.json: name is \["x{58}...; it must be a text'),
    ],
)
def test_what_is_not_is_named(old, new, message):
    with pytest.raises(ValueError, match=message):
        documents.parse(RIGHT.replace(old, new), LIKE, name="a.json")


def test_text_of_another_encoding():
    with pytest.raises(ValueError, match="a.json is no text in UTF-8"):
        documents.parse('{"é": 1}'.encode("latin-1"), name="a.json")
