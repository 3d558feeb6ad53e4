"""`probe` from a run directory to tables: what is compared, on what, and what is refused."""

import dataclasses
import json

import numpy as np
import pytest

from mclf_jax import data
from mclf_jax.api import load
from mclf_jax.evaluation.result import load_report, saved_splits
from mclf_jax.export import archive
from mclf_jax.export.collect import bundle_of
from mclf_jax.probe import load_result, probe, show
from mclf_jax.probe.cells import Cell, deal_cells
from mclf_jax.probe.scratch import default_config, restrict
from mclf_jax.run import experiment
from mclf_jax.run.directory import read_config, read_meta
from mclf_jax.shallow import embeddings as cache
from mclf_jax.shallow.fit import fit
from tests.songs import Songs
from tests.tiny import tiny_config

data.SOURCES["ranked"] = data.SOURCES["tags"] = data.SOURCES["unlabelled"] = __name__


class Ranked(Songs):
    """The label is whether a song is loud, which every encoder should hear."""

    task, names = "single_label", ("soft", "loud")

    def __post_init__(self):
        super().__post_init__()
        order = np.random.default_rng(0).permutation(self.count)
        third = self.count // 3
        splits = {"train": order[third:], "valid": order[: third // 2]}
        self.info = dataclasses.replace(
            self.info,
            name="ranked",
            task=self.task,
            labels=self.names,
            splits=splits | {"test": order[third // 2 : third]},
            groups=tuple(str(i // 2) for i in range(self.count)),
            fingerprint=f"ranked {self.task}",
        )

    @property
    def labels(self):
        return (np.arange(self.count) >= self.count // 2).astype(np.int32)


class Tags(Ranked):
    """Loud and soft as tags; of every third song "soft" is not known, of the last one nothing."""

    task = "multi_label"

    @property
    def labels(self):
        songs = np.arange(self.count)
        loud = (songs >= self.count // 2).astype(np.float32)
        tags = np.stack([np.where(songs % 3, 1 - loud, np.nan), loud], axis=1)
        tags[-1] = np.nan
        return tags.astype(np.float32)


class Unlabelled(Ranked):
    names = ()


def ranked(*, sample_rate_hz, count=36):
    return Ranked(count)


def tags(*, sample_rate_hz, count=36):
    return Tags(count)


def unlabelled(*, sample_rate_hz):
    return Unlabelled(36)


def contents(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def probed(run, **changes):
    settings = {"source": "ranked", "kinds": ("linear",), "baselines": (), "progress": "off"}
    return probe(run, **{**settings, **changes})


@pytest.mark.slow
def test_what_can_be_heard_is_found(run):
    """Loud songs against soft ones: probes on trained and untrained network, MFCC statistics."""
    before = contents(run / "checkpoints")
    found = probed(run, kinds=("linear", "mlp", "knn"), baselines=("untrained", "mfcc"))
    assert contents(run / "checkpoints") == before
    kinds = ("linear", "mlp", "knn")
    pairs = [(encoder, kind) for encoder in ("trained", "untrained") for kind in kinds]
    assert [(r.encoder, r.kind) for r in found.records] == [*pairs, ("mfcc", "svm")]
    assert {r.num_train for r in found.records} == {24} and {r.num_test for r in found.records} == {
        6
    }
    assert np.mean([r.values["accuracy"] for r in found.records]) > 0.8
    assert found.method == "supervised" and found.step in (2, 4) and found.data == "ranked"
    assert found.directory == run / "probe" / "ranked-ranked s"
    assert show.text(load_result(found.directory)) == show.text(found)


@pytest.mark.slow
def test_the_second_call_does_not_run_the_network(run, monkeypatch):
    first = probed(run, baselines=("untrained", "mfcc"), seeds=(0, 1))

    def refuse(*args, **kwargs):
        raise AssertionError("the network was run again")

    monkeypatch.setattr(cache, "_compute", refuse)
    again = probed(run, baselines=("untrained", "mfcc"), seeds=(0, 1), fractions=(0.5, 1.0))
    everything = [r for r in again.records if r.fraction == 1]
    assert [r.values["accuracy"] for r in everything] == [
        r.values["accuracy"] for r in first.records
    ]


def test_tags_with_unknown_labels(run):
    found = probed(run, source="tags", kinds=("linear", "knn"), num_folds=3, seeds=(0, 1))
    assert len(found.records) == 12
    # Nothing is known of one song, so that all folds together have the other 35.
    tested = [r.num_test for r in found.records if r.kind == "knn" and r.seed == 0]
    assert sum(tested) == 35
    assert np.mean([r.values["roc_auc_macro"] for r in found.records]) > 0.9
    assert "2 seeds × 3 folds by group" in show.text(found)
    # The report is of all folds of the first seed together, each song once.
    assert saved_splits(found.directory / "report") == ["test"]
    items = load_report(found.directory / "report", "test").items
    assert len(items) == len(set(items)) == 35


def test_numbers_and_songs_that_cannot_be_read(run):
    class Numbers(Ranked):
        task, names = "regression", ("level",)

        @property
        def labels(self):
            return np.arange(self.count, dtype=np.float32)[:, None]

    found = probed(run, source=Numbers(36, broken=(3, 20)), kinds=("linear", "mlp", "knn", "svm"))
    r2 = {r.kind: r.values["r2"] for r in found.records}
    # The softest song, silent but for noise, is too far from the others for a straight line.
    assert r2["mlp"] > 0.5 and r2["knn"] > 0.5 and set(r2) == {"linear", "mlp", "knn", "svm"}
    assert any("2 songs could not be read" in note for note in found.notes)


@pytest.mark.slow
def test_from_scratch_sees_the_songs_of_the_probe_alone(run, monkeypatch):
    config = tiny_config(train__num_steps=2, eval__every_steps=1)
    found = probed(run, baselines=("scratch",), scratch_config=config, fractions=(0.25,))
    probe_fit, network = found.records
    assert (network.encoder, network.kind, network.fraction) == ("scratch", "end-to-end", 0.25)
    assert (network.num_train, network.num_test) == (probe_fit.num_train, probe_fit.num_test)
    (folder,) = (found.directory / "scratch").iterdir()
    assert read_meta(folder)["data"]["splits"] == {
        "train": 6,
        "valid": 6,
        "test": 6,
        "unlabelled": 18,
    }

    # A finished network is not trained again.
    def refuse(*args, **kwargs):
        raise AssertionError("trained again")

    monkeypatch.setattr("mclf_jax.data.pipeline.training_batches", refuse)
    before = contents(folder)
    again = probed(run, baselines=("scratch",), scratch_config=config, fractions=(0.25,))
    assert contents(folder) == before and again.records[1].values == network.values
    with pytest.raises(AssertionError, match="trained again"):
        probed(run, baselines=("scratch",), scratch_config=config, seeds=(1,))


def test_networks_from_scratch_are_on_the_folds_of_the_probe():
    fractions = (0.25, 1.0)
    for cell in deal_cells(
        ranked(sample_rate_hz=1000), seeds=(0, 1), num_folds=3, fractions=fractions
    ):
        data = tiny_config(data__name="ranked", data__args__count=36).data
        config = restrict(tiny_config(), cell, data=data, num_folds=3)
        parts = experiment.build(config)
        for split in ("train", "valid", "test"):
            np.testing.assert_array_equal(parts.indices(split), cell.split(split)[0])


def test_how_a_network_is_trained_from_scratch(run):
    trained = read_config(run)
    made = default_config(trained, task="single_label", num_train=6400)
    assert made.model.to_dict() == trained.model.to_dict()
    assert made.features.to_dict() == trained.features.to_dict()
    assert made.train.num_steps == 6000 and made.eval.metric == "accuracy"
    assert made.augment.waveform == "" and made.optim.ema_decay == 0
    assert default_config(trained, task="regression", num_train=10).train.num_steps == 600
    cell = Cell(None, seed=3, fold=2, fraction=0.1)
    seen = restrict(made, cell, data=trained.data, num_folds=5)
    assert (seen.seed, seen.data.fold_seed, seen.data.fraction_seed) == (3, 3, 3)
    assert (seen.data.num_folds, seen.data.fold, seen.data.fraction) == (5, 2, 0.1)


def test_data_may_have_other_labels_than_the_run(run):
    """The head of the network is of other labels; only embeddings are used."""
    meta = json.loads((run / "meta.json").read_text())
    meta["labels"] = ["one", "two"]
    (run / "meta.json").write_text(json.dumps(meta))
    assert probed(run).labels == ("soft", "loud")


class Numbers(Ranked):
    task, names = "regression", ("level", "double")

    @property
    def labels(self):
        level = np.arange(self.count, dtype=np.float32)
        return np.stack([level, 2 * level], axis=1)


@pytest.mark.filterwarnings("ignore:.*its samples reach")
@pytest.mark.parametrize("songs", [Ranked, Tags, Numbers])
def test_the_probes_that_are_kept_say_what_was_scored(run, tmp_path, songs, monkeypatch):
    scored, valid_scores = {}, {}

    def remembered(kind, *args, **kwargs):
        fitted = fit(kind, *args, **kwargs)
        scored.setdefault(kind, (fitted.scores, kwargs["test"].songs))
        valid_scores.setdefault(kind, fitted.valid_score)
        return fitted

    monkeypatch.setattr("mclf_jax.probe.run.fit", remembered)
    source = songs(36)
    asked = {"kinds": ("knn", "linear", "attention"), "seeds": (0,), "num_windows": 3}
    if songs is Ranked:  # of which those of the first seed on the trained network are kept
        asked |= {"seeds": (0, 1), "baselines": ("untrained",)}
    asked["layer"] = "mix" if songs is Tags else None
    if songs is Tags:
        with pytest.raises(ValueError, match="'knn', which learns no mix of layers; for"):
            probed(run, source=source, **asked)
        asked["kinds"] = ("mlp", "linear", "attention")
    result = probed(run, source=source, **asked)
    kept = [kind for kind in ("linear", "mlp", "attention") if kind in asked["kinds"]]
    assert list(load_result(result.directory).heads) == kept
    # The one that was the best on valid songs is told of song by song, and has a page.
    best = max(asked["kinds"], key=lambda kind: valid_scores[kind])
    report = load_report(result.directory / "report", "test")
    assert report.meta["probe"] == best and report.meta["layer"] == (result.layer or "embedding")
    np.testing.assert_array_equal(report.scores, scored[best][0])
    record = next(r for r in result.records if r.kind == best)
    assert report.metrics == record.values and set(report.per_label) == set(report.labels)
    assert saved_splits(result.directory / "report") == ["test", "valid"]
    page = (result.directory / "report" / "index.html").read_text()
    assert f"probe {best}" in page
    for kind, path in result.heads.items():
        assert path == result.directory / "heads" / f"{kind}.safetensors"
        expected, tested = scored[kind]
        audio = [source.read(int(i), start_sample=0, num_samples=9999) for i in tested]
        tagger = load(path)
        assert (tagger.labels, tagger.task) == (source.info.labels, source.task)
        assert (tagger.bundle.num_windows, tagger.bundle.hop_s) == (3, None)
        assert set(tagger.thresholds) == ({"soft", "loud"} if songs is Tags else set())
        record = next(r for r in result.records if r.kind == kind)
        assert tagger.bundle.about["metrics"]["test"] == record.values
        assert tagger.bundle.about["data"]["fingerprint"] == source.info.fingerprint
        exported = load(archive.write_archive(tagger.bundle, tmp_path / f"{kind}.mclf"))
        assert exported.bundle.program is not None
        for one in (tagger, exported):
            found = [list(scores.values()) for scores in one.predict(audio, sample_rate_hz=1000)]
            np.testing.assert_allclose(found, expected, atol=1e-5 * max(1, np.ptp(expected)))


def test_a_few_songs_of_each_label_stand_beside_all(run):
    found = probed(run, kinds=("linear",), songs_per_label=(1, 3), baselines=("untrained",))
    rows = [row for row in found.summary() if row["encoder"] == "trained"]
    assert [(row["labels"], row["num_train"]) for row in rows] == [
        ("1 a label", 2),
        ("3 a label", 6),
        ("100 %", 24),
    ]
    assert all(row["over_untrained"] is not None for row in rows)
    table = show.text(load_result(found.directory))
    assert "1 a label" in table and "3 a label" in table and "100 %" in table
    assert set(found.heads) == {"linear"}  # of all labels alone
    (axes,) = show.draw(found).axes
    assert [text.get_text() for text in axes.get_xticklabels()] == [r["labels"] for r in rows]
    with pytest.raises(ValueError, match="songs_per_label is 0; it must be at least 1"):
        probed(run, songs_per_label=(0,))
    with pytest.raises(ValueError, match="none may be there twice"):
        probed(run, songs_per_label=(3, 3))


def test_a_probe_that_got_a_part_of_the_labels_is_not_kept(run):
    assert probed(run, fractions=(0.5,)).heads == {}
    assert set(probed(run, fractions=(0.5, 1.0)).heads) == {"linear"}


def test_other_windows_can_be_asked_for(run):
    two = probed(run)
    five = probed(run, num_windows=5)
    assert two.records[0].num_train == five.records[0].num_train
    files = list((run / "probe" / "embeddings").iterdir())
    assert len(files) == 1
    with np.load(files[0]) as file:
        assert np.bincount(file["songs"]).max() == 5


def test_wrong_use_is_answered(run, tmp_path):
    def refused(match, **changes):
        with pytest.raises(ValueError, match=match):
            probed(run, **changes)

    refused("kinds is 'linaer'; allowed: linear, mlp, knn, svm", kinds=("linaer",))
    refused("baselines is 'scratch'; it must be a list of untrained", baselines="scratch")
    refused(r"fractions is 1.5; it must be in \(0, 1\]", fractions=(1.5,))
    refused("fractions: .*none twice", fractions=(0.5, 0.5))
    refused("seeds: .*at least one", seeds=())
    refused("layer is 'no'; short_chunk_cnn has 1 layer1, 2 layer2, 3 embedding", layer="no")
    refused("num_folds is 2; it must be at least 3", num_folds=2)
    refused("unlabelled has no labels|ranked has no labels", source="unlabelled")
    refused("say which by source", source=None, arguments={"path": "x"})
    refused("leave one of them out", num_windows=3, hop_s=1.0)
    refused("fewer groups|groups", num_folds=30)
    source = Ranked(36)
    source.info.splits.pop("test")
    refused("has no test split; probe by cross-validation", source=source)
    refused("cannot open again", source=Ranked(36), baselines=("scratch",))
    other = Ranked(36)
    other.info = dataclasses.replace(other.info, sample_rate_hz=8000)
    refused("source is at 8000 Hz; it must be at 1000 Hz", source=other)
    # Folds would test the run on songs that it was trained on with their labels.
    refused("with the labels of 16 songs that it would be tested on", source=None, num_folds=3)
    assert probed(run, source=None).notes == ()
    with pytest.raises(FileNotFoundError, match="not a run directory"):
        probed(tmp_path)


def test_a_mix_has_usual_kinds_of_its_own(run, monkeypatch):
    def stop(kinds, *_):
        raise InterruptedError(kinds)

    monkeypatch.setattr("mclf_jax.probe.run._check", stop)
    for layer, expected in (("mix", ("linear", "mlp")), (None, ("linear", "mlp", "knn"))):
        with pytest.raises(InterruptedError) as stopped:
            probed(run, kinds=None, layer=layer)
        assert stopped.value.args == (expected,)


def test_a_run_without_data_needs_some(run):
    config = json.loads((run / "config.json").read_text())
    config["data"]["name"] = "none"
    (run / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match="made from weights and has no data of its own"):
        probed(run, source=None)
    assert probed(run).data == "ranked"


def test_songs_heard_in_pretraining_are_told(run):
    config = json.loads((run / "config.json").read_text())
    config["objective"] |= {"name": "simclr", "pos_weight": "none"}
    (run / "config.json").write_text(json.dumps(config))
    note = "Pretraining (simclr) heard 16 of 24 test songs, without their labels."
    assert note in probed(run, source=None, num_folds=3).notes
    # Trained on a fold of its own, it must not be tested on all of the data set's test songs.
    config["data"] |= {"num_folds": 3, "fold": 0}
    (run / "config.json").write_text(json.dumps(config))
    notes = probed(run, source="songs", arguments={"count": 24}).notes
    assert any(note.startswith("Pretraining (simclr) heard") for note in notes)
    assert probed(run, source="ranked", num_folds=3).notes == ()  # other data


def test_what_was_exported_is_probed_as_its_run(run, tmp_path):
    file = archive.write_archive(bundle_of(run), tmp_path / "tagger.mclf")
    with pytest.raises(ValueError, match="tagger.mclf is no run, .* say out"):
        probed(file)
    how = {"kinds": ("linear",), "baselines": (), "source": "ranked"}
    ours = probed(run, **how)
    theirs = probed(file, out=tmp_path / "probes", **how)
    (one,), (other,) = theirs.records, ours.records
    assert one.values == pytest.approx(other.values, rel=1e-4)
    assert (tmp_path / "probes" / "encoder" / "meta.json").is_file()
