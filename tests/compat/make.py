"""What earlier versions left behind, and how: `python -m tests.compat.make VERSION`.

Run it with the code of that version (git worktree add; this file copied into its tests). It writes
songs, a run that finished, runs stopped half way, a prepared data set, and what that version made
of them, below `tests/compat/VERSION`. Nothing of that is ever changed: it is what users have.
"""

import contextlib
import hashlib
import os
import shutil
import sys
from pathlib import Path

import jax
import numpy as np
import orbax.checkpoint as ocp
import soundfile
from ml_collections import ConfigDict

import mclf_jax
from mclf_jax import config as config_lib
from mclf_jax.train import train

RATE_HZ = 2000
LABELS = ("high", "low", "middle")
STEPS, STOPPED_AT = 20, 7  # evaluated every 5: stopped between two evaluations

# Everything that a step draws: windows, augmentation, dropout. One device, so that sums have
# one order on every machine.
_SHARED = {
    "seed": 3,
    "data.name": "folder",
    "data.args.path": "songs",
    "features.sample_rate_hz": 1000,
    "features.n_fft": 64,
    "features.hop_length": 32,
    "features.n_mels": 8,
    "augment.gain_db": 6.0,
    "augment.num_time_masks": 1,
    "model.args.n_channels": 2,
    "model.args.num_blocks": 1,
    "model.args.dropout_rate": 0.5,
    "model.window_s": 0.5,
    "optim.learning_rate": 1e-2,
    "optim.schedule": "cosine",
    "train.batch_size": 8,
    "train.num_steps": STEPS,
    "eval.every_steps": 5,
    "eval.batch_size": 8,
    "eval.num_windows": 2,
    "runtime.num_devices": 1,
    "runtime.progress": "off",
}
_SEMI = {"data.songs_per_label": 2, "unlabelled.splits": ("unlabelled", "train")}
# What each run changes; together they hold every kind of state that a checkpoint may have.
RUNS = {
    "supervised": {
        "optim.name": "adamw",
        "optim.ema_decay": 0.9,
        "optim.grad_clip_norm": 1.0,
        "augment.chain": (("noise", 0.5, {}), ("polarity_inversion", 0.5, {})),
        "augment.mixup_alpha": 0.3,
    },
    "phases": {
        "data.num_folds": 3,
        "data.fold": 1,
        "optim.schedule": "constant",
        "optim.phases": ((1.0, "adam", 1e-3), (3.0, "sgd", 1e-4)),
        "optim.layer_decay": 0.5,
        "objective.label_smoothing": 0.1,
    },
    "simclr": {"objective.name": "simclr", "objective.args.projector": (8, 4)},
    "moco": {
        "objective.name": "moco",
        "objective.args.queue_size": 32,
        "objective.args.dim": 4,
        "objective.args.momentum": 0.5,
    },
    "mean_teacher": _SEMI
    | {
        "objective.name": "consistency",
        "objective.args.teacher": "ema",
        "objective.args.momentum": 0.5,
    },
    "noisy_student": _SEMI
    | {"objective.name": "noisy_student", "objective.args.teacher": "runs/supervised"},
}


def config_of(name: str) -> ConfigDict:
    """Of one of `RUNS`; its paths are relative to the folder of the version."""
    changes = _SHARED | {"optim.name": "sgd"} | RUNS[name]
    config = config_lib.override(
        config_lib.base(), {field: v for field, v in changes.items() if ".args." not in field}
    )
    for field, value in changes.items():
        section, _, argument = field.partition(".args.")
        if argument:
            config[section].args[argument] = value
    return config_lib.validate(config)


def song(number: int) -> np.ndarray:
    """Float32 [T], a tone with a little noise; label number % 3."""
    rng = np.random.default_rng(number)
    seconds = np.arange(RATE_HZ + 100 * number) / RATE_HZ
    tone = np.sin(2 * np.pi * (400, 60, 150)[number % 3] * seconds * rng.uniform(0.9, 1.1))
    return (0.5 * tone + 0.1 * rng.standard_normal(len(tone))).astype(np.float32)


def write_songs(root: Path) -> None:
    for number in range(24):
        path = root / LABELS[number % 3] / f"{number}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, song(number), RATE_HZ, subtype="PCM_16")


def state_of(run: Path) -> dict[str, np.ndarray]:
    """Every array of a run's last checkpoint, by name."""
    latest = max((run.absolute() / "checkpoints" / "latest").iterdir(), key=lambda p: int(p.name))
    with ocp.PyTreeCheckpointer() as checkpointer:
        tree = checkpointer.metadata(latest / "state").item_metadata.tree
        as_numpy = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), tree)
        state = checkpointer.restore(latest / "state", restore_args=as_numpy)
    leaves = jax.tree_util.tree_leaves_with_path(state)
    return {jax.tree_util.keystr(path, simple=True, separator="."): leaf for path, leaf in leaves}


def heard(run: str) -> dict[str, np.ndarray]:
    """Scores and embeddings of songs that no run has heard, and the test split's report."""
    tagger = mclf_jax.load(run)
    songs = [song(number) for number in (24, 25, 26)]
    scores = tagger.predict(songs, sample_rate_hz=RATE_HZ)
    report = mclf_jax.evaluate(run, split="test")
    metrics = {f"metric.{name}": value for name, value in report.metrics.items()}
    return {
        "predict": np.array([list(row.values()) for row in scores], np.float32),
        "labels": np.array(list(scores[0])),
        "embed": tagger.embed(songs, sample_rate_hz=RATE_HZ),
        "file": np.array(list(tagger.predict("songs/low/1.wav").values()), np.float32),
        "items": np.array(report.items),
        "scores": report.scores,
        "targets": report.targets,
        **{name: np.asarray(value) for name, value in metrics.items()},
    }


def read_prepared(path: str) -> dict[str, np.ndarray]:
    """All that a prepared data set holds, at its own rate."""
    source = mclf_jax.data.build("prepared", path=path, sample_rate_hz=1000)
    info = source.info
    audio = np.concatenate([source[i]["audio"] for i in range(len(source))])
    return {
        "audio": np.array(hashlib.sha256(audio.tobytes()).hexdigest()),
        "lengths": np.array([source.num_samples(i) for i in range(len(source))]),
        "label": source.labels,
        "items": np.array([source.item_id(i) for i in range(len(source))]),
        "labels": np.array(info.labels),
        "groups": np.array(info.groups),
        "fingerprint": np.array(info.fingerprint),
        **{f"split.{name}": indices for name, indices in info.splits.items()},
    }


@contextlib.contextmanager
def _stopping_after(steps: int):
    """A run is asked to stop after so many steps, as by a signal."""
    loop = sys.modules[train.__module__]
    before = loop.stop_requests

    @contextlib.contextmanager
    def stop_requests():
        asked = iter(range(1, steps + 1))
        yield lambda: "asked" if next(asked, steps) == steps else None

    loop.stop_requests = stop_requests
    yield
    loop.stop_requests = before


def _make(root: Path) -> None:
    from mclf_jax.cli import main

    root.mkdir(parents=True)
    os.chdir(root)
    write_songs(Path("songs"))
    arrays = {}
    for name in RUNS:
        run = Path("runs") / name
        with _stopping_after(STOPPED_AT):
            assert train(config_of(name), workdir=run).step == STOPPED_AT
        shutil.copytree(run, f"stopped/{name}")
        assert train(config_of(name), workdir=run).status == "finished"
        arrays |= {f"state.{name}.{key}": leaf for key, leaf in state_of(run).items()}
    arrays |= {f"heard.{key}": value for key, value in heard("runs/supervised").items()}
    words = "data prepare folder --from songs --out prepared --sample_rate_hz 1000 --workers 1"
    assert not main(words.split())
    arrays |= {f"prepared.{key}": value for key, value in read_prepared("prepared").items()}
    np.savez_compressed("expected.npz", **arrays)
    for name in set(RUNS) - {"supervised"}:
        shutil.rmtree(f"runs/{name}")
    # To keep it small: what nothing goes on from, and what nothing reads.
    older = [*Path("stopped").glob("*/checkpoints/latest/5")]
    older += [Path("runs/supervised/checkpoints/latest/15")]
    for folder in [*older, *Path().rglob("tensorboard")]:
        shutil.rmtree(folder)
    for path in Path().rglob("commit_success.txt"):
        path.write_text(path.read_text().replace(f"{root}/", ""))


if __name__ == "__main__":
    _make(Path(__file__).parent.absolute() / sys.argv[1])
