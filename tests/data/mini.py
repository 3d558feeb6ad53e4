"""Small catalogues with generated audio, for tests of prepared data sets."""

import dataclasses

import numpy as np
import soundfile

from mclf_jax.data.catalogue.items import Catalogue, Facts, Item

FACTS = Facts(
    name="mini",
    title="Mini",
    contents="noise",
    group="artist",
    version="2020",
    licence="CC0",
    citation="Nobody, 2020",
    url="https://example.org/mini",
    faults=("it is noise",),
)


def noise(path, *, seconds=0.5, rate_hz=8000, num_channels=1, seed=0, gain=0.1, **options):
    """Writes a file, and gives its path as text."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sound = gain * np.random.default_rng(seed).standard_normal((int(seconds * rate_hz), 1))
    soundfile.write(path, np.repeat(sound, num_channels, axis=1), rate_hz, **options)
    return str(path)


def genres(root, *, count=20, **changes):
    """Single-label, splits to be made, two songs for each artist, one broken and one silent.

    The first two are clipped and at another rate with two channels.
    """
    items = []
    for i in range(count):
        options = {}
        if i == 0:
            options = {"gain": 1.0, "subtype": "FLOAT"}
        if i == 1:
            options = {"rate_hz": 11025, "num_channels": 2}
        file = noise(root / f"{i:02}.wav", seconds=0.5 + i / 100, seed=i, **options)
        items.append(
            Item(
                item_id=f"{i:02}.wav",
                file=file,
                labels=(("low", "high")[i % 2],),
                group=f"artist {i // 2}",
                columns={"year": str(1990 + i)} if i % 3 else {},
            )
        )
    (root / "broken.wav").write_bytes(b"RIFF nothing")
    silent = noise(root / "silent.wav", gain=0)
    short = noise(root / "short.wav", seconds=0.05)
    for name, file in (("broken", root / "broken.wav"), ("silent", silent), ("short", short)):
        items.append(Item(item_id=f"{name}.wav", file=str(file), labels=("low",)))
    catalogue = Catalogue(
        facts=FACTS,
        task="single_label",
        items=tuple(items),
        skipped=(("lost.wav", "no such file"),),
        notes=("made up",),
    )
    return dataclasses.replace(catalogue, **changes)


def tags(root):
    """Tags of which some were never looked for; given splits, and songs without labels."""
    seen = {0: ("guitar",), 1: ("guitar", "flute"), 2: ("flute",), 3: None}
    items = [
        Item(
            item_id=f"t{i}",
            file=noise(root / f"t{i}.flac", seed=i),
            labels=("guitar",) if i % 2 else (),
            observed=("guitar",) if i % 2 and i % 4 != 1 else seen[i % 4],
            split=("train", "train", "valid", "test")[i % 4] if i < 12 else "unlabelled",
            group=f"g{i}",
        )
        for i in range(14)
    ]
    return Catalogue(
        facts=FACTS, task="multi_label", items=tuple(items), labels=("flute", "guitar", "voice")
    )


def emotions(root):
    """Half seconds of songs, each with its own arousal; the last is beyond the end of its song."""
    items = []
    for song in range(6):
        file = noise(root / f"{song}.wav", seconds=3.0, seed=song)
        items += [
            Item(
                item_id=f"{song}@{0.5 * k:.1f}",
                file=file,
                values=(float(song) / 6, np.nan if k == 1 else k / 5),
                group=str(song),
                start_s=0.5 * k,
                duration_s=0.5,
            )
            for k in range(7 if song == 5 else 5)
        ]
    return Catalogue(
        facts=FACTS, task="regression", items=tuple(items), labels=("valence", "arousal")
    )


def contents(folder):
    """Bytes of all files of a prepared data set; the date in the change log left out."""
    found = {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
    log = found["CHANGELOG.md"].decode()
    found["CHANGELOG.md"] = "".join(line for line in log.splitlines() if line[:2] != "##")
    return found
