"""The network that comes with the library: what it weighs, says and is good for."""

import json

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

import mclf_jax
from mclf_jax import weights
from mclf_jax.data.made.labels import all_labels
from tests import SHARED

NOTES = SHARED / "audio" / "instruments"
with_notes = pytest.mark.skipif(not NOTES.is_dir(), reason=f"{NOTES} is not here")
MOST_BYTES = 4_000_000
FONTS = ("fluid-soundfont-gm", "opl3-soundfont", "avldrums.lv2-soundfont", "timgm6mb-soundfont")


@pytest.fixture(scope="module")
def small():
    return mclf_jax.load("small")


def test_it_is_small_and_says_what_it_was_made_of():
    folder = weights.find("small")
    assert sum(file.stat().st_size for file in folder.iterdir()) <= MOST_BYTES
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert [font for font in FONTS if font not in card] == []
    about = json.loads((folder / "config.json").read_text(encoding="utf-8"))["mclf"]["about"]
    assert '"/' not in json.dumps(about)  # no path of the machine that trained it


def test_what_is_here_by_that_name_goes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert (weights.find("small") / "config.json").is_file()
    (tmp_path / "small").mkdir()  # of somebody's songs, say
    assert (weights.find("small") / "config.json").is_file()
    (tmp_path / "small" / "meta.json").write_text("{}")
    assert not (weights.find("small") / "config.json").is_file()
    assert str(weights.find("runs/small")) == "runs/small"


def test_it_tags_and_embeds(small):
    song = np.random.default_rng(0).uniform(-0.1, 0.1, 4 * 22050).astype(np.float32)
    scores = small.predict(song, sample_rate_hz=22050)
    assert set(scores) <= set(all_labels())
    assert small.embed(song, sample_rate_hz=22050).shape == (640,)


@pytest.fixture(scope="module")
def notes(small):
    """Twelve real notes of each of nine instruments: labels, and what `small` hears."""
    files = {folder.name: sorted(folder.glob("*"))[::3][:12] for folder in NOTES.iterdir()}
    labels = np.repeat(list(files), [len(found) for found in files.values()])
    heard = list(small.hear_files([str(path) for found in files.values() for path in found]))
    return labels, *(np.array([song[part] for song in heard]) for part in ("scores", "embedding"))


@with_notes
@pytest.mark.slow
def test_it_tells_some_instruments_that_it_never_heard(small, notes):
    labels, scores, _ = notes
    known = {"drums": "family/drums", "sitar": "program/sitar", "shanai": "program/shanai"}
    for name, tag in known.items():
        assert roc_auc_score(labels == name, scores[:, small.labels.index(tag)]) > 0.85, name


@with_notes
@pytest.mark.slow
def test_its_embedding_tells_instruments_from_few_notes(notes):
    labels, _, embeddings = notes  # eight of each to learn from; with kernels shuffled .61 to .64
    machine = make_pipeline(StandardScaler(), SVC(C=10.0))
    found = cross_val_score(machine, embeddings, labels, cv=3).mean()
    assert found > 0.68, found
