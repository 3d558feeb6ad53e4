"""GTZAN music/speech: is it music or speech?

music_speech/music_wav/*.wav      or the two folders directly in `path`
music_speech/speech_wav/*.wav
"""

import os

from mclf_jax.data.catalogue import layout
from mclf_jax.data.catalogue.items import Catalogue, Facts, Item

_LABELS = ("music", "speech")
_FOLDERS = ("music_wav", "music_speech/music_wav")

FACTS = Facts(
    name="gtzan_speech_music",
    title="GTZAN music/speech",
    contents="128 excerpts of 30 s, 64 of music and 64 of speech",
    tasks={"default": "single_label"},
    group="recording",
    licence="unknown: the recordings were collected without asking for permission",
    citation="G. Tzanetakis, GTZAN Music/Speech Collection, 1999",
    url="http://marsyas.info/index.html",
    faults=(
        "There is no official split, so scores of two papers are rarely of the same test set.",
        "Only the names of the files say whose they are, and some differ by a number alone"
        " (acomic, acomic2): such files are kept together in a split.",
        "A test set of 15 % has about twenty files: one mistake is five points of accuracy.",
    ),
)


def catalogue(path: str | os.PathLike) -> Catalogue:
    """Reads the folders `music_wav` and `speech_wav`.

    There are no splits: they are made by group, the name of a file without its last number, so that
    `acomic` and `acomic2` stay together.

    Args:
        path: the folder that holds them, or holds `music_speech`.

    Raises:
        ValueError: they are not there, or hold no WAV file.
    """
    root = layout.data_root(path, title=FACTS.title, holds=_FOLDERS)
    folder = layout.find(root, *_FOLDERS, title=FACTS.title).parent
    items = []
    for label in _LABELS:
        labelled = layout.find(folder, f"{label}_wav", title=FACTS.title)
        for name in sorted(os.listdir(labelled)):
            stem, suffix = os.path.splitext(name)
            # the archive was packed on a Mac, whose companion files start with a dot
            if suffix.lower() != ".wav" or name.startswith("."):
                continue
            items.append(
                Item(
                    item_id=f"{label}/{stem}",
                    file=str(labelled / name),
                    labels=(label,),
                    group=f"{label}/{stem.rstrip('0123456789').rstrip('_- ') or stem}",
                )
            )
    if not items:
        raise ValueError(
            f"no audio of {FACTS.title} is in {folder}: looked for WAV files in music_wav and"
            f" speech_wav; found {layout.contents(folder / 'music_wav')} in music_wav"
        )
    return Catalogue(facts=FACTS, task="single_label", items=tuple(items), labels=_LABELS)
