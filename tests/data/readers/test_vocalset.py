"""VocalSet: whose voice, and how it is used; recordings and excerpts of them."""

import collections

import pytest

from mclf_jax.data.readers import vocalset
from mclf_jax.data.sources.files import open_catalogue
from tests.data.readers.trees import RATE_HZ, write_tone

FILES = (
    "female1/arpeggios/belt/f1_arpeggios_belt_c_a.wav",
    "female2/long_tones/lip_trill/lip_trill_arps.wav",  # who sings says the folder alone
    "female1/excerpts/vibrato/caro_vibrato.wav",
    "female1/scales/fast_forte/f1_scales_c_fast_forte_a.wav",
    "male11/scales/vocal_fry/m11_scales_vocal_fry_a.wav",
    "male11/scales/humming/m11_scales_humming_a.wav",
)


def tree(root, *, files=FILES, folder="FULL", duration_s=0.5):
    for name in files:
        write_tone(root / folder / name, duration_s=duration_s)
    return root


@pytest.mark.parametrize("folder", ["FULL", "VocalSet/FULL", "."])
def test_singers_and_techniques(tmp_path, folder):
    tree(tmp_path, folder=folder)
    singers = vocalset.catalogue(tmp_path)
    assert len(singers.labels) == 20
    assert [item.labels[0] for item in singers.items] == ["female1", "female1", "female2", "male11"]
    assert singers.items[1].columns["technique"] == "fast_forte"
    assert singers.skipped[0][0] == "female1/excerpts/vibrato/caro_vibrato"
    techniques = vocalset.catalogue(tmp_path, target="technique")
    assert len(techniques.labels) == 10
    assert [item.labels[0] for item in techniques.items] == ["belt", "lip_trill", "vocal_fry"]
    assert [item.split == "test" for item in techniques.items] == [False, True, False]


def test_excerpts_are_of_one_length_and_of_one_split(tmp_path):
    tree(tmp_path, files=FILES[:2], duration_s=1.4)
    tree(tmp_path, files=FILES[4:5], duration_s=0.3)
    (tmp_path / "FULL" / FILES[3]).parent.mkdir(parents=True)
    (tmp_path / "FULL" / FILES[3]).write_bytes(b"no sound")
    found = vocalset.catalogue(tmp_path, excerpt_s=0.4)
    assert [(item.start_s, item.duration_s) for item in found.items[:3]] == [
        (0.0, 0.4),
        (0.4, 0.4),
        (0.8, 0.4),
    ]
    assert len({item.item_id for item in found.items}) == len(found.items) == 6
    assert len({(item.group, item.split) for item in found.items}) == 2
    assert [name for name, _ in found.skipped] == [
        FILES[3].removesuffix(".wav"),
        FILES[4].removesuffix(".wav"),
    ]
    assert not any("/" in reason for _, reason in found.skipped)  # the name is said already
    files = open_catalogue(found, sample_rate_hz=RATE_HZ)
    assert files[2]["audio"].shape == (round(0.4 * RATE_HZ),)


def test_shares_of_recordings():
    names = [f"female1/scales/belt/{n}" for n in range(4000)]
    for target, expected in (
        ("singer", {"train": 0.48, "valid": 0.32, "test": 0.2}),
        ("technique", {"train": 0.6, "valid": 0.4}),
    ):
        splits = (vocalset._split(name, singer="female1", target=target) for name in names)
        shares = {split: n / 4000 for split, n in collections.Counter(splits).items()}
        assert shares == pytest.approx(expected, abs=0.03)


def test_wrong_folders_and_options(tmp_path):
    with pytest.raises(ValueError, match="target is 'vowel'; allowed: singer, technique"):
        vocalset.catalogue(tmp_path, target="vowel")
    with pytest.raises(ValueError, match="looked for FULL or female1 or"):
        vocalset.catalogue(tmp_path)
