"""`mclf configs`, `doctor` and `completion`: what is here, and whether it works."""

import argparse
import importlib.metadata
import importlib.util
import io
import json
import os
import platform
import shutil
from pathlib import Path
from typing import Any

from mclf_jax.cli import flags

_PACKAGES = "mclf-jax jax jaxlib flax optax orbax-checkpoint grain numpy scipy soundfile soxr"
_FORMATS = {"WAV": "PCM_16", "FLAC": "PCM_16", "OGG": "VORBIS", "MP3": "MPEG_LAYER_III"}
# What needs a package that is not installed with the others: feature, module, extra.
_EXTRAS = (
    ("training, evaluation, pages", "sklearn", "train"),
    ("weights of PyTorch (mclf convert x.pth)", "torch", "torch"),
    ("ONNX (mclf export --to onnx)", "jax2onnx", "onnx"),
    ("m4a, AAC, ALAC, WMA, WebM", "av", "av"),
    ("tags in files (mclf predict --write-tags)", "mutagen", "tags"),
    ("tables in Parquet (mclf predict --out)", "pyarrow", "parquet"),
    ("NVIDIA GPUs", "jax_cuda13_plugin", "cuda"),
    ("TPUs", "libtpu", "tpu"),
    ("collaborative filtering (pretext_listening)", "implicit", "listening"),
    ("mclf data prepare --beam, mclf catalogue --beam", "apache_beam", "beam"),
    ("catalogues (mclf catalogue, similar, search)", "pyarrow", "catalogue"),
    ("preparing TensorFlow Datasets' own audio", "tensorflow", "tfds"),
    ("runtime.writers wandb", "wandb", "wandb"),
    ("runtime.writers mlflow", "mlflow", "mlflow"),
)
_VARIABLES = (
    "CUDA_VISIBLE_DEVICES JAX_PLATFORMS JAX_COMPILATION_CACHE_DIR JAX_COORDINATOR_ADDRESS "
    "JAX_NUM_PROCESSES JAX_PROCESS_ID XLA_FLAGS XLA_PYTHON_CLIENT_MEM_FRACTION XDG_CACHE_HOME "
    "WANDB_MODE WANDB_PROJECT MLFLOW_TRACKING_URI MLFLOW_EXPERIMENT_NAME"
)


def add_commands(commands: Any) -> None:
    """Declare them."""
    configs = flags.add_command(
        commands, _configs, examples=("mclf configs", "mclf configs folder")
    )
    configs.add_argument("name", nargs="?", help="of one, to read all that it says of itself")

    doctor = flags.add_command(commands, _doctor, examples=("mclf doctor",))
    doctor.add_argument("--format", default="text", choices=("text", "json"))

    completion = flags.add_command(
        commands,
        _completion,
        examples=(
            "mclf completion bash > ~/.local/share/bash-completion/completions/mclf",
            "mclf completion zsh > ~/.zfunc/_mclf",
        ),
    )
    completion.add_argument("shell", choices=("bash", "zsh", "tcsh"))


def _configs(arguments: argparse.Namespace) -> None:
    """List the config files that ship, or show one with the arguments that it takes."""
    from mclf_jax.config import library

    if arguments.name:
        print(library.describe(arguments.name))
        return
    for name in library.names():
        print(f"{name:<26} {library.title(name)}")
    print("\n`mclf configs NAME` shows one; `mclf train --config NAME --workdir RUN` trains it.")


def _doctor(arguments: argparse.Namespace) -> int:
    """Say what is installed, which devices JAX sees, which audio can be read, where caches are,
    and what is missing for which feature. Exit code 1 if something does not work."""
    found = examine()
    print(as_json(found) if arguments.format == "json" else as_text(found))
    return 0 if is_well(found) else 1


def _completion(arguments: argparse.Namespace) -> None:
    """Print the script that lets a shell complete commands, flags and choices."""
    import shtab

    print(shtab.complete(arguments.parser, shell=arguments.shell))


def examine() -> dict[str, Any]:
    """Everything that `as_text` shows, of JSON types; what failed is a text under "error"."""
    from mclf_jax.common import files

    cache = files.cache_folder()
    return {
        "python": f"{platform.python_version()} ({platform.platform()})",
        "packages": {name: _version(name) for name in _PACKAGES.split()},
        "cores": {"usable": _usable_cores(), "of": os.cpu_count()},
        "devices": _devices(),
        "cluster": _cluster(),
        "audio": {name: _try_format(name, subtype) for name, subtype in _FORMATS.items()},
        "cache": {"path": str(cache), "megabytes": _megabytes(cache)},
        "free_gigabytes": {
            where: round(shutil.disk_usage(where).free / 1e9, 1)
            for where in (str(Path.cwd()), "/dev/shm")
            if os.path.isdir(where)
        },
        "extras": {
            feature: "installed" if importlib.util.find_spec(module) else f"mclf-jax[{extra}]"
            for feature, module, extra in _EXTRAS
        },
        "environment": {n: os.environ[n] for n in _VARIABLES.split() if n in os.environ},
    }


def is_well(found: dict[str, Any]) -> bool:
    """Whether all that training and prediction need works."""
    parts = (found["devices"], *found["audio"].values())
    return None not in found["packages"].values() and not any("error" in part for part in parts)


def as_json(found: dict[str, Any]) -> str:
    """For a bug report that a program reads."""
    return json.dumps(found, indent=2)


def as_text(found: dict[str, Any]) -> str:
    """For people."""
    cores, devices = found["cores"], found["devices"]
    lines = [f"python      {found['python']}"]
    lines += [
        f"{'packages' if i == 0 else '':<12}{name} {version or 'MISSING'}"
        for i, (name, version) in enumerate(found["packages"].items())
    ]
    lines.append(f"cores       {cores['usable']} of {cores['of']} may be used")
    seen = devices.get("error") or f"{devices['count']} x {devices['kind']} ({devices['platform']})"
    lines.append(f"devices     {seen}")
    lines.append(f"cluster     {found['cluster']}")
    for i, (name, one) in enumerate(found["audio"].items()):
        says = one.get("error") or f"written and read, {one['decoder']}"
        lines.append(f"{'audio' if i == 0 else '':<12}{name:<5} {says}")
    lines.append(f"cache       {found['cache']['path']} ({found['cache']['megabytes']:.1f} MB)")
    for i, (where, free) in enumerate(found["free_gigabytes"].items()):
        lines.append(f"{'free disk' if i == 0 else '':<12}{free} GB at {where}")
    for i, (feature, state) in enumerate(found["extras"].items()):
        says = state if state == "installed" else f"pip install '{state}'"
        lines.append(f"{'extras' if i == 0 else '':<12}{feature:<48}{says}")
    for i, (name, value) in enumerate(found["environment"].items()):
        lines.append(f"{'environment' if i == 0 else '':<12}{name}={value}")
    well = "everything that training and prediction need works"
    lines.append(well if is_well(found) else "something above does not work")
    return "\n".join(lines)


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _usable_cores() -> int | None:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def _devices() -> dict[str, Any]:
    try:
        import jax
        import jax.numpy as jnp

        devices = jax.devices()
        jnp.ones(2).sum().block_until_ready()
    except Exception as error:  # whatever a driver says
        return {"error": f"{type(error).__name__}: {error}".splitlines()[0]}
    first = devices[0]
    return {"count": len(devices), "kind": first.device_kind, "platform": first.platform}


def _cluster() -> str:
    from mclf_jax.common import parallel

    try:
        found = parallel.cluster()
    except Exception as error:  # whatever a cluster's service says
        return f"{type(error).__name__}: {error}".splitlines()[0]
    if found is None:
        return "none; one process with all devices"
    which = f"process {found['process_id']} of {found['num_processes']}"
    return f"{found['kind']}: {which}, which --distributed joins"


def _try_format(name: str, subtype: str) -> dict[str, Any]:
    try:
        import numpy as np
        import soundfile

        sound = np.sin(np.arange(22050) / 10).astype(np.float32)
        file = io.BytesIO()
        soundfile.write(file, sound, 22050, format=name, subtype=subtype)
        file.seek(0)
        read, _ = soundfile.read(file, dtype="float32")
        if len(read) < len(sound):
            return {"error": f"{len(read)} of {len(sound)} samples came back"}
        return {"decoder": soundfile.__libsndfile_version__}
    except Exception as error:  # also of a library that cannot be loaded
        return {"error": f"{type(error).__name__}: {error}".splitlines()[0]}


def _megabytes(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6
