"""Our losses and augmentations in a JAX loop of one's own: contrastive learning in forty lines.

    python jax_loop.py SONGS

No config, no run directory: songs are read, windows are cut, augmented on the device, encoded by a
network of the library and compared by NT-Xent. Take any of these parts and leave the others.
"""

import argparse
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax

import mclf_jax as mclf

RATE_HZ = 16000


def train_in_a_loop(
    songs: str,
    *,
    steps: int = 500,
    batch_size: int = 16,
    window_s: float = 3.0,
    n_channels: int = 16,
    seed: int = 0,
) -> list[float]:
    """Returns the loss of each step."""
    files = sorted(path for path in Path(songs).rglob("*") if path.suffix in (".wav", ".ogg"))
    audio = [mclf.read_audio(file, sample_rate_hz=RATE_HZ) for file in files]
    model = mclf.build_model(
        "short_chunk_cnn",
        num_labels=1,  # nobody asks for its scores
        features={"sample_rate_hz": RATE_HZ, "n_mels": 64, "hop_length": 256},
        window_s=window_s,
        n_channels=n_channels,
        num_blocks=5,
    )
    augment = mclf.augment.compose(
        [
            mclf.augment.Gain(min_db=-12, max_db=0),
            mclf.augment.random_apply(mclf.augment.PolarityInversion(), p=0.5),
            mclf.augment.random_apply(mclf.augment.Noise(min_snr_db=10, max_snr_db=40), p=0.5),
        ]
    )
    optimizer = optax.adam(1e-3)

    def loss_of(params, batch_stats, waveforms, key):
        keys = jax.random.split(key, 3)
        views = jnp.concatenate([augment(keys[0], waveforms), augment(keys[1], waveforms)])
        outputs, new = model.apply_train(
            params, {"batch_stats": batch_stats}, model.features(views), key=keys[2]
        )
        a, b = jnp.split(outputs["embedding"], 2)
        loss = mclf.losses.nt_xent(a, b, temperature=0.2).mean()
        return loss, new["batch_stats"]

    @jax.jit
    def step(params, batch_stats, optimizer_state, waveforms, key):
        grad = jax.value_and_grad(loss_of, has_aux=True)
        (loss, batch_stats), gradients = grad(params, batch_stats, waveforms, key)
        updates, optimizer_state = optimizer.update(gradients, optimizer_state)
        return optax.apply_updates(params, updates), batch_stats, optimizer_state, loss

    root = jax.random.key(seed)
    variables = model.init(root)
    params, batch_stats = variables["params"], variables["batch_stats"]
    optimizer_state = optimizer.init(params)
    rng, losses = np.random.default_rng(seed), []
    for number in range(steps):
        chosen = rng.choice(len(audio), size=batch_size, replace=len(audio) < batch_size)
        waveforms = jnp.stack([_window(audio[i], model.window_samples, rng) for i in chosen])
        key = jax.random.fold_in(root, number)
        params, batch_stats, optimizer_state, loss = step(
            params, batch_stats, optimizer_state, waveforms, key
        )
        losses.append(float(loss))
        if number % 50 == 0:
            print(f"step {number}: loss {losses[-1]:.3f}")
    return losses


def _window(song: np.ndarray, length: int, rng: np.random.Generator) -> np.ndarray:
    """A window of a song; a song that is shorter is padded with silence."""
    start = rng.integers(max(1, len(song) - length + 1))
    window = song[start : start + length]
    return np.pad(window, (0, length - len(window)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("songs")
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--window-s", type=float, default=3.0)
    print(train_in_a_loop(**vars(parser.parse_args()))[-1])
