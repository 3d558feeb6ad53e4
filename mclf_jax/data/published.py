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
# Of "folder": any songs, with labels of their own.
_OF_A_FOLDER = {"task": "auto", "targets": "", "min_duration_s": 0.125, "seed": 0}
# What recipes without labels are about, after what CLMR was trained on; labels are for probes.
_WITHOUT_LABELS = {"mtat": "mtat_pons", "msd": "msd", "gtzan": "gtzan", "jamendo": "jamendo"}
WITHOUT_LABELS = (*_WITHOUT_LABELS, "folder")


def use(config: ConfigDict, name: str, *, path: str, layout: str = "distributed") -> None:
    """Sets `config.data` to a data set.

    Args:
        config: of a recipe; changed.
        name: one of `PUBLISHED`, or "folder": `path` is then what `readers.folder` takes, and
            `layout` says nothing.
        path: of the data set as its authors distribute it, or prepared (`mclf data prepare`); or
            of a folder with a manifest.csv (`readers.folder`), whose labels are spelled as in the
            data set's list of `label_lists`: others are dropped, clips with none left are left
            out.
        layout: "distributed", prepared too, or "manifest".
    """
    if name == "folder":
        reader, arguments = "folder", _OF_A_FOLDER
    elif layout == "manifest":
        reader, arguments = "folder", {"labels": PUBLISHED[name].label_list}
    else:
        reader, arguments = PUBLISHED[name].reader, PUBLISHED[name].arguments
    config.data.name = reader
    config.data.args = ConfigDict({"path": path, **arguments})


def use_without_labels(config: ConfigDict, name: str, *, path: str, layout: str) -> None:
    """Sets `config.data` to what a self-supervised recipe learns from.

    Args:
        config: of a recipe; changed.
        name: one of `WITHOUT_LABELS`; songs of a folder that have no label are learnt from, too.
        path: see `use`.
        layout: see `use`.
    """
    use(config, _WITHOUT_LABELS.get(name, name), path=path, layout=layout)
    if name == "folder":
        config.data.train_splits = ("train", "unlabelled")
