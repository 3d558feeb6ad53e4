"""Vectors of words: what is near to what, the same everywhere, and a model of sentences."""

import sys
import types

import numpy as np
import pytest

from mclf_jax.common.text.vectors import vectors_of


def test_what_shares_letters_is_near():
    texts = ["slow piano", "piano", "electric piano", "pianos", "drums", "SLOW_Piano!"]
    slow, piano, electric, pianos, drums, loud = vectors_of(texts)
    np.testing.assert_allclose(np.linalg.norm(vectors_of(texts), axis=1), 1, rtol=1e-6)
    assert slow @ piano > 0.6 and slow @ electric > 0.4 and piano @ pianos > 0.5
    assert abs(slow @ drums) < 0.15
    np.testing.assert_array_equal(slow, loud)
    np.testing.assert_array_equal(vectors_of(["piano"])[0], piano)  # whatever stands beside it


def test_vectors_are_the_same_on_every_machine():
    """Weights of a run are for these, and would be worth nothing with others."""
    found = vectors_of(["né"], size=16)[0]  # of <né, né> and <né>
    signs = [-1, -1, -3, -3, -1, 1, 1, -1, 1, -1, 1, -1, -1, -1, 1, -1]
    np.testing.assert_allclose(found, np.array(signs) / 32**0.5, rtol=1e-6)


def test_a_model_of_sentences_is_asked(monkeypatch):
    asked = []

    class SentenceTransformer:
        def __init__(self, name, device):
            asked.append((name, device))

        def encode(self, texts, *, normalize_embeddings):
            assert normalize_embeddings
            asked.append(texts)
            return np.eye(3, 4)[: len(texts)]

    module = types.SimpleNamespace(SentenceTransformer=SentenceTransformer)
    monkeypatch.setitem(sys.modules, "sentence_transformers", module)
    encoder = "sentence_transformers:small/model"
    found = vectors_of(["Slow_piano", "sad"], encoder=encoder, size=4)
    np.testing.assert_array_equal(found, np.eye(2, 4))
    assert asked == [("small/model", "cpu"), ["Slow piano", "sad"]]
    with pytest.raises(ValueError, match="model.args.text_size is 512, and.*have 4.*set it to 4"):
        vectors_of(["sad"], encoder=encoder)
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(ImportError, match=r"pip install 'mclf-jax\[words\]'"):
        vectors_of(["sad"], encoder=encoder)


def test_errors():
    with pytest.raises(ValueError, match="'!' has no letters"):
        vectors_of(["sad", "!"])
    with pytest.raises(ValueError, match="text_encoder is 'bert'; allowed: ngrams, sentence_tr"):
        vectors_of(["sad"], encoder="bert")
