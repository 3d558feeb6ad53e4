"""MagnaTagATune: half minutes of independent music with tags from a game.

    annotations_final.csv     tab separated: clip_id, 188 tags (0 or 1), mp3_path
    clip_info_final.csv       tab separated, optional: titles, artists, albums
    0/ 1/ ... f/              the clips; the folders may also lie in `mp3/`, `raw/` or `audio/`

Clips of a track overlap in everything that is heard, so the published splits go by folder, into
which an album's clips were dealt together.

On "longer than 29.1 s", the other condition of the split of 2020: the metadata has whole seconds,
29 of them for every clip, and cannot tell. It need not: of the 5,329 clips in the folders d to f
997 have none of the 50 tags, and the published test set is exactly the 4,332 others. What the
condition leaves out are the three clips whose MP3 is empty.
"""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from mclf_jax.common import checks
from mclf_jax.common.text import tables
from mclf_jax.data.catalogue import layout
from mclf_jax.data.catalogue.items import Catalogue, Facts, Item
from mclf_jax.data.catalogue.label_lists import label_list

_FOLDERS = "0123456789abcdef"
_SPLIT_OF_FOLDER = dict.fromkeys("0123456789ab", "train") | {"c": "valid"}
_SPLIT_OF_FOLDER |= dict.fromkeys("def", "test")
_LABEL_ORDERS = {"won2020": "mtat", "jongpillee": "mtat_jongpillee"}
_PARTS = re.compile(
    r"(?P<artist>[^-]*)-(?P<album>[^-]*)-(?P<track_number>\d+)-(?P<title>.*)"
    r"-(?P<segment_start_s>\d+)-(?P<segment_end_s>\d+)"
)

# Zero bytes long in the distributed archive. Published lists name them by row, counted from 0:
# 16250, 24867, 25546.
_EMPTY = frozenset(
    (
        "6/norine_braun-now_and_zen-08-gently-117-146.mp3",
        "8/jacob_heringman-josquin_des_prez_lute_settings-19-gintzler__pater_noster-204-233.mp3",
        "9/american_baroque-dances_and_suites_of_rameau_and_couperin-25-"
        "le_petit_rien_xiveme_ordre_couperin-88-117.mp3",
    )
)

FACTS = Facts(
    name="magnatagatune",
    title="MagnaTagATune",
    contents="25,863 clips of 29 s of 5,405 tracks, 188 tags",
    tasks={"split=won2020": "multi_label", "split=pons": "multi_label"},
    splits={
        "split=won2020": {"train": 15244, "valid": 1529, "test": 4332},
        "split=pons": {"train": 18706, "valid": 1825, "test": 5329},
    },
    group="album",
    licence="CC BY-NC-SA 3.0 (the music: Magnatune, CC BY-NC-SA 1.0)",
    citation=(
        "E. Law, K. West, M. Mandel, M. Bay and J. S. Downie, Evaluation of algorithms using games:"
        " the case of music tagging, ISMIR 2009; split won2020: M. Won, A. Ferraro, D. Bogdanov"
        " and X. Serra, Evaluation of CNN-based automatic music tagging models, SMC 2020"
    ),
    url="https://mirg.city.ac.uk/codeapps/the-magnatagatune-dataset",
    faults=(
        "Clips of one track are nearly the same music: never split them at random.",
        "The published splits keep albums together, but not artists: eight artists have albums in"
        " both valid and test.",
        "Tags are weak: players wrote what came to mind, so a tag that is missing was often just"
        " not said. Models are punished for tags that are right.",
        "Tags have synonyms that count as different: vocal, vocals, voice, singing; no vocal, no"
        " vocals, no voice; female, woman, female voice, female vocal; beat, beats; classical,"
        " classic.",
        "Papers use several splits. Without the clips that have none of the 50 tags (won2020) the"
        " average precision is about 0.1 higher than with them (pons): the two cannot be compared.",
        "Two orders of the 50 tags are in use, which swap metal and female voice (`label_order`).",
        "The music is of one label of independent artists, much of it classical and ambient.",
    ),
)


def catalogue(
    path: str | os.PathLike,
    *,
    split: str = "won2020",
    labels: str = "top50",
    label_order: str = "won2020",
) -> Catalogue:
    """Reads `annotations_final.csv`, and `clip_info_final.csv` where it is there.

    Groups are albums, because that is what the folders keep together; artist and title of each
    clip are among its columns.

    Args:
        path: the folder.
        split: "won2020" (Won et al. 2020; folders 0-b, c, d-f, clips with at least one of the 50
            most frequent tags) or "pons" (Pons and Serra 2019, musicnn: the same folders with
            the clips that have none of these tags, which are all negative).
        labels: "top50", or "all" 188 in the order of the file.
        label_order: of the 50: "won2020" (also musicnn's) or "jongpillee", which has metal and
            female voice the other way round.

    Raises:
        ValueError: the folder is not MagnaTagATune, a row is not understood, or an unknown option.
    """
    checks.choice("split", split, ("won2020", "pons"))
    checks.choice("labels", labels, ("top50", "all"))
    checks.choice("label_order", label_order, tuple(_LABEL_ORDERS))
    if labels == "all" and label_order != "won2020":
        raise ValueError(
            f"label_order={label_order!r} is an order of the 50 tags, but labels='all' takes the"
            " order of the file: leave label_order out"
        )
    root = layout.data_root(path, title=FACTS.title, holds=("annotations_final.csv",))
    annotations = layout.find(root, "annotations_final.csv", title=FACTS.title)
    audio = _audio_folder(root)
    clip_info = _read_clip_info(root / "clip_info_final.csv")
    top50 = label_list(_LABEL_ORDERS[label_order]).labels
    names: Sequence[str] = top50
    items, skipped = [], []
    columns = ("clip_id", *top50, "mp3_path")
    for line, row in tables.read(annotations, columns=columns, dialect=tables.TSV).rows:
        if labels == "all" and names is top50:
            names = [name for name in row if name not in ("clip_id", "mp3_path")]
        tags = _tags(row, names, where=f"{annotations}, line {line}")
        clip_id, mp3_path = row["clip_id"], row["mp3_path"]
        if mp3_path[:1] not in _SPLIT_OF_FOLDER or mp3_path[1:2] != "/":
            raise ValueError(
                f"{annotations}, line {line}: mp3_path is {mp3_path!r}; it must begin with one of"
                f" the folders 0 to f"
            )
        if mp3_path in _EMPTY:
            skipped.append((mp3_path, "the distributed MP3 is empty"))
        elif split == "won2020" and not any(row[tag] == "1" for tag in top50):
            skipped.append((mp3_path, "none of the 50 most frequent tags"))
        else:
            items.append(
                Item(
                    item_id=mp3_path,
                    file=str(audio / mp3_path),
                    labels=tags,
                    # all were looked for, also where none was found
                    observed=None if tags else tuple(names),
                    split=_SPLIT_OF_FOLDER[mp3_path[0]],
                    group=_album(mp3_path),
                    columns={"clip_id": clip_id} | _columns(mp3_path, clip_info.get(clip_id, {})),
                    line=line,
                )
            )
    if not items:
        raise ValueError(f"{annotations} lists no clip with one of the 50 most frequent tags")
    return layout.make_catalogue(
        FACTS,
        items,
        looked_in=audio,
        task="multi_label",
        labels=tuple(names),
        skipped=skipped,
        split_hint="the splits go by folder: 0 to b are train, c is valid, d to f are test",
    )


def _audio_folder(root: Path) -> Path:
    for folder in (root, *(root / name for name in ("mp3", "raw", "audio"))):
        if any((folder / name).is_dir() for name in _FOLDERS):
            return folder
    raise ValueError(
        f"no audio of {FACTS.title} is in {root}: looked for the folders 0 to f there and in mp3,"
        f" raw and audio; found {layout.contents(root)}"
    )


def _tags(row: Mapping[str, str], names: Sequence[str], *, where: str) -> tuple[str, ...]:
    for name in names:
        if row[name] not in ("0", "1"):
            raise ValueError(f"{where}: {name!r} is {row[name]!r}; it must be 0 or 1")
    return tuple(name for name in names if row[name] == "1")


def _read_clip_info(file: Path) -> Mapping[str, Mapping[str, str]]:
    """Columns to keep of each clip; nothing where the file is not there."""
    kept = ("artist", "album", "title", "track_number", "original_url")
    if not file.is_file():
        return {}
    loose = tables.Dialect(separator="\t", quotes="loose", breaks="trusted")
    return {
        row["clip_id"]: {name: row[name] for name in kept}
        for _, row in tables.read(file, columns=("clip_id", *kept), dialect=loose).rows
    }


def _album(mp3_path: str) -> str:
    """ "artist-album" as the file names spell them, in which names hold no hyphen."""
    return "-".join(mp3_path[2:].split("-")[:2])


def _columns(mp3_path: str, info: Mapping[str, str]) -> dict[str, str]:
    parts = _PARTS.fullmatch(os.path.splitext(mp3_path[2:])[0])
    return (parts.groupdict() if parts else {}) | dict(info)
