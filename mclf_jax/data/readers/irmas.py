"""IRMAS: the predominant instruments in excerpts of recorded music.

The folder, as its four archives unpack:

    IRMAS-TrainingData/cel/[cel][cla]0001__1.wav      excerpt 1 of recording 0001, classical
    IRMAS-TrainingData/cel/008__[cel][nod][cla]0058__1.wav    [dru]: with drums, [nod]: without
    IRMAS-TestingData-Part1/Part1/02 - And The Body Will Die-8.wav    and .txt: a code each line
    IRMAS-TestingData-Part2/..., IRMAS-TestingData-Part3/...
"""

import os
import re
from pathlib import Path

from mclf_jax.common import walk
from mclf_jax.data.catalogue import layout
from mclf_jax.data.catalogue.items import Catalogue, Facts, Item

FACTS = Facts(
    name="irmas",
    title="IRMAS",
    contents="6,705 training excerpts of 3 s and 2,874 test excerpts, 11 predominant instruments",
    tasks={"default": "multi_label"},
    splits={"default": {"train": 6705, "test": 2874}},
    group="recording",
    version="1.0",
    licence="CC BY-NC-SA 3.0, for non-commercial use only",
    citation=(
        "J. J. Bosch, J. Janer, F. Fuhrmann, P. Herrera, A Comparison of Sound Segregation"
        " Techniques for Predominant Instrument Recognition in Musical Audio Signals, ISMIR 2012"
    ),
    url="https://www.upf.edu/web/mtg/irmas",
    faults=(
        "A training excerpt has one label, its predominant instrument, though others may be heard;"
        " a test excerpt has all of its predominant ones, often several.",
    ),
)

_NAMES = {
    "cel": "cello",
    "cla": "clarinet",
    "flu": "flute",
    "gac": "acoustic guitar",
    "gel": "electric guitar",
    "org": "organ",
    "pia": "piano",
    "sax": "saxophone",
    "tru": "trumpet",
    "vio": "violin",
    "voi": "voice",
}
_GENRES = {
    "cla": "classical",
    "cou_fol": "country-folk",
    "jaz_blu": "jazz-blues",
    "lat_sou": "latin-soul",
    "pop_roc": "pop-rock",
}
_DRUMS = {"dru": "yes", "nod": "no"}
_TRAINING_NAME = re.compile(r"((?:\[\w+\])+)(\d+)__\d+$")
_TRAINING = ("IRMAS-TrainingData", "TrainingData")
_TESTING = tuple(f"IRMAS-TestingData-Part{part}" for part in (1, 2, 3))


def catalogue(path: str | os.PathLike) -> Catalogue:
    """Reads the names of the training files and the annotations beside the test files.

    Valid is made from train by recording: there are up to a few excerpts of each.

    Args:
        path: the folder that holds `IRMAS-TrainingData` and `IRMAS-TestingData-Part1` to `3`, or
            some of these.

    Raises:
        ValueError: not the files of IRMAS, or one whose name or annotation is not understood.
    """
    root = layout.data_root(path, title=FACTS.title, holds=(*_TRAINING, *_TESTING))
    training = layout.find(root, *_TRAINING, *_TESTING, title=FACTS.title)
    items = [
        _training_item(file, code=code, root=root)
        for code in _NAMES
        for file in _files(training / code, suffix=".wav")
    ]
    if not items and training.name in _TRAINING:
        raise ValueError(
            f"{training} is not the training part of {FACTS.title}: looked for .wav files in"
            f" {', '.join(_NAMES)}; found {layout.contents(training)}"
        )
    skipped = []
    for part in _TESTING:
        # One folder down, which is not called alike in all parts.
        for file in _files(root / part, suffix=".wav"):
            if file.with_suffix(".txt").is_file():
                items.append(_test_item(file, root=root))
            else:
                skipped.append((_item_id(file, root), "no annotation (.txt) beside it"))
        for file in _files(root / part, suffix=".txt"):
            audio = file.with_suffix(".wav")
            if not audio.is_file() and set(_codes(file)[:1]) & _NAMES.keys():
                skipped.append((_item_id(audio, root), "no such file"))
    notes = []
    for split, published in FACTS.splits["default"].items():
        found = sum(item.split == split for item in items)
        if found != published:
            notes.append(f"{found} of the {published} published files of {split} are here")
    return Catalogue(
        facts=FACTS,
        task="multi_label",
        items=tuple(items),
        labels=tuple(_NAMES.values()),
        skipped=tuple(skipped),
        notes=tuple(notes),
    )


def _files(folder: Path, *, suffix: str) -> list[Path]:
    """All of a folder and those in it, without companion files of macOS."""
    return sorted(Path(file) for file in walk.files(folder, suffixes=(suffix,)))


def _codes(annotation: Path) -> list[str]:
    return annotation.read_text(encoding="utf-8-sig", errors="replace").split()


def _item_id(file: Path, root: Path) -> str:
    return file.relative_to(root).as_posix()


def _training_item(file: Path, *, code: str, root: Path) -> Item:
    name = _TRAINING_NAME.search(file.stem)
    # The instrument comes first, the genre last; [cla] is clarinet or classical.
    tags = re.findall(r"\[(\w+)\]", name[1]) if name else []
    if len(tags) < 2 or tags[0] != code or tags[-1] not in _GENRES:
        raise ValueError(
            f"{file}: a training file of {FACTS.title} is called like [{code}][pop_roc]0001__1.wav,"
            f" its instrument first and one of {', '.join(_GENRES)} last"
        )
    drums = [_DRUMS[tag] for tag in tags if tag in _DRUMS]
    return Item(
        item_id=_item_id(file, root),
        file=str(file),
        labels=(_NAMES[code],),
        split="train",
        group=f"training recording {name[2]}",
        columns={"genre": _GENRES[tags[-1]], "drums": drums[0] if drums else ""},
    )


def _test_item(file: Path, *, root: Path) -> Item:
    annotation = file.with_suffix(".txt")
    codes = _codes(annotation)
    unknown = [code for code in codes if code not in _NAMES]
    if unknown or not codes:
        raise ValueError(
            f"{annotation}: each line must be one of {', '.join(_NAMES)}; got"
            f" {', '.join(unknown) or 'nothing'}"
        )
    return Item(
        item_id=_item_id(file, root),
        file=str(file),
        labels=tuple(name for code, name in _NAMES.items() if code in codes),
        split="test",
        # excerpts of one song differ in the number at the end
        group=f"test recording {re.sub(r'-[0-9]+$', '', file.stem)}",
    )
