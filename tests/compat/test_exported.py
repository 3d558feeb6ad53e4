"""A file that an earlier version exported says what it said; `python -m tests.compat.test_exported`
writes the one of today."""

import json

import numpy as np
import pytest

from mclf_jax.api import load
from mclf_jax.export import archive
from tests import ROOT
from tests.export.bundles import RATE_HZ, small_bundle, song

FILES = ROOT / "tests" / "compat" / "exported"


@pytest.mark.parametrize("path", sorted(FILES.glob("*.mclf")), ids=lambda path: path.stem)
def test_it_says_what_it_said(path):
    expected = json.loads(path.with_suffix(".json").read_text())
    tagger = load(path)
    assert dict(tagger.thresholds) == expected["thresholds"]
    found = tagger.predict(song(), sample_rate_hz=RATE_HZ)
    assert list(found) == list(expected["scores"])
    np.testing.assert_allclose(list(found.values()), list(expected["scores"].values()), atol=1e-5)
    embedding = tagger.embed(song(), sample_rate_hz=RATE_HZ)
    np.testing.assert_allclose(embedding, expected["embedding"], atol=1e-4, rtol=1e-4)


if __name__ == "__main__":
    today = FILES / "format_1.mclf"
    archive.write_archive(small_bundle(thresholds={"low": 0.25}, card="# Card\n"), today)
    made = load(today)
    said = {
        "thresholds": dict(made.thresholds),
        "scores": made.predict(song(), sample_rate_hz=RATE_HZ),
        "embedding": made.embed(song(), sample_rate_hz=RATE_HZ).tolist(),
    }
    today.with_suffix(".json").write_text(json.dumps(said, indent=1) + "\n")
