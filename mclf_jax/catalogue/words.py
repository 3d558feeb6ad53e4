"""How much songs of a catalogue have of any words, by a network that was trained beside words."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mclf_jax.catalogue.folder import Catalogue
from mclf_jax.catalogue.load import tagger_of
from mclf_jax.export.bundle import with_words
from mclf_jax.models.two_towers import HEAD


def scores_by_words(
    catalogue: Catalogue, words: Sequence[str], *, run: Any = None
) -> Callable[[np.ndarray], np.ndarray]:
    """What gives scores [N, K] of embeddings [N, D] of songs.

    As `models.two_towers.with_words` scores a window, but of the mean of a song's windows: where
    `mclf predict --words` takes the mean of their scores, a song of unlike parts has another one.

    Args:
        catalogue: of songs.
        words: K phrases.
        run: where its network is now, if it has moved.

    Raises:
        FileNotFoundError: the network is not there any more.
        ValueError: it knows no words, or the embeddings are of a layer before the common space.
    """
    layer = catalogue.network.how.get("layer")
    if layer not in (None, "embedding"):
        raise ValueError(
            f"{catalogue.folder} has embeddings of the layer {layer!r}, which words are not "
            "compared with; make one without --layer"
        )
    bundle = with_words(tagger_of(catalogue.network, run=run).bundle, words)
    asked = bundle.variables[0]["params"][HEAD]
    kernel, bias = np.asarray(asked["kernel"]), np.asarray(asked["bias"])
    return lambda embeddings: 1 / (1 + np.exp(-(embeddings @ kernel + bias)))
