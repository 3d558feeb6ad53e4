"""What a config's `sweep()` and `probes()` yield: settings, which build on earlier ones.

Light, because config files import it: nothing here needs jax.
"""

import dataclasses
import inspect
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from ml_collections import ConfigDict

from mclf_jax import config as config_lib
from mclf_jax.common import checks

Setting = tuple[str, dict[str, Any]]


@dataclasses.dataclass(frozen=True)
class RunOf:
    """Stands for the run directory of an earlier setting, see `run_of`."""

    name: str

    def __str__(self) -> str:
        return self.name


def run_of(name: str) -> RunOf:
    """The run directory of the setting of this name, as a value of a later setting's changes.

    So stages follow each other: {"init.path": run_of("pretrained,seed=0")} fine-tunes, and
    {"objective.args.teacher": run_of("round1,seed=0")} makes a student the next teacher.
    """
    return RunOf(name)


ENCODER = "encoder"
"""The one change of a setting that trains nothing: its value is of `frozen`."""


@dataclasses.dataclass(frozen=True)
class Frozen:
    """Stands for an encoder that is there already, see `frozen`."""

    path: str
    read: str

    def __str__(self) -> str:
        return self.path if self.read == "trained" else f"{self.read} {self.path}"


def frozen(path: str | Path, *, read: str = "trained") -> Frozen:
    """An encoder that is not trained here: {"encoder": frozen("runs/clmr")} is a whole setting.

    It is probed as `probes()` says, and its row stands in the table of a benchmark.

    Args:
        path: of a run directory, of `mclf train` or `mclf convert`, or of an exported `.mclf` file.
        read: of it: "trained", its network; "untrained", the same before its first step; "mfcc",
            statistics of MFCCs at its sample rate, and nothing of its network.
    """
    checks.choice("read", read, ("trained", "untrained", "mfcc"))
    return Frozen(str(path), read)


def grid(fields: Mapping[str, Sequence[Any]]) -> Iterator[Setting]:
    """Every combination of values, named after what it sets; for use in a config's `sweep`.

    `grid({"features.n_mels": (48, 96), "seed": (0, 1)})` yields four settings, the first
    ("n_mels=48,seed=0", {"features.n_mels": 48, "seed": 0}).
    """
    for values in itertools.product(*fields.values()):
        changes = dict(zip(fields, values, strict=True))
        parts = [f"{field.rpartition('.')[2]}={value}" for field, value in changes.items()]
        yield ",".join(parts).replace("/", "_"), changes


def vary(words: Sequence[str], *, config: ConfigDict, num_seeds: int) -> list[Setting]:
    """The grid of "optim.learning_rate=1e-3,3e-4" and the like, with seeds from 0.

    Args:
        words: a field and its values each; a comma within brackets separates no values.
        config: whose fields and types decide what is taken.
        num_seeds: repetitions.

    Raises:
        ValueError: no field or no value, or a field is unknown or of another type.
    """
    checks.whole("--seeds", num_seeds, lowest=1)
    fields: dict[str, Sequence[Any]] = {}
    for word in words:
        field, equals, text = word.removeprefix("--config.").partition("=")
        values = _split(text)
        if not equals or not all(values):
            raise ValueError(f"--vary {word}: it must be FIELD=VALUE,VALUE")
        fields[field] = [
            config_lib.flatten(
                config_lib.apply_overrides(config, [f"--config.{field}={one}"], origin="--vary")
            )[field]
            for one in values
        ]
    if "seed" not in fields:
        fields["seed"] = range(num_seeds)
    return list(grid(fields))


def _split(text: str) -> list[str]:
    """What commas separate, but those within brackets."""
    parts, depth = [""], 0
    for letter in text:
        depth += (letter in "([{") - (letter in ")]}")
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return parts


def without_seed(name: str) -> str:
    """The name of a setting without parts such as "seed=0" or "fold_seed=1"."""
    return re.sub(r"(^|[,/])\w*seed=[^,/]*", "", name).strip(",/")


def settings_of(config_path: str) -> list[Setting]:
    """What the `sweep()` of a config file yields.

    It is given what follows the colon in "configs/x.py:arg", as `get_config` is, if it takes it.

    Raises:
        ValueError: no such function, no settings, or two of one name.
    """
    path, _, arg = config_path.partition(":")
    module = config_lib.load_module(path)
    if not hasattr(module, "sweep"):
        raise ValueError(
            f"{path} defines no sweep(), which yields (name, overrides), and no --vary says what "
            "to sweep"
        )
    settings = [(str(name), dict(changes)) for name, changes in _call(module, "sweep", arg)]
    if not settings:
        raise ValueError(f"sweep() of {path} yields nothing")
    names = [name for name, _ in settings]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"sweep() of {path} yields these names more than once: {', '.join(twice)}")
    return settings


def probes_of(config_path: str) -> dict[str, dict[str, Any]]:
    """What the `probes()` of a config file yields, (name, arguments of `probe.probe`); or nothing.

    Raises:
        ValueError: two of one name.
    """
    path, _, arg = config_path.partition(":")
    module = config_lib.load_module(path)
    found = list(_call(module, "probes", arg)) if hasattr(module, "probes") else []
    probes = {str(name): dict(arguments) for name, arguments in found}
    if len(probes) < len(found):
        raise ValueError(f"probes() of {path} yields a name more than once")
    return probes


def resolve(
    config: ConfigDict, settings: Sequence[Setting], *, workdir: Path
) -> list[tuple[dict[str, Any], ConfigDict]]:
    """Changes with paths in place of `RunOf`, and the config with them, of every setting.

    An encoder that is there changes nothing.
    """
    names = [name for name, _ in settings]
    found: list[tuple[dict[str, Any], ConfigDict]] = []
    for number, (name, changes) in enumerate(settings):
        if ENCODER in changes:
            if len(changes) > 1 or not isinstance(changes[ENCODER], Frozen):
                raise ValueError(
                    f"{name}: {ENCODER} is a setting of its own, of sweep.frozen(PATH), and "
                    f"nothing is trained that other fields would change; got {changes}"
                )
            found.append(({}, config))
            continue
        for field, value in changes.items():
            if isinstance(value, RunOf) and value.name not in names[:number]:
                why = "comes later" if value.name in names[number:] else "is no setting"
                earlier = ", ".join(names[:number]) or "none"
                raise ValueError(
                    f"{name}: {field} is run_of({value.name!r}), which {why}; before it come: "
                    f"{earlier}"
                )
        paths = {
            field: str(workdir / value.name) if isinstance(value, RunOf) else value
            for field, value in changes.items()
        }
        found.append((paths, config_lib.override(config, paths)))
    return found


def _call(module: ModuleType, name: str, arg: str) -> Iterator:
    """What a function of a config file yields, given the config's argument if it takes one."""
    function = getattr(module, name)
    return function(arg or None) if inspect.signature(function).parameters else function()
