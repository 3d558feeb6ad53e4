"""Settings of a sweep that learn without labels: what their embeddings are good for, compared."""

import dataclasses
import inspect
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from mclf_jax.common import checks
from mclf_jax.common.files import write_text
from mclf_jax.probe import ProbeResult, compare, load_result, probe
from mclf_jax.probe.opening import open_parts
from mclf_jax.probe.result import amount_of
from mclf_jax.run import restore
from mclf_jax.sweep.settings import without_seed

# Where results go is not up to the config.
_ARGUMENTS = tuple(name for name in inspect.signature(probe).parameters if name != "out")[1:]


def check_probes(probes: Mapping[str, Mapping[str, Any]]) -> None:
    """Make sure that names can be folders and that arguments can be kept.

    Raises:
        ValueError: they cannot, or `probe.probe` does not take an argument.
    """
    for name, arguments in probes.items():
        if Path(name).name != name or name == "embeddings":
            raise ValueError(
                f"probes() yields {name!r}; it must be a folder's name, but 'embeddings', where "
                "probing keeps those"
            )
        checks.only_known(f"{name!r} in probes()", arguments, _ARGUMENTS, of="probe")
        try:
            _as_text(arguments)
        except TypeError as error:
            raise ValueError(
                f"the arguments of {name!r} in probes() cannot be kept as JSON: {error}; say a "
                "data set by its name"
            ) from error


def probe_once(
    run: Path, name: str, arguments: Mapping[str, Any], *, directory: Path | None = None
) -> ProbeResult:
    """The result kept in RUN/probe/NAME if it is of these arguments, songs and checkpoint.

    Else a new one. Networks that are trained from scratch as a baseline are kept beside the runs,
    as all runs of one architecture share them.

    Args:
        run: a run directory.
        name: of the probe.
        arguments: of `probe.probe`.
        directory: where the result of a run is kept that is not of this sweep.
    """
    of_run = {"run": str(run.resolve())} if directory else {}
    directory = directory or run / "probe" / name
    kept, wanted = directory / "arguments.json", _as_text({**arguments, **of_run})
    if kept.is_file() and kept.read_text(encoding="utf-8") == wanted:
        result = load_result(directory)
        parts = open_parts(
            run,
            arguments.get("source"),
            arguments.get("arguments"),
            num_windows=arguments.get("num_windows"),
            hop_s=arguments.get("hop_s"),
        )
        same_songs = result.fingerprint == parts.source.info.fingerprint
        trained = arguments.get("encoder", "trained") == "trained"
        step = restore.best_step(run / "checkpoints") if trained else 0
        if same_songs and result.step == step:
            return result
    kept.unlink(missing_ok=True)  # until the new result is there
    shared = {"scratch_dir": run.parent / "probe_baselines"}
    result = probe(run, out=directory, **shared | dict(arguments))
    write_text(kept, wanted)
    return result


def compare_all(results: Sequence[dict]) -> str:
    """Tables of all probes as Markdown: rows are settings, seeds of one pooled; "" without any.

    Args:
        results: of `run.run`, those with "probes".
    """
    sections, notes = [], []
    results = [result for result in results if result.get("probes")]
    for name in dict.fromkeys(name for result in results for name in result["probes"]):
        found = {r["name"]: r["probes"][name] for r in results if name in r["probes"]}
        records = [record for result in found.values() for record in result.records]
        notes += [note for result in found.values() for note in result.notes]
        kinds = tuple(dict.fromkeys(r.kind for r in records if r.encoder == "trained"))
        amounts = list(dict.fromkeys(record.amount for record in records))
        for songs, fraction in amounts:
            used = f"{name}, labels: {amount_of(songs, fraction)}"
            title = name if amounts == [(0, 1.0)] else used
            methods: dict[str, list[ProbeResult]] = {}
            for setting, result in found.items():
                # Folders of runs may have one name below different ones.
                result = dataclasses.replace(result, run=setting, data=title)
                methods.setdefault(without_seed(setting) or "as configured", []).append(result)
            sections.append(
                compare(methods, kinds=kinds, fraction=fraction, songs_per_label=songs).rstrip()
            )
    if not sections:
        return ""
    how = "Probes of embeddings; ±: half of the 95 % interval of the mean over runs, seeds, folds."
    return "\n\n".join([how, *sections, *dict.fromkeys(notes)]) + "\n"


def _as_text(arguments: Mapping[str, Any]) -> str:
    def plain(value: Any) -> Any:
        if isinstance(value, range):
            return list(value)
        if isinstance(value, ConfigDict):
            return value.to_dict()
        raise TypeError(f"{value!r} is a {type(value).__name__}")

    return json.dumps(arguments, default=plain, indent=2, sort_keys=True) + "\n"
