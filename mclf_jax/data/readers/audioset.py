"""AudioSet: 10-second parts of YouTube videos with tags of an ontology, all of it or its music.

The folder:

    ontology.json                      the 632 entries
    balanced_train_segments.csv        video, start, end, "ids of labels", below three comment lines
    unbalanced_train_segments.csv      eval_segments.csv
    class_labels_indices.csv           index, mid, display_name: the 527 labels (optional)
    qa_true_counts.csv                 label_id, num_rated, num_true (optional)
    audio, in any subfolder, cut to the segment: VIDEO.wav, VIDEO_30.wav or VIDEO_30_40.wav

Tables may lie in `metadata`. Times in names are seconds (30, 30.000) or milliseconds (30000), the
name may begin with Y, as a file name must not begin with -, and the audio may be of any format.
"""

import functools
import graphlib
import math
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from mclf_jax.common import checks
from mclf_jax.common.text import documents, tables
from mclf_jax.data.catalogue import layout
from mclf_jax.data.catalogue.items import Catalogue, Facts, Item

FACTS = Facts(
    name="audioset",
    title="AudioSet",
    contents="2,084,320 segments of 10 s of YouTube videos, 527 labels, about half of them music",
    tasks={"labels=published": "multi_label", "labels=hierarchy": "multi_label"},
    splits={
        "branch=all, train=balanced": {"train": 22160, "test": 20371},
        "branch=all, train=unbalanced": {"train": 2041789, "test": 20371},
        "branch=all, train=both": {"train": 2063949, "test": 20371},
    },
    group="video",
    version="v1 (2017)",
    licence="labels CC BY 4.0, ontology CC BY-SA 4.0; each video under its own terms at YouTube",
    citation=(
        "J. F. Gemmeke, D. P. W. Ellis, D. Freedman, A. Jansen, W. Lawrence, R. C. Moore,"
        " M. Plakal, M. Ritter, Audio Set: An Ontology and Human-Labeled Dataset for Audio Events,"
        " ICASSP 2017"
    ),
    url="https://research.google.com/audioset/",
    faults=(
        "Videos disappear and differ by country, so everyone trains and tests on other segments.",
        "Quality of recording differs widely: concerts, amateurs, music behind speech.",
        "A label holds somewhere in the 10 s; how often it is right differs by label.",
        "The tags are not closed under the ontology: a guitar need not be tagged as music.",
    ),
)

_MUSIC = "/m/04rlf"
_TRAIN = {
    "balanced": ("balanced_train",),
    "unbalanced": ("unbalanced_train",),
    "both": ("balanced_train", "unbalanced_train"),
}


def catalogue(
    path: str | os.PathLike,
    *,
    branch: str = "music",
    train: str = "balanced",
    labels: str = "published",
    min_quality: float = 0.0,
) -> Catalogue:
    """Reads segments that have a label of the branch; valid is made from train by video.

    Labels are those of class_labels_indices.csv in its order, with names of the ontology; without
    that file all that the ontology neither calls abstract nor blacklists, in its order, which are
    some more (543 and not 527), because the ontology also has labels without a segment.

    Args:
        path: the folder, see above.
        branch: "music", the entry Music and everything below it, or "all".
        train: "balanced", "unbalanced" or "both": which segments to train on; eval is test.
        labels: "published", the tags as they are; or "hierarchy", with the labels above them too.
            What lies above a label that the ontology puts in several places (a growl is a dog's or
            a cat's) is only what is above all of them (an animal).
        min_quality: labels of which fewer were right are left out, as a share of the segments that
            the authors' raters heard again (ten of most labels; `qa_true_counts.csv`). Labels that
            nobody rated stay, and a note says how many.

    Raises:
        ValueError: an unknown option, or not the files of AudioSet.
    """
    checks.choice("branch", branch, ("music", "all"))
    checks.choice("train", train, tuple(_TRAIN))
    checks.choice("labels", labels, ("published", "hierarchy"))
    checks.within("min_quality", min_quality, 0, 1)
    root = layout.data_root(
        path, title=FACTS.title, holds=("ontology.json", "metadata/ontology.json")
    )
    ontology = _read_ontology(_find(root, "ontology.json"))
    names = _label_names(root, ontology, branch=branch)
    names, told = _good_enough(root, names, min_quality=min_quality)
    parents = label_parents(ontology, names) if labels == "hierarchy" else {}
    audio = _audio_by_stem(root)
    items, skipped, num_unknown = [], [], 0
    for part in (*_TRAIN[train], "eval"):
        listed: set[str] = set()
        for line, video, times_s, ids in _read_segments(_find(root, f"{part}_segments.csv")):
            found = tuple(names[mid] for mid in ids if mid in names)
            num_unknown += branch == "all" and len(found) < len(ids)
            if not found:
                continue
            start_s, end_s = (f"{time_s:g}" for time_s in times_s)
            item_id = f"{video}_{start_s}_{end_s}"
            if item_id in listed:
                skipped.append((item_id, f"listed again in line {line}"))
                continue
            listed.add(item_id)
            file = next((audio[stem] for stem in _stems(video, times_s) if stem in audio), None)
            if file is None:
                skipped.append((item_id, "no such file"))
                continue
            items.append(
                Item(
                    item_id=item_id,
                    file=file,
                    labels=_closed(found, parents),
                    split="test" if part == "eval" else "train",
                    group=video,
                    columns={"youtube_start_s": start_s},
                    line=line,
                )
            )
    if not items:
        raise ValueError(
            f"no audio of {FACTS.title} is in {root}: looked for {len(skipped)} segments under"
            f" names such as {skipped[0][0] if skipped else 'VIDEO_30_40'}.wav, see the docstring"
            f" of {__name__}; found {layout.contents(root)}"
        )
    notes = (*layout.missing_note(skipped, kept=len(items)), *told)
    if num_unknown:
        notes += (f"{num_unknown} segments have tags that are not among the {len(names)} labels",)
    return Catalogue(
        facts=FACTS,
        task="multi_label",
        items=tuple(items),
        labels=tuple(names.values()),
        parents=parents,
        skipped=tuple(skipped),
        notes=notes,
    )


def label_parents(ontology: Mapping[str, Mapping], names: Mapping[str, str]) -> dict[str, str]:
    """{label: parent}, by name: the nearest label on every way from the roots down to a label.

    Args:
        ontology: {id: entry}, each with the ids of its children in `child_ids`.
        names: {id: name} of the labels.
    """
    above: dict[str, list[str]] = {}
    for mid, entry in ontology.items():
        for child in entry["child_ids"]:
            above.setdefault(child, []).append(mid)

    @functools.cache
    def on_every_way(mid: str) -> frozenset[str]:
        ways = [on_every_way(parent) for parent in above.get(mid, ())]
        return frozenset.intersection(*ways) | {mid} if ways else frozenset({mid})

    parents = {}
    for mid in names:
        certain = [other for other in on_every_way(mid) if other != mid and other in names]
        if certain:  # these lie in one line: the lowest has most above it
            parents[names[mid]] = names[max(certain, key=lambda other: len(on_every_way(other)))]
    return parents


def _find(root: Path, name: str) -> Path:
    return layout.find(root, name, f"metadata/{name}", title=FACTS.title)


def _read_ontology(file: Path) -> dict[str, Mapping]:
    try:
        entries = documents.read(file, origin="theirs")
        ontology = {entry["id"]: entry for entry in entries}
        for entry in entries:
            known = set(entry["child_ids"]) <= ontology.keys()
            if not known or not entry["name"] or "restrictions" not in entry:
                raise ValueError(
                    f"entry {entry['id']} has no name or restrictions, or children without an entry"
                )
        graphlib.TopologicalSorter({m: e["child_ids"] for m, e in ontology.items()}).prepare()
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{file} is not the ontology of {FACTS.title}: {error!r}") from error
    return ontology


def _label_names(root: Path, ontology: Mapping[str, Mapping], *, branch: str) -> dict[str, str]:
    """{id: name} of the labels in order."""
    name = "class_labels_indices.csv"
    listed = [file for file in (root / name, root / "metadata" / name) if file.is_file()]
    if listed:
        names = {}
        for line, row in tables.read(listed[0], columns=("index", "mid", "display_name")).rows:
            if names.setdefault(row["mid"], row["display_name"]) != row["display_name"]:
                raise ValueError(f"{listed[0]}, line {line}: {row['mid']} again, as {row}")
    else:
        names = {mid: "" for mid, entry in ontology.items() if not entry["restrictions"]}
    names |= {mid: ontology[mid]["name"] for mid in names if mid in ontology}
    if branch == "music":
        inside = _below(ontology, _MUSIC)
        names = {mid: name for mid, name in names.items() if mid in inside}
    return names


def label_quality(file: Path) -> dict[str, float]:
    """{id: share of the rated segments of a label that have it}, of those that were rated.

    Args:
        file: `qa_true_counts.csv`, a row of label_id, num_rated and num_true for each label.

    Raises:
        ValueError: no such table.
    """
    found = {}
    for line, row in tables.read(file, columns=("label_id", "num_rated", "num_true")).rows:
        try:
            rated, true = int(row["num_rated"]), int(row["num_true"])
            if not 0 <= true <= rated:
                raise ValueError("more are true than were rated")
        except ValueError as error:
            raise ValueError(f"{file}, line {line}: num_rated or num_true: {error}") from error
        if rated:
            found[row["label_id"]] = true / rated
    return found


def _good_enough(
    root: Path, names: dict[str, str], *, min_quality: float
) -> tuple[dict[str, str], tuple[str, ...]]:
    """{id: name} of the labels that are right often enough, and a note on it."""
    if not min_quality:
        return names, ()
    quality = label_quality(_find(root, "qa_true_counts.csv"))
    kept = {mid: name for mid, name in names.items() if quality.get(mid, 1) >= min_quality}
    if not kept:
        best = max(quality[mid] for mid in names)
        raise ValueError(f"min_quality is {min_quality}, and no label is above {best:.2f}")
    lost = f"{len(names) - len(kept)} of {len(names)} labels"
    note = f"{lost} are right in fewer than {min_quality:g} of their rated segments, and left out"
    if unrated := sum(mid not in quality for mid in kept):
        note += f"; {unrated} that nobody rated stay"
    return kept, (note,)


def _below(ontology: Mapping[str, Mapping], top: str) -> set[str]:
    found, todo = set(), [top]
    while todo:
        mid = todo.pop()
        if mid not in found and mid in ontology:
            found.add(mid)
            todo += ontology[mid]["child_ids"]
    return found


def _closed(labels: Sequence[str], parents: Mapping[str, str]) -> tuple[str, ...]:
    """The labels and all above them."""
    closed = dict.fromkeys(labels)
    for label in labels:
        while label in parents:
            label = parents[label]
            closed[label] = None
    return tuple(closed)


def _read_segments(file: Path) -> Iterator[tuple[int, str, tuple[float, float], Collection[str]]]:
    """(line, video, (start, end) in seconds, ids of labels) of each segment."""
    for line, cells in tables.read_cells(file, dialect=tables.Dialect(blanks="skipped")):
        if cells[0].startswith("#"):
            continue
        try:
            video, start_s, end_s, ids = cells
            times_s = float(start_s), float(end_s)
            if not 0 <= times_s[0] < times_s[1] < math.inf:
                raise ValueError("a segment must end after its beginning")
        except ValueError as error:
            raise ValueError(
                f"{file}, line {line}: needed are video, start, end and the labels between quotes,"
                f' such as --PJHxphWEs, 30.000, 40.000, "/m/09x0r"; got {cells}'
            ) from error
        yield line, video, times_s, ids.split(",")


def _audio_by_stem(root: Path) -> dict[str, str]:
    """{name without its suffix: path} of all audio; the first of those of one name."""
    found: dict[str, str] = {}
    for file in layout.walk_audio(root):
        found.setdefault(Path(file).stem, file)
    return found


def _stems(video: str, times_s: tuple[float, float]) -> Iterator[str]:
    """What the audio of a segment may be called, the most exact first."""
    for write in ("{:g}".format, "{:.3f}".format, lambda time_s: f"{round(time_s * 1000)}"):
        start, end = map(write, times_s)
        for stem in (f"{video}_{start}_{end}", f"{video}_{start}"):
            yield from (stem, f"Y{stem}")
    yield from (video, f"Y{video}")
