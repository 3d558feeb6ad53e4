"""Vectors of words that are made without hearing anything: of tags, phrases and captions."""

import hashlib
import importlib
import re
import unicodedata
from collections.abc import Sequence

import numpy as np

NGRAMS, SENTENCES = "ngrams", "sentence_transformers:"
"""Text encoders: hashed n-grams of letters, and models of that package by name or folder."""
_LENGTHS = (3, 4, 5)
_WORD = re.compile(r"[^\W_]+")


def vectors_of(texts: Sequence[str], *, encoder: str = NGRAMS, size: int = 512) -> np.ndarray:
    """Float32 [N, size], each of length 1.

    "ngrams" knows nothing of meaning: a text is the mean of its words, a word that of itself and of
    its sequences of 3 to 5 letters, as in fastText (Bojanowski et al. 2017), and each of those is
    `size` signs that are drawn by its hash. So texts that share words, or parts of words, are near
    to each other, and all others are nearly orthogonal; the same on every machine.
    "sentence_transformers:NAME" asks a model of that package, which does know.

    Args:
        texts: N of them; case does not count, nor do `_` and punctuation.
        encoder: "ngrams" or "sentence_transformers:NAME", NAME or folder.
        size: of "ngrams" any multiple of 8, of a model its own.

    Raises:
        ImportError: the package of the model is not installed.
        ValueError: there is no such encoder, it has another size, or a text says nothing.

    >>> a, b, c = vectors_of(["slow piano", "piano", "drums"])
    >>> bool(a @ b > 0.6 > 0.3 > abs(a @ c))
    True
    """
    plain = [" ".join(_WORD.findall(unicodedata.normalize("NFKC", text))) for text in texts]
    if empty := [text for text, words in zip(texts, plain, strict=True) if not words]:
        raise ValueError(f"{empty[0]!r} has no letters and no numbers, so it says nothing")
    if encoder == NGRAMS:
        return np.stack([_of_words(text.casefold().split(), size) for text in plain])
    if not encoder.startswith(SENTENCES):
        raise ValueError(
            f"model.args.text_encoder is {encoder!r}; allowed: {NGRAMS}, {SENTENCES}NAME"
        )
    return _of_sentences(plain, encoder.removeprefix(SENTENCES), size)


def _of_words(words: Sequence[str], size: int) -> np.ndarray:
    return _unit(np.sum([_unit(_of_parts(f"<{word}>", size)) for word in words], axis=0))


def _of_parts(word: str, size: int) -> np.ndarray:
    starts = range(len(word))
    parts = {word[i : i + n] for n in _LENGTHS for i in starts if i + n <= len(word)} | {word}
    digests = [hashlib.shake_128(part.encode()).digest(-(-size // 8)) for part in sorted(parts)]
    bits = np.unpackbits(np.frombuffer(b"".join(digests), np.uint8).reshape(len(parts), -1), axis=1)
    return (2.0 * bits[:, :size] - 1).sum(axis=0)


def _of_sentences(texts: Sequence[str], name: str, size: int) -> np.ndarray:
    try:
        package = importlib.import_module("sentence_transformers")
    except ModuleNotFoundError as error:
        raise ImportError(
            f"model.args.text_encoder is '{SENTENCES}{name}', which needs sentence-transformers: "
            "pip install 'mclf-jax[words]'"
        ) from error
    model = package.SentenceTransformer(name, device="cpu")
    found = np.asarray(model.encode(list(texts), normalize_embeddings=True), np.float32)
    if found.shape[1] != size:
        raise ValueError(
            f"model.args.text_size is {size}, and vectors of {name} have {found.shape[1]} numbers: "
            f"set it to {found.shape[1]}"
        )
    return found


def _unit(vector: np.ndarray) -> np.ndarray:
    return (vector / max(np.linalg.norm(vector), 1e-12)).astype(np.float32)
