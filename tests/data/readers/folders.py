"""Folders of songs, with manifests, and what is read of them."""

import csv

import numpy as np
import soundfile

from mclf_jax import data


def write_song(path, *, seconds=0.5, rate_hz=8000, num_channels=1, seed=0, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    sound = 0.1 * rng.standard_normal((int(seconds * rate_hz), num_channels))
    soundfile.write(path, sound, rate_hz, **options)


def write_manifest(root, rows, *, encoding="utf-8"):
    with (root / "manifest.csv").open("w", encoding=encoding, newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def write_songs(root, rows, *, encoding="utf-8"):
    """A folder with a song for each row of its manifest."""
    for seed, row in enumerate(rows):
        write_song(root / row["path"], seed=seed)
    write_manifest(root, rows, encoding=encoding)
    return root


def open_folder(root, **arguments):
    return data.build("folder", path=root, sample_rate_hz=16000, **arguments)


def items_of(source, split):
    return [source.item_id(i) for i in source.info.splits[split]]
