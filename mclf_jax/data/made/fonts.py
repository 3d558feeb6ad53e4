"""The soundfonts that play made music: Debian packages, and what their licences allow."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from mclf_jax.data.made.programs import DRUMS


@dataclasses.dataclass(frozen=True)
class Font:
    """A soundfont.

    Attributes:
        package: of Debian.
        file: in the package.
        licence: of the samples, as the package's copyright file says it.
        split: "train", or "valid": a font that training never hears.
        plays: "all" 128 programs and drums, or "drums".
        drums: (bank, preset) of its drum kits, as tinysoundfont numbers them; 128 is a bank of its
            own for them.
        weight: how much of the songs it plays, against the others of its split.
    """

    package: str
    file: str
    licence: str
    split: str = "train"
    plays: str = "all"
    drums: tuple[tuple[int, int], ...] = ((128, 0),)
    weight: float = 1.0


_SF2 = "usr/share/sounds/sf2"
_KITS = tuple((128, kit) for kit in (0, 8, 16, 24, 25, 32, 40, 48))
FONTS = (
    Font("fluid-soundfont-gm", f"{_SF2}/FluidR3_GM.sf2", "MIT", drums=_KITS, weight=3.0),
    Font("opl3-soundfont", f"{_SF2}/OPL-3_FM_128M.sf2", "CC-BY-SA-4.0"),
    Font(
        "avldrums.lv2-soundfont",
        f"{_SF2}/Black_Pearl_4_LV2.sf2",
        "CC-BY-SA-3.0",
        plays="drums",
        drums=((0, 0),),
    ),
    Font(
        "avldrums.lv2-soundfont",
        f"{_SF2}/Red_Zeppelin_4_LV2.sf2",
        "CC-BY-SA-3.0",
        plays="drums",
        drums=((0, 0),),
    ),
    # Nothing is learnt from it: it says how well other fonts' instruments are known again.
    Font("timgm6mb-soundfont", f"{_SF2}/TimGM6mb.sf2", "GPL-2", split="valid", drums=_KITS),
)


def choose(
    where: float, *, program: int, split: str, fonts: Sequence[Font] = FONTS
) -> tuple[Font, int]:
    """A font of a split that can play a program, and one of its drum kits.

    Args:
        where: from 0 to 1, along the weights of those that can.
        program: 0 to 127, or `programs.DRUMS`.
        split: of the fonts.
        fonts: that there are.

    Raises:
        ValueError: no font can.
    """
    able = [
        font for font in fonts if font.split == split and (program == DRUMS or font.plays == "all")
    ]
    if not able:
        raise ValueError(f"no font of the split {split!r} plays program {program}")
    place = where * sum(font.weight for font in able)
    for font in able:
        if place < font.weight or font is able[-1]:
            share = min(max(place / font.weight, 0.0), 1.0)
            return font, min(int(share * len(font.drums)), len(font.drums) - 1)
        place -= font.weight
    raise AssertionError


def find(packages: Path, fonts: Sequence[Font] = FONTS) -> dict[Font, Path]:
    """The files of fonts below a folder with one subfolder for each unpacked package.

    Raises:
        FileNotFoundError: one is not there.
    """
    found = {font: packages / font.package / font.file for font in fonts}
    for font, path in found.items():
        if not path.is_file():
            raise FileNotFoundError(
                f"{path} is missing: launch/pretraining_data.sh downloads and unpacks "
                f"{font.package}"
            )
    return found
