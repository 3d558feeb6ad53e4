"""The report on disk, its figures, and the page: what it shows, escapes and survives."""

import dataclasses
import json

import numpy as np
import pytest
from matplotlib.figure import Figure
from sklearn import metrics as sk

from mclf_jax import metrics
from mclf_jax.evaluation.result import Report, load_report, saved_splits
from mclf_jax.figures import plots
from mclf_jax.figures.spectrogram import plot_spectrogram
from mclf_jax.figures.taggram import plot_taggram
from mclf_jax.report import mistakes, scores
from mclf_jax.report.scores import write_scores_page
from mclf_jax.report.svg import inline_svg
from mclf_jax.run import history
from tests.report.parsed import HOSTILE, Page


def _report(task, *, num_labels=10, num_songs=60, labels=None, split="test", seed=0):
    rng = np.random.default_rng(seed)
    labels = tuple(labels or (f"label {k}" for k in range(num_labels)))
    shape = (num_songs, len(labels))
    if task == "single_label":
        targets = rng.integers(0, len(labels), num_songs)
        scores = np.exp(rng.normal(size=shape) + 2 * np.eye(len(labels))[targets])
        scores /= scores.sum(1, keepdims=True)
    elif task == "multi_label":
        targets = (rng.random(shape) < 0.3).astype(np.float32)
        targets[:, 1] = 0  # undefined
        scores = np.clip(targets * 0.3 + 0.7 * rng.random(shape), 0, 1)
    else:
        targets = rng.normal(size=shape)
        scores = targets + 0.4 * rng.normal(size=shape)
    found = metrics.compute(task, scores, targets, labels=labels)
    intervals = {
        name: metrics.confidence_interval(
            task, scores, targets, labels=labels, metric=name, num_resamples=20
        )
        for name in metrics.HEADLINES[task]
    }
    return Report(
        run_name="a run",
        dataset="synthetic",
        split=split,
        task=task,
        labels=labels,
        items=(HOSTILE, *(f"song {n}.wav" for n in range(1, num_songs))),
        scores=scores.astype(np.float32),
        targets=targets,
        metrics=found.values,
        per_label=found.per_label,
        undefined=found.undefined,
        intervals=intervals,
        num_windows=8 * num_songs,
        skipped=(("bad <b>.wav", "empty file"),),
        meta={"step": 120, "window_s": 3.69, "num_parameters": 412338, "features": {"n_mels": 96}},
    )


def _spectrogram(item):
    rng = np.random.default_rng(0)
    return {
        "spectrogram": rng.normal(size=(400, 48)) * 20,
        "duration_s": 6.4,
        "mel_centre_hz": np.geomspace(40, 8000, 48),
        "title": f"Some title {HOSTILE}",
    }


def _run_dir(path):
    lines = [{"kind": "train", "step": s, "loss": 2 / s, "songs_per_s": 90} for s in range(1, 61)]
    lines += [{"kind": "valid", "step": s, "loss": 3 / s, "accuracy": 0.5} for s in (20, 40, 60)]
    text = "\n".join(map(json.dumps, lines)) + '\n{"kind": "train", "st'
    (path / "metrics.jsonl").write_text(text)
    (path / "config.json").write_text(json.dumps({"model": {"name": "<fcn>"}}))
    return path


def _written(tmp_path, reports, **kwargs):
    path = write_scores_page(_run_dir(tmp_path), reports=reports, **kwargs)
    assert path == tmp_path / "report" / "index.html"
    source = path.read_text(encoding="utf-8")
    return source, Page(source)


@pytest.mark.parametrize(
    ("task", "num_labels", "expected"),
    [
        ("single_label", 10, ["Accuracy", "Confusion", "taken for", "ROC", "recall"]),
        ("multi_label", 50, ["PR-AUC, macro", "Left out of a mean", "label 1", "precision"]),
        ("regression", 2, ["R²", "RMSE", "Predicted against true value"]),
    ],
)
def test_page_is_whole_self_contained_and_escaped(
    tmp_path, monkeypatch, task, num_labels, expected
):
    monkeypatch.setattr(scores, "NUM_MISTAKES", 3)
    report = _report(task, num_labels=num_labels)
    source, page = _written(tmp_path, [report], spectrogram_of=_spectrogram)
    assert len(source) < 3_000_000
    for words in (*expected, "95 %", "Worst mistakes", "412\u202f338", "n_mels=96", "3.69 s"):
        assert words in page.text
    for words in ("bad <b>.wav", "empty file", '"<fcn>"', "Some title", "90 songs/s", "step 120"):
        assert words in page.text
    # Curves, task's own figures, learning curves and a spectrogram a mistake.
    assert page.counts["svg"] == {"single_label": 4, "multi_label": 4, "regression": 2}[task] + 3


@pytest.mark.parametrize("task", metrics.NAMES)
def test_hostile_names_are_shown_as_text(tmp_path, task):
    labels = (HOSTILE, f"_{HOSTILE}", "100 % $")
    report = _report(task, labels=labels, num_songs=40)
    if task == "single_label":  # the worst mistake
        report.scores[0] = np.roll(np.eye(3), 1, axis=0)[report.targets[0]]
    else:
        report.scores[0] = 9 * (task == "regression") + 1 - report.targets[0]
    places = {
        "run_name": f"run {HOSTILE}",
        "dataset": f"data {HOSTILE}",
        "split": f"split {HOSTILE}",
        "skipped": ((f"skipped {HOSTILE}", f"why {HOSTILE}"),),
        "meta": {"notes": [f"note {HOSTILE}"], "step": 3, f"key {HOSTILE}": {"a": f"b {HOSTILE}"}},
        "parents": {labels[1]: labels[0]} if task == "multi_label" else {},
    }
    run_dir = _run_dir(tmp_path)
    (run_dir / "config.json").write_text(json.dumps({"x": f"config {HOSTILE}"}))
    report = dataclasses.replace(report, **places)
    path = write_scores_page(run_dir, reports=[report], spectrogram_of=_spectrogram)
    page = Page(path.read_text(encoding="utf-8"))
    begins = ("run", "data", "Split", "skipped", "why", "note", "key", "Some title", HOSTILE, "_")
    for begin in begins:
        space = "" if begin == "_" else " "
        shown = HOSTILE if begin == HOSTILE else f"{begin}{space}{HOSTILE}"
        assert shown in page.text, begin
    assert "a=b <script>" in page.text and "config <script>" in page.text


def test_page_lists_splits_and_keeps_their_ids_apart(tmp_path):
    reports = [_report("single_label", num_labels=3), _report("single_label", split="valid")]
    _, page = _written(tmp_path, reports)
    assert {"r0", "r1"} <= set(page.ids)
    assert "Valid split" in page.text


def test_page_survives_what_is_missing(tmp_path):
    def failing(item):
        if item == HOSTILE:
            return
        raise OSError("truncated <MP3>")

    report = dataclasses.replace(_report("multi_label"), intervals={}, meta={}, skipped=())
    path = write_scores_page(tmp_path, reports=[report], spectrogram_of=failing)
    text = Page(path.read_text(encoding="utf-8")).text
    assert "no picture: OSError: truncated <MP3>" in text
    assert "no training history" in text
    assert "no config.json" in text
    with pytest.raises(ValueError, match="at least one evaluated split"):
        write_scores_page(tmp_path, reports=[])


def test_page_of_nothing_defined(tmp_path):
    targets = np.zeros((4, 3))
    found = metrics.compute("multi_label", targets, targets, labels="abc")
    report = dataclasses.replace(
        _report("multi_label", labels="abc", num_songs=4),
        scores=targets,
        targets=targets,
        metrics=found.values,
        per_label=found.per_label,
        undefined=found.undefined,
    )
    _, page = _written(tmp_path, [report])
    assert "undefined" in page.text


def test_page_is_the_same_bytes_again(tmp_path):
    first, _ = _written(tmp_path, [_report("regression", num_labels=2)])
    second, _ = _written(tmp_path, [_report("regression", num_labels=2)])
    assert first == second


@pytest.mark.parametrize("task", metrics.NAMES)
def test_report_round_trip(tmp_path, task):
    report = _report(task, num_songs=12)
    surrogate = b"caf\xe9.wav".decode("utf-8", "surrogateescape")
    report = dataclasses.replace(report, items=(surrogate, *report.items[1:]))
    assert report.save(tmp_path) == tmp_path / "test.json"
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "test.json",
        "test_per_label.csv",
        "test_scores.npz",
    ]
    assert saved_splits(tmp_path) == ["test"]
    loaded = load_report(tmp_path, "test")
    for field in dataclasses.fields(Report):
        before, after = getattr(report, field.name), getattr(loaded, field.name)
        assert type(before) is type(after)
        if isinstance(before, np.ndarray):
            assert before.dtype == after.dtype
        np.testing.assert_equal(after, before)  # NaN equals NaN
    assert list(loaded.per_label) == list(report.labels)
    json.loads((tmp_path / "test.json").read_text(), parse_constant=pytest.fail)  # no NaN
    rows = (tmp_path / "test_per_label.csv").read_text().splitlines()
    assert rows[0].split(",") == ["label", *next(iter(report.per_label.values()))]
    assert len(rows) == 1 + len(report.labels)


def test_loading_a_split_that_is_not_there_names_those_that_are(tmp_path):
    _report("regression", num_labels=1).save(tmp_path)
    with pytest.raises(FileNotFoundError, match="'valid' .* \\(there: test\\)"):
        load_report(tmp_path, "valid")
    with pytest.raises(ValueError, match="split must be"):
        load_report(tmp_path, "../test")


def test_confusion_is_that_of_scikit_learn():
    report = _report("single_label")
    expected = sk.confusion_matrix(report.targets, report.scores.argmax(axis=1))
    np.testing.assert_array_equal(report.confusion, expected)
    assert _report("regression").confusion is None
    pairs = mistakes.confused_pairs(report, count=100)
    assert sum(p["songs"] for p in pairs) == report.confusion.sum() - report.confusion.trace()
    assert pairs[0]["songs"] == max(p["songs"] for p in pairs)


def test_worst_mistakes_come_first():
    single = dataclasses.replace(
        _report("single_label", labels="ab", num_songs=3),
        scores=np.array([[0.6, 0.4], [0.9, 0.1], [0.2, 0.8]]),
        targets=np.array([1, 1, 1]),
    )
    found = mistakes.worst(single, count=5)
    assert [m.index for m in found] == [1, 0]  # song 2 is right
    assert found[0] == mistakes.Mistake(1, true=(("b", 0.1),), predicted=(("a", 0.9),))
    tags = dataclasses.replace(
        single, task="multi_label", targets=np.array([[1, 1], [0, 1], [0, 1]])
    )
    found = mistakes.worst(tags, count=2)
    assert [m.index for m in found] == [1, 0]
    assert found[1].true == (("b", 0.4), ("a", 0.6))  # the most missed first
    numbers = dataclasses.replace(
        single, task="regression", targets=np.array([[0.6, 0.4], [0.8, 0.9], [0.3, 0.8]])
    )
    found = mistakes.worst(numbers, count=1)
    assert found[0].index == 1
    assert found[0].true[0] == ("b", 0.9)


def test_history_of_a_killed_run(tmp_path):
    path = tmp_path / "metrics.jsonl"
    assert history.read(path) == {}
    path.write_text(
        '{"kind": "train", "step": 1, "loss": 3.0}\n{"kind": "train", "step": 2, "loss": 9.0}\n'
        '{"kind": "start", "devices": 1}\n{"kind": "train", "step": 2, "loss": 2.0, "note": "x"}\n'
        '{"kind": "valid", "step": 2, "accuracy": null, "loss": 1.0}\n{"kind": "tra'
    )
    assert history.read(path) == {
        "train": {"step": [1, 2], "loss": [3.0, 2.0]},
        "valid": {"step": [2], "loss": [1.0]},
    }


def _axes(figure):
    assert isinstance(figure, Figure)
    return [axes for axes in figure.axes if axes.get_visible()]


def test_learning_curves():
    steps = list(range(100))
    valid = {"step": [10, 20], "loss": [1, 2], "accuracy": [0.5, 0.6], "log_loss": [2, 1]}
    figure = plots.learning_curves({"step": steps, "loss": steps}, valid, best_step=20)
    axes = _axes(figure)
    assert [a.get_ylabel() for a in axes] == ["loss", "validation score", "validation error"]
    assert {a.get_xlabel() for a in axes} == {"step"}
    assert all(any("step 20" in t.get_text() for t in a.texts) for a in axes)
    assert len(_axes(plots.learning_curves({}, {}))) == 1


def test_curve_figures():
    report = _report("multi_label", num_labels=20)
    areas = {k: report.per_label[k]["pr_auc"] for k in report.labels}
    for draw, x, y in (
        (plots.roc_curves, "false positive rate", "true positive rate"),
        (plots.pr_curves, "recall", "precision"),
    ):
        figure = draw(report.scores, report.targets, labels=report.labels, areas=areas)
        (axes,) = _axes(figure)
        assert (axes.get_xlabel(), axes.get_ylabel()) == (x, y)
        names = [t.get_text() for t in figure.legends[0].get_texts()]
        assert names[0].startswith("mean of 19: ")  # label 1 has no positive
        assert len(names) == 7


def test_drawn_precision_has_the_area_of_average_precision():
    report = _report("multi_label", labels=("a", "undefined"), num_songs=300)
    ap = report.per_label["a"]["pr_auc"]
    areas = {"a": ap, "undefined": float("nan")}
    figure = plots.pr_curves(report.scores, report.targets, labels=report.labels, areas=areas)
    mean, single = figure.axes[0].lines
    assert mean.get_ydata()[1:].mean() == pytest.approx(ap, abs=0.01)
    recall, precision = single.get_data()
    assert (np.diff(recall) * precision[1:]).sum() == pytest.approx(ap, abs=1e-6)


def test_bars_and_matrix_and_scatter():
    report = _report("multi_label", num_labels=130)
    figure = plots.per_label_bars(report.per_label, num_songs=60)
    axes = _axes(figure)
    assert [a.get_title("left") for a in axes] == ["PR-AUC", "ROC-AUC"]
    assert figure.get_supxlabel() == "the 60 best and the 60 worst of 129 labels"
    widths = [bar.get_width() for bar in axes[0].patches]
    assert widths == sorted(widths, reverse=True)
    (axes,) = _axes(plots.confusion_matrix(np.array([[3, 1], [0, 2]]), ["x", "y"]))
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted", "true")
    assert [t.get_text() for t in axes.texts] == ["3", "1", "2"]
    report = _report("regression", num_labels=14)
    r2 = {k: report.per_label[k]["r2"] for k in report.labels}
    drawn = plots.regression_scatter(report.scores, report.targets, labels=report.labels, r2=r2)
    axes = _axes(drawn)
    assert len(axes) == 12
    assert (axes[0].get_xlabel(), axes[0].get_ylabel()) == ("true", "predicted")
    assert f"{max(r2.values()):.3f}" in axes[0].get_title("left")


def test_spectrogram_axes_and_silence():
    (axes,) = _axes(plot_spectrogram(np.zeros((100, 40)), duration_s=2.0))
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("seconds", "mel band")
    assert axes.get_xlim() == (0, 2)
    silent = np.full((10, 40), -np.inf)
    figure = plot_spectrogram(silent, mel_centre_hz=np.linspace(100, 9000, 40))
    (axes,) = _axes(figure)
    assert axes.get_xlabel() == "frames"
    names = [t.get_text() for t in axes.get_yticklabels()]
    assert names[0] == "8k"
    assert "<svg" in inline_svg(figure, name="s", description="silence")
    with pytest.raises(ValueError, match="frames, mel bands"):
        plot_spectrogram(np.zeros(5))


def test_taggram():
    times_s = np.arange(8) * 2.0 + 1
    scores = np.tile(np.linspace(0, 1, 20), (8, 1))
    labels = [f"tag {k}" for k in range(20)]
    figure = plot_taggram({"times_s": times_s, "labels": labels, "scores": scores})
    axes, bar = figure.axes
    assert axes.get_xlabel() == "seconds"
    assert axes.get_xlim() == (0, 16)
    names = [t.get_text() for t in axes.get_yticklabels()]
    assert names == [f"tag {k}" for k in range(19, 4, -1)]
    assert bar.get_ylabel() == "score"
    assert plot_taggram({"times_s": [1.0], "labels": ["a"], "scores": [[0.3]]})
    with pytest.raises(ValueError, match="\\[8, 20\\]"):
        plot_taggram({"times_s": times_s, "labels": labels, "scores": scores.T})


def test_labels_are_shortened_and_made_printable():
    assert plots.short("a\nb\udce9") == "a b"
    assert len(plots.short("x" * 100)) == 26
    assert plots.short("") == " "
    assert plots.title_of("pr_auc_macro") == "PR-AUC, macro"
