"""NSynth: single notes of 1,006 instruments, with what was played and how it sounds.

The folder, as its archives unpack:

    nsynth-train/examples.json    {"guitar_acoustic_010-060-075": {"pitch": 60, ...}, ...}
    nsynth-train/audio/guitar_acoustic_010-060-075.wav
    nsynth-valid/...              nsynth-test/...
"""

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from mclf_jax.common import checks
from mclf_jax.data.catalogue import layout
from mclf_jax.data.catalogue.items import SPLITS, Catalogue, Facts, Item

_FAMILIES = (
    *("bass", "brass", "flute", "guitar", "keyboard", "mallet", "organ", "reed", "string"),
    *("synth_lead", "vocal"),
)
_SOURCES = ("acoustic", "electronic", "synthetic")
_VELOCITIES = ("25", "50", "75", "100", "127")
_PITCHES = tuple(str(pitch) for pitch in range(128))  # so that an output is its MIDI number
_QUALITIES = (
    *("bright", "dark", "distortion", "fast_decay", "long_release", "multiphonic"),
    *("nonlinear_env", "percussive", "reverb", "tempo-synced"),
)

# Of each target its labels, in the authors' order, and those of one note.
_TARGETS: Mapping[str, tuple[tuple[str, ...], Callable[[Mapping], tuple[str, ...]]]] = {
    "family": (_FAMILIES, lambda note: (note["instrument_family_str"],)),
    "source": (_SOURCES, lambda note: (note["instrument_source_str"],)),
    "pitch": (_PITCHES, lambda note: (str(note["pitch"]),)),
    "velocity": (_VELOCITIES, lambda note: (str(note["velocity"]),)),
    "qualities": (_QUALITIES, lambda note: tuple(note["qualities_str"])),
}

FACTS = Facts(
    name="nsynth",
    title="NSynth",
    contents="305,979 notes of 4 s, 16 kHz, one instrument each",
    tasks={
        f"target={target}": "multi_label" if target == "qualities" else "single_label"
        for target in _TARGETS
    },
    splits={
        f"target={target}": {"train": 289205, "valid": 12678, "test": 4096} for target in _TARGETS
    },
    group="instrument",
    licence="CC BY 4.0",
    citation=(
        "J. Engel, C. Resnick, A. Roberts, S. Dieleman, D. Eck, K. Simonyan, M. Norouzi, Neural"
        " Audio Synthesis of Musical Notes with WaveNet Autoencoders, ICML 2017"
    ),
    url="https://magenta.tensorflow.org/datasets/nsynth",
    faults=(
        "Instruments of train are not in valid and test; valid and test may share theirs.",
        "Notes were synthesised from commercial sample libraries, a few of which repeat one sound"
        " at several velocities.",
    ),
)


def catalogue(path: str | os.PathLike, *, target: str = "family") -> Catalogue:
    """Reads examples.json of each split that is there.

    Args:
        path: the folder that holds `nsynth-train`, `nsynth-valid` and `nsynth-test`, or some.
        target: "family" (11 instruments), "source" (acoustic, electronic, synthetic), "pitch" (128
            MIDI numbers, of which a piano has 21 to 108), "velocity" (5), or "qualities" (10 tags
            of how a note sounds; most notes have few or none).

    Raises:
        ValueError: an unknown target, or not the files of NSynth.
    """
    checks.choice("target", target, tuple(_TARGETS))
    listings = [f"nsynth-{split}/examples.json" for split in SPLITS]
    root = layout.data_root(path, title=FACTS.title, holds=listings)
    first = layout.find(root, *listings, title=FACTS.title)
    items = []
    notes: tuple[str, ...] = ()
    for split in SPLITS:
        listing = root / f"nsynth-{split}" / "examples.json"
        if listing.is_file():
            items += _read(listing, split=split, target=target)
        else:
            notes += (f"nsynth-{split} is not there",)
    return layout.make_catalogue(
        FACTS,
        items,
        looked_in=first.parent / "audio",
        task=FACTS.tasks[f"target={target}"],
        labels=_TARGETS[target][0],
        notes=notes,
    )


def _read(listing: Path, *, split: str, target: str) -> list[Item]:
    names, labels_of = _TARGETS[target]
    audio = str(listing.parent / "audio")
    try:
        notes = json.loads(listing.read_text(encoding="utf-8-sig"))
        items = [
            Item(
                item_id=note_id,
                file=os.path.join(audio, f"{note_id}.wav"),
                labels=labels_of(note),
                # A note without any quality is a negative of all ten.
                observed=names if target == "qualities" else None,
                split=split,
                group=note["instrument_str"],
                columns={
                    "instrument_family": note["instrument_family_str"],
                    "instrument_source": note["instrument_source_str"],
                    "pitch": str(note["pitch"]),
                    "velocity": str(note["velocity"]),
                },
            )
            for note_id, note in sorted(notes.items())
        ]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(
            f"{listing} is not a list of notes as NSynth distributes it: {error!r}"
        ) from error
    for item in items:
        if unknown := set(item.labels).difference(names):
            raise ValueError(
                f"{listing}: {item.item_id} has the {target} {', '.join(sorted(unknown))}; known"
                f" are {', '.join(names)}"
            )
    return items
