"""VocalSet: twenty singers, each of whom sings alike what the others sing, in seventeen techniques.

The folder, as its archive unpacks:

    FULL/female1/arpeggios/belt/f1_arpeggios_belt_c_a.wav     or these in VocalSet/FULL/...
    FULL/male11/long_tones/vocal_fry/m11_long_vocal_fry_a.wav
"""

import hashlib
import os
from pathlib import Path

from mclf_jax.audio.files.errors import AudioError
from mclf_jax.audio.files.sound import open_sound
from mclf_jax.common import checks, walk
from mclf_jax.data.catalogue import layout
from mclf_jax.data.catalogue.items import Catalogue, Facts, Item

_SINGERS = (*(f"female{k}" for k in range(1, 10)), *(f"male{k}" for k in range(1, 12)))
_TECHNIQUES = ("belt", "breathy", "inhaled", "lip_trill", "spoken", "straight", "trill", "trillo")
_TECHNIQUES += ("vibrato", "vocal_fry")
# Ways to sing that are no techniques; of singers all count.
_OTHERS = ("fast_forte", "fast_piano", "forte", "messa", "pp", "slow_forte", "slow_piano")
_TARGETS = {"singer": _SINGERS, "technique": _TECHNIQUES}
_TEST_SINGERS = ("female2", "female8", "male3", "male5", "male10")
_SPARE = ("f2_scales_vibrato_a(1)", "caro_vibrato", "dona_vibrato", "row_vibrato")
_SPARE += ("slow_vibrato_arps",)

FACTS = Facts(
    name="vocalset",
    title="VocalSet",
    contents="10.1 hours of singing alone, 20 singers, 17 techniques, scales, arpeggios and songs",
    tasks={f"target={target}": "single_label" for target in _TARGETS},
    group="recording",
    version="1.1",
    licence="CC BY 4.0",
    citation=(
        "J. Wilkins, P. Seetharaman, A. Wahl, B. Pardo, VocalSet: A Singing Voice Dataset, ISMIR"
        " 2018; splits: R. Yuan et al., MARBLE: Music Audio Representation Benchmark for Universal"
        " Evaluation, NeurIPS 2023"
    ),
    url="https://zenodo.org/records/1442513",
    faults=(
        "Singers are known by one microphone and one room each, so that a network may tell these"
        " apart in place of voices.",
        "MARBLE draws recordings for valid, and of singers for test, at random and publishes no"
        " list: shares are the same here, recordings are others. Test singers of technique are the"
        " same. It cuts silence off before it cuts excerpts, which is not done here.",
        "Some files have no singer in their names: the folder says whose they are. Five, doubles"
        " and such as the paper has not, are left out, as there.",
    ),
)


def catalogue(
    path: str | os.PathLike, *, target: str = "singer", excerpt_s: float = 0.0
) -> Catalogue:
    """Reads names of folders and files; of excerpts also how long the files are.

    Of singers a fifth of the recordings is test, and two fifths of the rest are valid; of
    techniques test are five singers, and two fifths of the recordings of the others are valid.

    Args:
        path: the folder that holds `FULL`, or holds VocalSet.
        target: "singer" (20), or "technique" (10 of the 17, as in the paper).
        excerpt_s: excerpts of this length, one after the other, instead of whole recordings; what
            is left at the end, and a recording that is shorter, is left out. MARBLE has 3.

    Raises:
        ValueError: an unknown target, or not the files of VocalSet.
    """
    checks.choice("target", target, tuple(_TARGETS))
    checks.at_least("excerpt_s", excerpt_s, 0)
    root = layout.data_root(path, title=FACTS.title, holds=("FULL", *_SINGERS))
    folder = layout.find(root, "FULL", *_SINGERS, title=FACTS.title)
    folder = folder if folder.name == "FULL" else root
    items: list[Item] = []
    skipped: list[tuple[str, str]] = []
    for file in map(Path, walk.files(folder, suffixes=(".wav",), skipped=skipped)):
        parts = file.relative_to(folder).parts
        if len(parts) != 4 or parts[0] not in _SINGERS:
            continue
        name = "/".join(parts).removesuffix(".wav")
        singer, technique = parts[0], parts[2]
        if technique not in (*_TECHNIQUES, *(_OTHERS if target == "singer" else ())):
            continue
        if file.stem in _SPARE and technique == "vibrato":
            skipped.append((name, "no recording of its own, as in MARBLE"))
            continue
        item = Item(
            item_id=name,
            file=str(file),
            labels=(singer if target == "singer" else technique,),
            split=_split(name, singer=singer, target=target),
            group=name,
            columns={"singer": singer, "exercise": parts[1], "technique": technique},
        )
        items += _excerpts(item, excerpt_s, skipped) if excerpt_s else [item]
    return layout.make_catalogue(
        FACTS,
        items,
        looked_in=folder,
        skipped=skipped,
        task="single_label",
        labels=_TARGETS[target],
    )


def _split(name: str, *, singer: str, target: str) -> str:
    share = int(hashlib.sha256(name.encode(errors="surrogateescape")).hexdigest()[:8], 16) / 2**32
    if target == "technique":
        return "test" if singer in _TEST_SINGERS else "valid" if share < 0.4 else "train"
    return "test" if share < 0.2 else "valid" if share < 0.52 else "train"


def _excerpts(item: Item, excerpt_s: float, skipped: list[tuple[str, str]]) -> list[Item]:
    try:
        sound = open_sound(item.file)
    except AudioError as error:
        skipped.append((item.item_id, error.reason))
        return []
    count = int(sound.num_frames / sound.sample_rate_hz // excerpt_s)
    if not count:
        skipped.append((item.item_id, f"shorter than {excerpt_s:g} s"))
    return [_part(item, k * excerpt_s, excerpt_s) for k in range(count)]


def _part(item: Item, start_s: float, duration_s: float) -> Item:
    return Item(
        item_id=f"{item.item_id}#t={start_s:g}",
        file=item.file,
        labels=item.labels,
        split=item.split,
        group=item.group,
        start_s=start_s,
        duration_s=duration_s,
        columns=item.columns,
    )
