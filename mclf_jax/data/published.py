"""The `data` section of a recipe: a published data set, in whichever form a user has it."""

from typing import Any, NamedTuple

from ml_collections import ConfigDict

LAYOUTS = ("distributed", "manifest")


class Published(NamedTuple):
    """A data set with the labels that a recipe is about.

    Attributes:
        reader: its name in `data.READERS`.
        arguments: of the reader.
        label_list: its labels in `label_lists`.
    """

    reader: str
    arguments: dict[str, Any]
    label_list: str


PUBLISHED = {
    "gtzan": Published("gtzan", {}, "gtzan"),
    "mtat": Published("magnatagatune", {"split": "won2020"}, "mtat"),
    "mtat_pons": Published("magnatagatune", {"split": "pons"}, "mtat"),
    "msd": Published("msd", {"labels": "lastfm"}, "msd_lastfm"),
    "msd_cals": Published("msd", {"labels": "cals"}, "msd_cals"),
    "jamendo": Published("mtg_jamendo", {"tags": "top50", "split": 0}, "jamendo_top50"),
}
# What recipes without labels are about, after what CLMR was trained on; labels are for probes.
_WITHOUT_LABELS = {"mtat": "mtat_pons", "msd": "msd", "gtzan": "gtzan", "jamendo": "jamendo"}
WITHOUT_LABELS = (*_WITHOUT_LABELS, "folder")


def use(config: ConfigDict, name: str, *, path: str, layout: str = "distributed") -> None:
    """Sets `config.data` to a data set.

    Args:
        config: of a recipe; changed.
        name: one of `PUBLISHED`.
        path: of the data set as its authors distribute it, or prepared (`mclf data prepare`); or
            of a folder with a manifest.csv (`readers.folder`), whose labels are spelled as in the
            data set's list of `label_lists`: others are dropped, clips with none left are left
            out.
        layout: "distributed", prepared too, or "manifest".
    """
    found = PUBLISHED[name]
    if layout == "manifest":
        config.data.name = "folder"
        config.data.args = ConfigDict({"path": path, "labels": found.label_list})
    else:
        config.data.name = found.reader
        config.data.args = ConfigDict({"path": path, **found.arguments})


def use_without_labels(config: ConfigDict, name: str, *, path: str, layout: str) -> None:
    """Sets `config.data` to what a self-supervised recipe learns from.

    Args:
        config: of a recipe; changed.
        name: one of `WITHOUT_LABELS`; "folder" is any folder of songs, with some labels or none.
        path: see `use`.
        layout: see `use`; a folder has its own.
    """
    if name == "folder":
        config.data.name = "folder"
        config.data.args = ConfigDict({"path": path})
        config.data.train_splits = ("train", "unlabelled")
    else:
        use(config, _WITHOUT_LABELS[name], path=path, layout=layout)
