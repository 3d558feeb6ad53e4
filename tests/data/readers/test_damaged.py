"""Published metadata that is damaged is refused with its file, or what was lost is listed."""

import random

from mclf_jax import data
from tests.data.readers import (
    test_audioset,
    test_deam,
    test_emomusic,
    test_fma,
    test_irmas,
    test_magnatagatune,
    test_mtg_jamendo,
    test_nsynth,
    test_openmic,
)

PIECES = [b'"', b",", b"\n", b"\t", b";", b"\0", b"\xe9", b"x", b"-", b"9" * 30, b"[", b"1e999"]


def _mutated(content, rng):
    for _ in range(rng.randint(1, 3)):
        at, how = rng.randrange(len(content) + 1), rng.random()
        if how < 0.5:
            content = content[:at] + rng.choice(PIECES) + content[at:]
        elif how < 0.8:
            content = content[:at] + content[at + rng.randint(1, 20) :]
        else:
            lines = content.split(b"\n")
            line = rng.randrange(len(lines))
            lines[line : line + 1] = [lines[line]] * 2
            content = b"\n".join(lines)
    return content


def test_damaged_metadata(fuzz_numbers, tmp_path):
    (tmp_path / "audioset").mkdir()
    test_audioset.tree(tmp_path / "audioset", audio=test_audioset.ALL_AUDIO)
    made = [("audioset", {"branch": "all"})]
    for module, options in (
        (test_deam, {"annotation": "dynamic"}),
        (test_emomusic, {"annotation": "dynamic"}),
        (test_fma, {"labels": "hierarchy"}),
        (test_magnatagatune, {"split": "pons"}),
        (test_mtg_jamendo, {}),
        (test_openmic, {}),
    ):
        name = module.__name__.rpartition("test_")[2]
        (tmp_path / name).mkdir()
        module.tree(tmp_path / name)
        made.append((name, options))
    for number in fuzz_numbers:
        rng = random.Random(number)
        name, options = rng.choice(made)
        tables = (f for f in (tmp_path / name).rglob("*") if f.suffix in (".csv", ".tsv", ".json"))
        file = rng.choice(sorted(tables))
        whole = file.read_bytes()
        file.write_bytes(_mutated(whole, rng))
        try:
            found = data.catalogue(name, path=tmp_path / name, **options)
        except ValueError as error:
            assert type(error) is ValueError and str(tmp_path / name) in str(error), number
        else:
            names = [(item.item_id, item.split) for item in found.items]
            assert len(set(names)) == len(names), number
        file.write_bytes(whole)


def test_ends_of_lines_and_byte_order_marks_change_nothing(tmp_path):
    for module in (
        test_deam,
        test_emomusic,
        test_irmas,
        test_magnatagatune,
        test_mtg_jamendo,
        test_nsynth,
        test_openmic,
    ):
        name = module.__name__.rpartition("test_")[2]
        root = tmp_path / name
        root.mkdir()
        module.tree(root)
        before = data.catalogue(name, path=root)
        for file in root.rglob("*"):
            if file.suffix in (".csv", ".tsv", ".txt", ".json"):
                content = file.read_bytes().replace(b"\r\n", b"\n").rstrip(b"\n") + b"\n\n"
                file.write_bytes(b"\xef\xbb\xbf" + content.replace(b"\n", b"\r\n"))
        assert data.catalogue(name, path=root) == before
