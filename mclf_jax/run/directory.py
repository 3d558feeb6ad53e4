"""A run directory: what a run leaves behind, and all that loading it needs.

config.json     the resolved config
meta.json       labels, features, data set, versions: what the weights mean
songs.csv       the songs with their splits and labels
skipped.csv     audio that was skipped, with reasons
metrics.jsonl   one JSON object per log line or evaluation
cost.json       time and energy of training, see `cost`
card.toml       what only a person knows, for the model card; see `report.card`
checkpoints/    see `checkpoint`
report/         evaluations and the page
"""

import contextlib
import copy
import importlib.metadata
import platform
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from mclf_jax import config as config_lib
from mclf_jax.audio import features
from mclf_jax.audio.files import versions
from mclf_jax.common import checks, files
from mclf_jax.common.text import documents, tables
from mclf_jax.data.base.source import TASKS, Info, Source
from mclf_jax.data.views.base import View
from mclf_jax.models import Model, build
from mclf_jax.run import songs

_PACKAGES = (
    "mclf-jax jax jaxlib flax optax orbax-checkpoint grain numpy soundfile soxr scikit-learn"
)


_DATA_LIKE = {"name": str, "fingerprint": str, "splits": {str: int}}
_META_LIKE = {
    "task": str,
    "labels": [str],
    "model": {"name": str, "window_samples": int},
    "features": dict,
    "data": _DATA_LIKE,
}
DATA_CHANGES = ("refuse", "allow")
CONFIG_CHANGES = ("refuse", "extend")
# What may be other in a run that is extended: how long it is, and how it is watched meanwhile.
_LENGTH = ("train.num_steps", "train.num_epochs")
_LENGTH += ("eval.every_steps", "eval.every_epochs", "eval.patience")


@contextlib.contextmanager
def lock_run(workdir: Path) -> Iterator[None]:
    """While it lasts, nobody else can train in a run directory; it ends with the process at last.

    Raises:
        ValueError: somebody does.
    """
    workdir.mkdir(parents=True, exist_ok=True)
    refusal = f"another process is training in {workdir}; wait for it, or take another --workdir"
    with files.locked(workdir, refusal=refusal):
        yield


def start_run(
    workdir: Path,
    *,
    config: ConfigDict,
    source: Source,
    model: Model,
    unlabelled: Source | None = None,
    data_change: str = "refuse",
    config_change: str = "refuse",
) -> None:
    """Write config and meta of a new run, or make sure that an old one is the same run.

    Args:
        workdir: the run directory.
        config, source, model: of the run.
        unlabelled: where songs without labels come from; may be `source`.
        data_change: what to do if the run has begun with other data, "refuse" or "allow": the
            new data are recorded then, and the old ones as "data_before".
        config_change: what to do if it has begun with another length, "refuse" or "extend": the
            config becomes the new one, and what was changed is recorded as "extended".

    Raises:
        ValueError: the directory holds a run with another config or with other data; the
            message names the fields. Nothing is changed then.
    """
    checks.choice("config_change", config_change, CONFIG_CHANGES)
    workdir.mkdir(parents=True, exist_ok=True)
    info, skipped = source.info, source.info.skipped
    meta = describe_run(model, task=info.task, labels=info.labels, data=describe_data(info))
    if info.unit:  # in which all who use the weights say numbers
        meta["unit"] = [list(pair) for pair in info.unit]
    if "hierarchy" in config.objective.args:
        from mclf_jax.objectives.supervised import tree_of_run

        if tree := tree_of_run(config, info):  # along which all who use the weights score
            meta["tree"] = list(tree)
    for each in filter(None, (unlabelled, source)):
        meta["audio"] |= _decoded_by(each)
    if unlabelled is not None and unlabelled is not source:
        meta["unlabelled"] = describe_data(unlabelled.info)
        skipped = tuple(dict.fromkeys((*skipped, *unlabelled.info.skipped)))
    if (workdir / "config.json").exists():
        if read_config(workdir).data.name == "none":
            raise ValueError(
                f"{workdir} was made from weights by `mclf convert`; take another --workdir "
                "to train in"
            )
        changed = config_lib.differences(read_config(workdir), config)
        lengths = changed
        lasts = {name: changed[name] for name in _LENGTH[:2] if name in changed}
        shorter = any(d["new"] < d["old"] for d in lasts.values() if None not in d.values())
        only_length = set(changed) <= set(_LENGTH) and not shorter
        if changed and not (only_length and config_change == "extend"):
            lines = [f"  {name}: {d['old']!r} -> {d['new']!r}" for name, d in changed.items()]
            advice = (
                "Take another --workdir, or the old config (only runtime.* and parallel.* may "
                "change)."
            )
            if only_length:
                advice = "To train this run longer, add --extend (config_change='extend')."
            elif lasts and not shorter:
                given = " ".join(f"--config.{name}={d['new']}" for name, d in lasts.items())
                advice += f"\nTo train this run longer, add {given} --extend to the old config."
            raise ValueError(
                f"{workdir} holds a run with another config; changed fields:\n"
                + "\n".join(lines)
                + f"\n{advice}"
            )
        old = read_meta(workdir)
        if "soup_of" in old:
            raise ValueError(
                f"{workdir} is a soup of other runs; take another --workdir, and "
                f"--config.init.path={workdir} to train on from it"
            )
        check_data(workdir, old, source, data_change=data_change)
        kinds = [kind for kind in ("data", "unlabelled") if kind in meta]
        for kind in kinds[1:]:
            _check_same(workdir, old[kind], meta[kind], data_change=data_change)
        changed = [k for k in kinds if old[k]["fingerprint"] != meta[k]["fingerprint"]]
        for kind in changed:
            old[f"{kind}_before"] = [*old.get(f"{kind}_before", ()), old[kind]]
            old[kind] = meta[kind]
        if changed:
            files.write_json(workdir / "meta.json", old)
            add_skipped(workdir, skipped)
            songs.write(workdir, source)
        if lengths:
            old["extended"] = [*old.get("extended", ()), lengths]
            files.write_json(workdir / "meta.json", old)
            files.write_text(workdir / "config.json", config_lib.to_json(config))
        return
    songs.write(workdir, source)
    write_run(workdir, config=config, meta=meta, skipped=skipped)


def keep_splits(workdir: Path, config: ConfigDict) -> ConfigDict:
    """The config, with the splits and groups that a run of an earlier version began with."""
    if not (workdir / "config.json").is_file() or read_config(workdir).data.split_rule != "dealt":
        return config
    if "split_rule" in documents.read(workdir / "config.json")["data"]:
        return config
    config = copy.deepcopy(config)
    with config.unlocked():
        config.update(config_lib.as_before(config))
    return config


def check_data(workdir: Path, meta: dict[str, Any], source: Source, *, data_change: str) -> None:
    """Make sure that data are those of a run, or may be others.

    Raises:
        ValueError: they are not, and `data_change` is "refuse"; or the labels are not the same,
            which the network's outputs stand for. The message says what differs.
    """
    checks.choice("data_change", data_change, DATA_CHANGES)
    info = source.info
    if list(info.labels) != meta["labels"]:
        raise ValueError(
            f"the labels of {info.name} are not those that {workdir} was trained on: "
            f"{list(info.labels)} and {meta['labels']}"
        )
    if (units := [list(pair) for pair in info.unit]) != meta.get("unit", []):
        raise ValueError(
            f"the numbers of {info.name} are scaled for learning by {units} (scale, offset), and "
            f"those that {workdir} was trained on by {meta.get('unit', [])}: bring its songs "
            "of training back, of which these are made, or take another run directory"
        )
    new = describe_data(info)
    told = (
        [] if meta["data"]["fingerprint"] == new["fingerprint"] else songs.changes(workdir, source)
    )
    _check_same(workdir, meta["data"], new, data_change=data_change, told=told)


def _check_same(
    workdir: Path,
    old: dict[str, Any],
    new: dict[str, Any],
    *,
    data_change: str,
    told: Sequence[str] = (),
) -> None:
    if old["fingerprint"] == new["fingerprint"] or data_change == "allow":
        return
    # In words where they are known; else what the digests are of.
    changed = [f"  {line}" for line in told] or [
        f"  {name}: {old.get(name)} -> {new[name]}"
        for name in ("name", "version", "splits", "num_skipped", "fingerprint")
        if old.get(name) != new[name]
    ]
    raise ValueError(
        f"{workdir} was trained on other data:\n"
        + "\n".join(changed)
        + "\nBring the files back, take another run directory, or accept the change with "
        "--allow-data-change (data_change='allow')"
    )


def write_run(
    workdir: Path,
    *,
    config: ConfigDict,
    meta: dict[str, Any],
    skipped: Sequence[tuple[str, str]],
) -> None:
    """Write meta, skipped files and config of a run that is not there yet."""
    files.write_json(workdir / "meta.json", meta)
    add_skipped(workdir, skipped)
    # Last, because it is what says that a run is here.
    files.write_text(workdir / "config.json", config_lib.to_json(config))


def describe_run(
    model: Model, *, task: str, labels: Sequence[str], data: dict[str, Any]
) -> dict[str, Any]:
    """What must travel with the weights, and what a reader will ask about them.

    Args:
        model: the network with its features.
        task: one of `data.base.source.TASKS`.
        labels: K names, in the order of the outputs.
        data: name, version, fingerprint and licence of what the weights come from, and more.
    """
    return {
        "task": task,
        "labels": list(labels),
        "model": {"name": model.name, "window_samples": model.window_samples},
        "features": features.to_json(model.features),
        "audio": versions.versions(),
        "data": data,
        "python": platform.python_version(),
        "packages": {name: importlib.metadata.version(name) for name in _PACKAGES.split()},
        "git_revision": git_revision(),
    }


def _decoded_by(source: Source) -> dict[str, str]:
    """Versions of what decodes its songs, or did so when they were prepared."""
    while isinstance(source, View):
        source = source.base
    return versions.versions(getattr(source, "files", ())) | getattr(source, "audio", {})


def describe_data(info: Info) -> dict[str, Any]:
    """What is told of a data set beside what was made of it."""
    return {
        "name": info.name,
        "version": info.version,
        "fingerprint": info.fingerprint,
        "licence": info.licence,
        "splits": {name: len(items) for name, items in info.splits.items()},
        "notes": list(info.notes),
        "num_skipped": len(info.skipped),
    }


def read_config(workdir: Path) -> ConfigDict:
    """The config of a run."""
    path = _path_of(workdir, "config.json")
    return config_lib.from_json(path.read_bytes(), name=str(path))


def read_meta(workdir: Path) -> dict[str, Any]:
    """What `describe_run` said when the run started."""
    path = _path_of(workdir, "meta.json")
    meta = documents.read(path, _META_LIKE)
    checks.choice(f"{path}: task", meta["task"], TASKS)
    checks.at_least(f"{path}: model.window_samples", meta["model"]["window_samples"], 1)
    return meta


def read_model(workdir: Path) -> Model:
    """The network of a run with its features, from the run directory alone."""
    config, meta = read_config(workdir), read_meta(workdir)
    with _naming(Path(workdir) / "meta.json"):
        settings = features.from_json(meta["features"])
    with _naming(Path(workdir) / "config.json"):
        return _network(config, meta, settings)


@contextlib.contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Name the file whose settings were refused."""
    try:
        yield
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: {error}") from error


def _network(config: ConfigDict, meta: dict[str, Any], settings: features.Features) -> Model:
    return build(
        config.model.name,
        num_labels=max(1, len(meta["labels"])),
        features=settings,
        window_s=meta["model"]["window_samples"] / settings.sample_rate_hz,
        dtype=config.model.get("dtype", "float32"),
        **config.model.args.to_dict(),
    )


def add_skipped(workdir: Path, skipped: Sequence[tuple[str, str]]) -> None:
    """Append (path, reason) rows to `skipped.csv`; the file is there even if it stays empty."""
    path = workdir / "skipped.csv"
    new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        rows = [("path", "reason"), *skipped] if new else skipped
        tables.write_rows(file, rows, line_end="\r\n")


def git_revision() -> str | None:
    """Revision of the source tree, with "+" if it has changes; None outside of git."""
    here = Path(__file__).parents[2]
    if not (here / ".git").exists():
        return None  # installed, perhaps below somebody else's repository
    command = ["git", "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty=+"]
    try:
        result = subprocess.run(command, cwd=here, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return result.stdout.strip()


def _path_of(workdir: Path, name: str) -> Path:
    files.refuse_remote("run", workdir, instead="mclf_jax.load and the commands copy it there")
    path = Path(workdir) / name
    if not path.is_file():
        raise FileNotFoundError(f"{workdir} is not a run directory: it has no {name}")
    return path
