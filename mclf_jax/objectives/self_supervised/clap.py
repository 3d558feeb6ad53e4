"""CLAP (Elizalde et al. 2022) and MuLan (Huang et al. 2022): songs beside their words.

What is learnt are names for sounds, and no fixed list of them: any words can be asked for later.
"""

import functools

import jax
import jax.numpy as jnp

from mclf_jax.common import checks
from mclf_jax.losses.contrastive import contrast_pairs
from mclf_jax.models import frozen
from mclf_jax.models.two_towers import hears_words
from mclf_jax.objectives import network
from mclf_jax.objectives.base import Loss, Objective
from mclf_jax.objectives.context import Context
from mclf_jax.objectives.diagnostics import diagnose_one


def clap(
    context: Context,
    *,
    words: tuple[str, ...] = ("labels",),
    unseen: tuple[str, ...] = (),
    dropout: float = 0.5,
) -> Objective:
    """Symmetric InfoNCE between songs and their words, by a temperature that is learnt.

    Songs of which the same is said are no negatives of each other, in neither direction.

    Args:
        context: `model` is "two_towers".
        words: where the words of a song stand: "labels", or columns of its manifest, in whose
            cells `|` stands between phrases. Read by `data.words`, as are the next two.
        unseen: phrases that are never shown, to see later whether they are understood.
        dropout: the share of a song's phrases that is left out, drawn anew for each example.

    Raises:
        ValueError: an argument is not allowed, or the network has no text tower.
    """
    model, chains = context.model, context.chains
    for name, value in (("words", words), ("unseen", unseen)):
        if not isinstance(value, tuple) or not all(isinstance(one, str) for one in value):
            raise ValueError(
                f"objective.args.{name} is {value!r}; it must be a list, such as ['labels']"
            )
    if not words:
        raise ValueError("objective.args.words is (); it must name 'labels' or columns")
    checks.within("objective.args.dropout", dropout, 0, 1, ends="[)")
    if not hears_words(model):
        raise ValueError(
            f"model.name is {model.name!r}, which has no text tower; for objective.name 'clap' set "
            f"it to 'two_towers', and model.args.encoder to {model.name!r}"
        )

    def init(key):
        return network.init(model, key)

    def run(params, state, batch, key, *, mode):
        waveform_key, spectrogram_key, dropout_key = jax.random.split(key, 3)
        if mode == "train":
            x = network.augmented_inputs(
                model, chains, batch, waveform_key=waveform_key, spectrogram_key=spectrogram_key
            )
        else:
            x = model.inputs(batch)
        outputs, new_state = network.apply(model, params, state, x, mode=mode, key=dropout_key)
        songs, valid = outputs["embedding"], batch["valid"]
        tower = frozen.without_gradients(params["model"], model.frozen)
        variables = {"params": tower, **state["model"]}
        said = model.module.apply(variables, batch["words"], method="say")
        scale = model.module.apply(variables, method="scale")
        settings = {"scale": scale, "valid": valid, "same": batch["words_id"]}
        to_words, to_songs = contrast_pairs(songs, said, **settings)
        found = diagnose_one(songs, valid=valid)
        metrics = {
            "songs_to_words_accuracy": to_words.correct,
            "words_to_songs_accuracy": to_songs.correct,
            "temperature": jnp.broadcast_to(1 / scale, valid.shape),
            **{name: jnp.broadcast_to(value[0], valid.shape) for name, value in found.items()},
        }
        return Loss((to_words.loss + to_songs.loss) / 2, {"model": new_state}, metrics)

    loss = functools.partial(run, mode="train")
    return Objective(init, loss, functools.partial(run, mode="evaluate"))
