"""Start from what was trained before: load the parts that fit, and say what became of each."""

import dataclasses
import itertools
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from mclf_jax.common.storage.working import on_storage
from mclf_jax.models import Model, architecture
from mclf_jax.models.layers.opinion import COLLECTION
from mclf_jax.models.names import matches, name_of, path_of, rename, variables_in_call_order
from mclf_jax.train.pretrained import Pretrained, read

PyTree = Any
_SHOWN = 8  # names, where there may be any number


class Part(NamedTuple):
    """What became of a variable of the new network.

    Attributes:
        module: of the network's top level, "layer1".
        name: of the variable, "layer1.conv.kernel".
        collection: "params" for parameters; others are statistics.
        size: how many numbers it is.
        outcome: "loaded", "renamed", "skipped" (there, but it does not fit) or "new" (not there,
            or of the last layer for other labels); what is skipped or new keeps the value that it
            was initialised with.
        detail: from where, or why.
    """

    module: str
    name: str
    collection: str
    size: int
    outcome: str
    detail: str = ""


@dataclasses.dataclass(frozen=True)
class Loaded:
    """The variables to start from, and how they came about.

    Attributes:
        variables: of the new network, as arrays on the host.
        origin: what was loaded.
        report: a `Part` for each variable, in the order in which the network calls them.
        unused: names in the origin that went nowhere.
        notes: differences that may be meant.
    """

    variables: PyTree
    origin: str
    report: tuple[Part, ...]
    unused: tuple[str, ...]
    notes: tuple[str, ...]

    def num_parameters(self) -> dict[str, int]:
        """By outcome."""
        counts: Counter[str] = Counter()
        for part in self.report:
            counts[part.outcome] += part.size if part.collection == "params" else 0
        return dict(counts)

    def text(self) -> str:
        """A table for people: modules of like outcome, and how many parameters they have."""
        rows = [("part", "parameters", "statistics", "")]
        for (outcome, detail), parts in itertools.groupby(_by_module(self.report), _outcome):
            parts = list(parts)
            modules = list(dict.fromkeys(part.module for part in parts))
            sizes = [
                sum(part.size for part in parts if (part.collection == "params") == is_parameter)
                for is_parameter in (True, False)
            ]
            rows.append(
                (
                    modules[0] if len(modules) == 1 else f"{modules[0]} ... {modules[-1]}",
                    f"{sizes[0]:,}",
                    f"{sizes[1]:,}" if sizes[1] else "",
                    f"{outcome}: {detail}" if detail else outcome,
                )
            )
        widths = [max(len(row[column]) for row in rows) for column in range(3)]
        counts = self.num_parameters()
        taken = counts.get("loaded", 0) + counts.get("renamed", 0)
        lines = [f"starting from {self.origin}: {taken:,} of {sum(counts.values()):,} parameters"]
        lines += [
            f"  {part:<{widths[0]}}  {size:>{widths[1]}}  {other:>{widths[2]}}  {what}".rstrip()
            for part, size, other, what in rows
        ]
        if self.unused:
            lines.append(f"  not used: {_some(self.unused)}")
        return "\n".join([*lines, *(f"  note: {note}" for note in self.notes)])


@on_storage("path")
def initialise(
    variables: PyTree,
    path: str | Path,
    *,
    model: Model,
    task: str,
    labels: Sequence[str],
    renames: Mapping[str, str] | Sequence[tuple[str, str]] = (),
    other_features: str = "refuse",
) -> Loaded:
    """Fresh variables of a network, with those of a run or of a file of weights where they fit.

    A variable of the same name and shape is loaded, statistics too. The last layer is loaded only
    if it was trained for the same task and the same labels in the same order: of a self-supervised
    run never, nor of a file of weights, which does not say its labels.

    Args:
        variables: fresh ones of the network's module.
        path: of a run directory of `mclf train` or `mclf convert`, whose best checkpoint is taken,
            or of a file of weights (.pth, .safetensors, .npz) under published keys.
        model: the network.
        task: one of `data.base.source.TASKS`.
        labels: K names, in the order of the outputs.
        renames: {"encoder.*": "layer*"}, from names there to names here, see
            `models.names.rename`; "" leaves something out. Files of weights have published keys
            ("layer1.conv.weight"), also here.
        other_features: "refuse" or "allow" weights that were trained on other features.

    Raises:
        FileNotFoundError: there is nothing, or no checkpoint in the run yet.
        ValueError: of another architecture or other features, nothing fits, or a rename that does
            nothing or gives two variables one name; the message names the fields.
    """
    pretrained = read(path, model=model, other_features=other_features)
    stored = _renamed(pretrained, dict(renames))
    new_head = _why_new_head(pretrained, task=task, labels=labels)
    head = architecture(model.name).head

    loaded: dict[tuple[str, ...], np.ndarray] = {}
    report, used = [], set()
    for variable, leaf in variables_in_call_order(model).items():
        wanted = pretrained.name(variable)
        original = stored.get(wanted)
        found = None if original is None else pretrained.turn(variable, pretrained.arrays[original])
        used.add(original)
        outcome, detail = "loaded", ""
        if new_head and matches(name_of(variable[1:]), head):
            outcome, detail = "new", new_head
        elif found is None:
            outcome, detail = "new", "not there"
        elif found.shape != leaf.shape:
            name = name_of(variable[2:]) or variable[1]
            outcome = "skipped"
            detail = f"{name} is {list(found.shape)} there and {list(leaf.shape)} here"
        elif original != wanted:
            outcome, detail = "renamed", f"from {_common(original, wanted)}"
        if outcome in ("loaded", "renamed"):
            loaded[variable] = found.astype(leaf.dtype)
        name = name_of(variable[1:])
        part = Part(variable[1], name, variable[0], math.prod(leaf.shape), outcome, detail)
        if variable[0] != COLLECTION or outcome == "loaded":  # which is fitted to songs of its own
            report.append(part)
    if not loaded:
        raise ValueError(
            f"init.path: nothing in {pretrained.origin} fits {model.name}; it has "
            f"{_some(tuple(pretrained.arrays))}. See model.name, model.args and init.rename"
        )

    fresh = jax.device_get(variables)
    return Loaded(
        variables=jax.tree_util.tree_map_with_path(
            lambda key_path, leaf: loaded.get(path_of(key_path), leaf), fresh
        ),
        origin=pretrained.origin,
        report=tuple(report),
        unused=tuple(name for name in pretrained.arrays if name not in used),
        notes=pretrained.notes,
    )


def starting_from(model: Model, variables: PyTree) -> Model:
    """The same network, whose `init` gives these variables.

    So whatever an objective derives from fresh variables, such as the network that follows in
    BYOL, starts from them too.
    """
    fields = {field.name: getattr(model, field.name) for field in dataclasses.fields(Model)}
    return _Started(**fields, variables=variables)


@dataclasses.dataclass(frozen=True)
class _Started(Model):
    variables: PyTree = dataclasses.field(default=None, compare=False, repr=False)

    def init(self, key: jax.Array) -> dict[str, Any]:
        return dict(self.variables)


def _renamed(pretrained: Pretrained, renames: Mapping[str, str]) -> dict[str, str]:
    """new name -> original name."""
    stored: dict[str, str] = {}
    for original in pretrained.arrays:
        if (name := rename(original, renames)) is None:
            continue
        if name in stored:
            raise ValueError(
                f"init.rename gives {stored[name]} and {original} the same name, {name}; leave "
                f"one of them out with ({original!r}, '')"
            )
        stored[name] = original
    for old in renames:
        if all(rename(original, {old: ""}) is not None for original in pretrained.arrays):
            raise ValueError(
                f"init.rename has {old!r}, of which there is nothing in {pretrained.origin}; it "
                f"has {_some(tuple(pretrained.arrays))}"
            )
    return stored


def _why_new_head(pretrained: Pretrained, *, task: str, labels: Sequence[str]) -> str:
    """Empty if the last layer may be loaded."""
    if isinstance(pretrained.labels, str):
        return pretrained.labels
    old_task, old_labels = pretrained.labels
    if old_task != task:
        return f"for task {task}, was for {old_task}"
    if sorted(old_labels) == sorted(labels) and tuple(old_labels) != tuple(labels):
        return "the labels are the same in another order"
    if tuple(old_labels) != tuple(labels):
        return f"for other labels ({len(labels)}, was for {len(old_labels)})"
    return ""


def _by_module(report: Sequence[Part]) -> list[Part]:
    """Parameters and statistics of a module side by side, and like outcomes too."""
    modules = list(dict.fromkeys(part.module for part in report))
    first: dict[str, str] = {}
    like = []
    for part in report:
        if part.outcome == "skipped":  # of many in a module, the first one stands for all
            part = part._replace(detail=first.setdefault(part.module, part.detail))
        like.append(part)
    return sorted(like, key=lambda part: (modules.index(part.module), _outcome(part)))


def _outcome(part: Part) -> tuple[str, str]:
    return part.outcome, part.detail


def _common(original: str, wanted: str) -> str:
    """The original name without what has stayed at its end: "conv1" of conv1.bias."""
    old, new = original.split("."), wanted.split(".")
    while len(old) > 1 and len(new) > 1 and old[-1] == new[-1]:
        old.pop()
        new.pop()
    return ".".join(old)


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
