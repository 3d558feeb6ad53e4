"""What is known of songs beside their labels: columns of their table, length and format."""

from collections.abc import Iterable
from pathlib import PurePath

from mclf_jax.audio.decode import AUDIO_SUFFIXES
from mclf_jax.data.base.source import Info, Source

DURATION = "duration_s"


def groups_of(info: Info, indices: Iterable[int]) -> tuple[str, ...]:
    """The groups of songs, such as their artists; () where the data set has none."""
    return tuple(info.groups[int(i)] for i in indices) if info.groups else ()


def columns_of(source: Source, indices: Iterable[int]) -> dict[str, tuple[str, ...]]:
    """{name: of each of N songs}, "" where it is not known.

    The columns of the data set (`Info.columns`), "duration_s", and "format" where items are called
    by their files. A column of the data set that is called so stays as it is.
    """
    chosen, info = [int(i) for i in indices], source.info
    found = {
        name: tuple(values[i] for i in chosen)
        for name, values in info.columns.items()
        if len(values) == len(source)
    }
    seconds = (source.num_samples(i) / info.sample_rate_hz for i in chosen)
    found.setdefault(DURATION, tuple(f"{each:.2f}" for each in seconds))
    # Parts of a file are called "song.ogg#t=10,12.5".
    names = (source.item_id(i).partition("#t=")[0] for i in chosen)
    suffixes = [PurePath(name).suffix.lower() for name in names]
    formats = tuple(one[1:] if one in AUDIO_SUFFIXES else "" for one in suffixes)
    if any(formats):
        found.setdefault("format", formats)
    return found
