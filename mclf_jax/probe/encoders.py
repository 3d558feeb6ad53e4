"""What turns songs into embeddings: a run's network, the same one untrained, MFCC statistics."""

import dataclasses
import functools
import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from mclf_jax import config as config_lib
from mclf_jax import objectives
from mclf_jax.audio.decode import AudioError
from mclf_jax.audio.features import Mfcc, mfcc, to_json
from mclf_jax.common import keys, parallel
from mclf_jax.data import pipeline
from mclf_jax.data.base.windows import fit_length
from mclf_jax.evaluation.evaluate import song_windows
from mclf_jax.models import Model
from mclf_jax.run.directory import read_meta
from mclf_jax.run.experiment import Experiment
from mclf_jax.run.weights import load_variables

PyTree = Any
Vectors = Iterator[tuple[np.ndarray, np.ndarray]]


@dataclasses.dataclass(frozen=True)
class Encoder:
    """Something that makes vectors of songs, and what tells it from every other such thing.

    Attributes:
        name: "trained", "untrained" or "mfcc".
        identity: of JSON types; embeddings of equal identity and equal data are equal.
        encode: songs, indices [N] -> pairs of songs int64 [b] and vectors float32 [b, D], a row for
            each window in any order. Songs that cannot be read are left out.
        num_batches: songs -> how many pairs that will be.
    """

    name: str
    identity: dict[str, Any]
    encode: Callable[[np.ndarray], Vectors]
    num_batches: Callable[[np.ndarray], int]


def trained(run: Path, parts: Experiment) -> Encoder:
    """The best checkpoint of a run, on windows of the songs of `parts`."""
    best = load_variables(run, parts.model, _mesh(parts))
    return _network("trained", parts, best["variables"], step=best["step"])


def untrained(run: Path, parts: Experiment, *, seeds: Sequence[int]) -> dict[int, Encoder]:
    """The network of a run before its first step, by seed; seeds above 0 draw other weights.

    Seed 0 is what the run itself started from: the model's part of what its objective makes of the
    key of training, `keys.stream(config.seed, "init")`; seed s is that of `config.seed + s`.
    Statistics of normalisation layers are as initialised, too.
    """
    config, task = parts.config.copy_and_resolve_references(), read_meta(run)["task"]
    # Decides nothing about weights, and may need files that are not on this machine.
    config.augment = config_lib.base().augment
    config.objective.pos_weight = "none"
    if objectives.traits(config.objective.name).takes_unlabelled:
        # They start from the same network, and one of them would want its teacher.
        config.objective.update({"name": "supervised", "args": {}})
    objective = objectives.build(
        parts.model,
        config,
        task=task,
        label_names=parts.source.info.labels,
        labels=lambda: np.zeros((1, 1)),
        total_steps=1,
    )

    @functools.partial(jax.jit, out_shardings=parallel.replicated(_mesh(parts)))
    def variables(key):
        initial = objective.init(key)
        return {"params": initial["params"]["model"], **initial["state"]["model"]}

    drawn = {seed: variables(keys.stream(config.seed + seed, "init")) for seed in seeds}
    return {seed: _network("untrained", parts, each, step=0) for seed, each in drawn.items()}


def hand_made(parts: Experiment) -> Encoder:
    """Mean and standard deviation over a song of 20 MFCCs and of their deltas: 80 numbers."""
    settings = Mfcc(sample_rate_hz=parts.model.features.sample_rate_hz, n_mfcc=20)

    def statistics(index: int) -> np.ndarray | None:
        length = parts.source.num_samples(index)
        try:
            audio = parts.source.read(index, start_sample=0, num_samples=length)
        except AudioError:
            return None
        return mfcc_statistics(audio, settings) if len(audio) else None

    def encode(songs: np.ndarray) -> Vectors:
        with ThreadPoolExecutor(parts.config.runtime.num_threads) as threads:
            for index, vector in zip(songs, threads.map(statistics, map(int, songs)), strict=True):
                if vector is None:
                    yield np.zeros(0, np.int64), np.zeros((0, 4 * settings.n_mfcc), np.float32)
                else:
                    yield np.array([index]), vector[None]

    return Encoder("mfcc", {"features": to_json(settings)}, encode, len)


def mfcc_statistics(audio: np.ndarray, settings: Mfcc) -> np.ndarray:
    """Float32 [4 n_mfcc] of a song [T]: means and deviations of coefficients, then of deltas.

    Deltas are slopes over nine frames, as librosa has them.
    """
    import librosa

    coefficients = mfcc(fit_length(audio, max(len(audio), settings.n_fft), short="tile"), settings)
    deltas = librosa.feature.delta(coefficients, axis=0, mode="nearest")
    parts = (coefficients.mean(0), coefficients.std(0), deltas.mean(0), deltas.std(0))
    return np.concatenate(parts).astype(np.float32)


def _network(name: str, parts: Experiment, variables: PyTree, *, step: int) -> Encoder:
    config, mesh, model = parts.config, _mesh(parts), parts.model
    parallel.check_batch_size(config.eval.batch_size, mesh, field="eval.batch_size")
    embed = _embedding_step(model, mesh)

    def batches(songs: np.ndarray):
        return pipeline.evaluation_batches(
            parts.source,
            song_windows(parts, songs),
            inputs=parts.inputs,
            batch_size=config.eval.batch_size,
        )

    def encode(songs: np.ndarray) -> Vectors:
        for batch in pipeline.iterate(
            batches(songs), num_threads=config.runtime.num_threads, prefetch=config.runtime.prefetch
        ):
            good = batch["valid"] > 0
            inputs = {k: batch[k] for k in ("audio", "features") if k in batch}
            vectors = jax.device_get(embed(variables, parallel.put_batch(inputs, mesh)))
            yield batch["index"][good].astype(np.int64), vectors[good]

    identity = {
        "step": step,
        "weights": _digest(variables),
        "model": config.model.to_dict(),
        "features": to_json(model.features),
        "window_samples": model.window_samples,
        "short": config.data.short,
        "num_windows": config.eval.num_windows if config.eval.hop_s is None else None,
        "hop_s": config.eval.hop_s,
    }
    return Encoder(name, identity, encode, lambda songs: len(batches(songs)))


@functools.lru_cache(maxsize=1)
def _embedding_step(model: Model, mesh: Mesh) -> Callable[..., jax.Array]:
    """(variables, batch) -> float32 [B, D], in evaluation mode, which can change no variable.

    Trained and untrained networks share what is compiled.
    """

    def step(variables, batch):
        outputs = model.module.apply(variables, model.inputs(batch), train=False)
        return outputs["embedding"].astype("float32")

    return jax.jit(step, out_shardings=parallel.replicated(mesh))


def _digest(variables: PyTree) -> str:
    """Of all weights and statistics: a run that was trained anew may have the same step."""
    content = hashlib.sha256()
    for path, leaf in jax.tree_util.tree_leaves_with_path(jax.device_get(variables)):
        content.update(jax.tree_util.keystr(path).encode() + np.asarray(leaf).tobytes())
    return content.hexdigest()


def _mesh(parts: Experiment) -> Mesh:
    return parallel.make_mesh(parts.config.runtime.num_devices)
