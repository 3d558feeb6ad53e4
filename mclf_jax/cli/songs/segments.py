"""From when to when songs have which labels, written as they are heard: a table of all songs, the
labels of one, or both of each in a folder."""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mclf_jax.cli import flags
from mclf_jax.cli.songs.each import for_each_song, free_name
from mclf_jax.cli.songs.table import write_all
from mclf_jax.common import checks, walk


def write_segments(arguments: argparse.Namespace) -> int:
    """`mclf predict --segments`; the exit code."""
    from mclf_jax.audio.decode import AudioError
    from mclf_jax.common import files
    from mclf_jax.metrics import along

    if arguments.threshold is not None:
        checks.within("--threshold", arguments.threshold, 0, 1)
    for name in ("merge_gap_s", "min_segment_s"):
        checks.at_least(f"--{name.replace('_', '-')}", getattr(arguments, name) or 0, 0)
    out = Path(arguments.segments)
    kind = out.suffix.lower() if out.suffix.lower() in (".csv", ".txt") else "folder"
    files.check_place("--segments", out, kind="folder" if kind == "folder" else "file")
    paths = flags.find_audio(arguments.audio)[0]
    if kind == ".txt" and len(paths) != 1:
        raise ValueError(
            f"--segments is {out}, a label track of one song: name a .csv file or a folder"
        )
    how = {
        "thresholds": arguments.threshold,
        "merge_gap_s": arguments.merge_gap_s or 0.0,
        "min_s": arguments.min_segment_s or 0.0,
    }
    (out if kind == "folder" else out.parent).mkdir(parents=True, exist_ok=True)
    if kind == ".txt":

        def write_labels(tagger: Any, path: str) -> None:
            segments = tagger.segments(path, **how)
            along.write_labels(segments, out)
            print(f"{len(segments)} segments of 1 songs: {out}")

        return for_each_song(arguments, write_labels)
    taken: set[str] = set()
    names = {path: free_name(path, taken) for path in dict.fromkeys(paths)}

    def write_song(path: str, segments: Sequence[along.Segment]) -> None:
        along.write_csv({walk.shown(path): segments}, out / f"{names[path]}.csv")
        along.write_labels(segments, out / f"{names[path]}.txt")

    def hear(tagger: Any, paths: Sequence[str]) -> Iterator[dict[str, Any]]:
        for path in paths:
            try:
                taggram = tagger.taggram(path)
            except AudioError as error:
                yield {"path": path, "error": error}
                continue
            segments = tagger.segments(taggram, **how)
            if kind == "folder":
                write_song(path, segments)
            duration_s = float(taggram["times_s"][-1] + taggram["window_s"] / 2)
            yield {"path": path, "duration_s": duration_s, "segments": segments}

    def write(tagger: Any, journal: Any, paths: Sequence[str]) -> list[tuple[str, str]]:
        found = {
            row["path"]: [along.Segment(**one) for one in row["segments"]]
            for row in journal.rows(paths)
        }
        if kind == ".csv":
            along.write_csv({walk.shown(path): some for path, some in found.items()}, out)
        else:
            for path, segments in found.items():  # of an earlier call under these names may be
                write_song(path, segments)  # those of another song, or none
        print(f"{sum(map(len, found.values()))} segments of {len(found)} songs: {out}")
        return []

    return write_all(
        arguments,
        write,
        hear=lambda tagger: lambda paths: hear(tagger, paths),
        place="segments",
        settings=how,
    )
