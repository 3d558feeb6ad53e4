"""Noisy student: what is taught, by whom, on which audio, and what it does to the student."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import expit, log_softmax, softmax

from mclf_jax.augment import Chains, Gain, TimeMask, compose
from mclf_jax.evaluation.teacher import open_teacher
from mclf_jax.models.names import name_of, path_of
from mclf_jax.objectives.context import Context
from mclf_jax.objectives.semi_supervised import frame
from mclf_jax.objectives.semi_supervised.noisy_student import noisy_student
from tests.objectives.material import gradients, songs, start
from tests.small_run import LOG_MEL, small_model, write_run

KEY = jax.random.key(0)
TAGS = ("calm", "happy", "sad")
LABELS = {"single_label": ("low", "high"), "multi_label": TAGS}
NOISE = Chains(waveform=compose([Gain(-24.0, -6.0)]), spectrogram=compose([TimeMask(1, 0.3)]))


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A teacher for each task."""
    folder = tmp_path_factory.mktemp("teachers")
    audio = songs(24, seed=0, num_views=1)["audio"][:, 0, :500]
    return {
        task: write_run(folder / task, audio, task=task, labels=labels)
        for task, labels in LABELS.items()
    }


def batch_of(task="single_label", *, labelled=8, unlabelled=16, seed=0, window=500):
    """Every third label of the tags is not observed, and the last unlabelled rows are padding."""
    rng = np.random.default_rng(seed)
    audio = songs(labelled + unlabelled, seed=seed, num_views=1)["audio"][:, 0, :window]
    label, none = rng.integers(0, 2, labelled).astype(np.int32), np.zeros(unlabelled, np.int32)
    if task == "multi_label":
        label = rng.integers(0, 2, (labelled, 3)).astype(np.float32)
        label.ravel()[::3] = np.nan
        none = np.full((unlabelled, 3), np.nan, np.float32)
    valid = np.ones(unlabelled, np.float32)
    valid[-3:] = 0
    others = {"audio": audio[labelled:], "label": none, "valid": valid}
    ones = np.ones(labelled, np.float32)
    return {"audio": audio[:labelled], "label": label, "valid": ones, "unlabelled": others}


def student(runs, task="single_label", *, model=None, change=lambda teacher: teacher, **settings):
    labels = LABELS[task]
    model = model or small_model(num_labels=len(labels))
    teacher = change(open_teacher(runs[task], task=task, label_names=labels))
    fields = {field.name for field in dataclasses.fields(Context)}
    given = {name: settings.pop(name) for name in fields & settings.keys()}
    return noisy_student(Context(model, task=task, teacher=teacher, **given), **settings)


def logits_of(run, audio, task):
    """What a teacher says in evaluation mode, [B, K] float64."""
    variables, apply = _opened(run, task)
    return np.asarray(apply(variables, audio)["logits"], np.float64)


@functools.cache
def _opened(run, task):
    teacher = open_teacher(run, task=task, label_names=LABELS[task])
    return teacher.variables, jax.jit(teacher.model.apply)


@functools.cache
def initial_of(run, task):
    """(params, state), which no setting of the loss changes."""
    teacher = open_teacher(run, task=task, label_names=LABELS[task])
    model = small_model(num_labels=len(LABELS[task]))
    objective = noisy_student(Context(model, task=task, teacher=teacher))
    initial = jax.jit(objective.init)(KEY)
    return initial["params"], initial["state"]


def trained_pass(model, params, state, batch):
    """Logits of the student as in the loss with KEY and NOISE, and its new state."""
    outputs, new_state = _passed(model, params, state, batch)
    logits = np.asarray(outputs["logits"], np.float64)
    return frame.apart(logits, num_labelled=8), new_state


@functools.partial(jax.jit, static_argnums=0)
def _passed(model, params, state, batch):
    augment_key, dropout_key = jax.random.split(KEY)
    x = frame.inputs(model, NOISE, batch, key=augment_key)
    return model.apply_train(params["model"], state["model"], x, key=dropout_key)


def cross_entropy(logits, targets, task):
    """[U] or [U, K], of each question."""
    if task == "single_label":
        return -(targets * log_softmax(logits, axis=-1)).sum(axis=-1)
    return targets * np.logaddexp(0, -logits) + (1 - targets) * np.logaddexp(0, logits)


@pytest.mark.parametrize(
    ("task", "targets", "temperature"),
    [
        ("single_label", "soft", 1.0),
        ("single_label", "soft", 4.0),
        ("multi_label", "hard", 1.0),
        ("multi_label", "soft", 2.0),
    ],
)
@pytest.mark.slow_beyond(2)
def test_the_whole_loss_in_numpy(runs, task, targets, temperature):
    """The student hears noise, and its teacher clean audio in evaluation mode."""
    settings = {"targets": targets, "temperature": temperature, "threshold": 0.8, "weight": 3.0}
    objective, batch = student(runs, task, chains=NOISE, **settings), batch_of(task)
    params, state = initial_of(runs[task], task)
    result = jax.jit(objective.loss)(params, state, batch, KEY)

    model = small_model(num_labels=len(LABELS[task]))
    heard, new_state = trained_pass(model, params, state, batch)
    logits = logits_of(runs[task], batch["unlabelled"]["audio"], task)
    label = batch["label"]
    if task == "single_label":
        p, confidence = softmax(logits, axis=-1), softmax(logits, axis=-1).max(axis=-1)
        hard, labelled = np.eye(2)[p.argmax(axis=-1)], np.eye(2)[label]
        labelled = cross_entropy(heard.labelled, labelled, task)
    else:
        p, confidence = expit(logits), np.maximum(expit(logits), expit(-logits))
        hard, terms = np.round(p), cross_entropy(heard.labelled, np.nan_to_num(label), task)
        labelled = np.nanmean(np.where(np.isnan(label), np.nan, terms), axis=-1)
    if temperature == 1:
        terms = cross_entropy(heard.unlabelled, p if targets == "soft" else hard, task)
    else:
        q = (softmax if task == "single_label" else lambda x, axis: expit(x))(
            logits / temperature, axis=-1
        )
        terms = cross_entropy(heard.unlabelled / temperature, q, task)
        terms = temperature**2 * (terms - cross_entropy(logits / temperature, q, task))
    kept, valid = confidence >= 0.8, batch["unlabelled"]["valid"] > 0
    assert 0.1 < kept.mean() < 0.9
    unlabelled = (terms * kept)[valid].mean()

    close = functools.partial(np.testing.assert_allclose, rtol=2e-3)
    close(result.metrics["labelled_loss"], labelled)
    close(result.metrics["unlabelled_loss"], np.full(8, unlabelled))
    close(result.metrics["pseudo_labels_kept"], np.full(8, kept[valid].mean()))
    close(result.per_example, labelled + 3 * unlabelled)
    jax.tree.map(close, result.state["model"], new_state)
    assert ("accuracy" in result.metrics) == (task == "single_label")


@pytest.mark.slow
def test_the_teacher_stays_as_it_is(runs):
    objective = student(runs, chains=NOISE)
    first, step = start(objective)
    state = first
    for number in range(3):
        state, metrics = step(state, batch_of(seed=number))
    assert np.isfinite(metrics["loss"])
    jax.tree.map(
        np.testing.assert_array_equal, state.model_state["teacher"], first.model_state["teacher"]
    )
    assert "teacher" not in state.params
    moved = jax.tree.map(lambda a, b: np.abs(a - b).max(), state.params, first.params)
    assert max(jax.tree.leaves(moved)) > 1e-3


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_a_teacher_has_nothing_to_teach_itself(runs, temperature):
    """No gradient and, with a temperature, no loss where the student predicts the same."""
    opened = open_teacher(runs["single_label"], task="single_label", label_names=("low", "high"))
    # In training mode it would predict by the statistics of the batch.
    names = {
        name_of(path_of(path)[1:])
        for path, _ in jax.tree_util.tree_leaves_with_path(opened.variables)
    }
    norms = {name.rsplit(".", 1)[0] for name in names if name.endswith(".mean")}
    model = dataclasses.replace(
        small_model(),
        frozen=frozenset(name for name in names if name.rsplit(".", 1)[0] in norms),
    )
    objective, batch = student(runs, model=model, temperature=temperature), batch_of()

    @jax.jit
    @functools.partial(jax.value_and_grad, argnums=(0, 1))
    def unlabelled_loss(params, teacher):
        state = {"batch_stats": opened.variables["batch_stats"]}
        state = {"model": state, "teacher": teacher}
        loss = objective.loss({"model": params}, state, batch, KEY)
        return loss.metrics["unlabelled_loss"][0]

    def largest(tree):
        return max(float(np.abs(leaf).max()) for leaf in jax.tree.leaves(tree))

    params = opened.variables["params"]
    value, (of_student, of_teacher) = unlabelled_loss(params, opened.variables)
    assert largest(of_student) < 1e-5 and largest(of_teacher) == 0
    if temperature > 1:
        np.testing.assert_allclose(value, 0, atol=1e-6)
    other = jax.tree.map(lambda leaf: leaf * 1.1, params)
    value, (of_student, of_teacher) = unlabelled_loss(other, opened.variables)
    assert value > 0 and largest(of_student) > 1e-2 and largest(of_teacher) == 0


@pytest.mark.slow
def test_a_skeptical_student_doubts_what_is_not_tagged(runs):
    batch, task = batch_of("multi_label"), "multi_label"
    p = expit(logits_of(runs[task], batch["audio"], task))
    doubted = (batch["label"] == 0) & (p >= 0.6)
    assert 0 < doubted.sum() < (batch["label"] == 0).sum()
    initial = initial_of(runs[task], task)

    def labelled_loss(**settings):
        loss = jax.jit(student(runs, task, **settings).loss)
        return lambda batch: np.asarray(loss(*initial, batch, KEY).metrics["labelled_loss"])

    skeptical = labelled_loss(labelled_loss="skeptical", skeptical_threshold=0.6)(batch)
    plain = labelled_loss()
    told = plain(batch | {"label": np.where(doubted, np.nan, batch["label"])})
    np.testing.assert_allclose(skeptical, told, rtol=1e-5)
    assert np.abs(skeptical - plain(batch)).max() > 0.01


@pytest.mark.parametrize(("task", "temperature"), [("single_label", 2.0), ("multi_label", 1.0)])
@pytest.mark.slow_beyond(1)
def test_cached_predictions_teach_the_same(runs, task, temperature):
    batch = batch_of(task)
    online = student(runs, task, temperature=temperature, threshold=0.7)
    cached = student(runs, task, temperature=temperature, predictions="cached")
    params, state = initial_of(runs[task], task)
    of_model = {"model": state["model"]}
    assert jax.eval_shape(cached.init, KEY)["state"].keys() == of_model.keys()
    logits = logits_of(runs[task], batch["unlabelled"]["audio"], task)
    p = softmax(logits, axis=-1) if task == "single_label" else expit(logits)
    # What `data.pseudo_labelled` leaves out is NaN.
    confidence = p.max(axis=-1, keepdims=True) if task == "single_label" else np.maximum(p, 1 - p)
    label = np.where(confidence >= 0.7, p, np.nan).astype(np.float32)
    predicted = batch | {"unlabelled": batch["unlabelled"] | {"label": label}}
    expected = jax.jit(online.loss)(params, state, batch, KEY)
    found = jax.jit(cached.loss)(params, of_model, predicted, KEY)
    np.testing.assert_allclose(found.per_example, expected.per_example, rtol=1e-4)
    assert found.state.keys() == {"model"}
    with pytest.raises(ValueError, match="must be the teacher's probabilities"):
        predicted["unlabelled"]["label"] = np.zeros(16, np.int32)
        cached.loss(params, of_model, predicted, KEY)


@pytest.mark.slow
def test_a_smaller_student_with_other_features(runs):
    features = LOG_MEL | {"n_mels": 16}
    model = small_model(n_channels=2, features=features, window_s=0.4)
    initial = jax.jit(student(runs, model=model).init)(KEY)
    params, state = initial["params"], initial["state"]
    size, of_teacher = (
        sum(leaf.size for leaf in jax.tree.leaves(tree))
        for tree in (params["model"], state["teacher"]["params"])
    )
    assert size < of_teacher
    batch = batch_of(window=400)
    # The teacher computes its own features, and hears windows as long as the student's.
    taught = logits_of(runs["single_label"], batch["unlabelled"]["audio"], "single_label")
    p = softmax(taught, axis=-1).max(axis=-1)[batch["unlabelled"]["valid"] > 0]
    threshold = float(np.median(p))
    objective = student(runs, model=model, threshold=threshold)
    result = jax.jit(objective.loss)(params, state, batch, KEY)
    assert np.isfinite(result.per_example).all()
    kept = result.metrics["pseudo_labels_kept"][0]
    assert abs(kept - (p >= threshold).mean()) < 0.1
    with pytest.raises(ValueError, match="set features.on to 'device'"):
        as_features = {"features": jnp.zeros((8, *model.input_shape)), "label": batch["label"]}
        others = {"features": jnp.zeros((16, *model.input_shape))}
        objective.loss(params, state, as_features | {"unlabelled": others}, KEY)


@pytest.mark.slow
def test_one_device_equals_eight(runs):
    objective = student(runs, "multi_label", labelled_loss="skeptical", chains=NOISE)
    params, state = initial_of(runs["multi_label"], "multi_label")
    initial, batch = {"params": params, "state": state}, batch_of("multi_label")
    one, eight = (gradients(objective, initial, batch, num_devices=n) for n in (1, 8))
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(eight), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=2e-5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"predictions": "later"}, "predictions is 'later'; allowed: online, cached"),
        ({"targets": "sharp"}, "targets is 'sharp'; allowed: soft, hard"),
        ({"threshold": 1.0}, r"threshold is 1.0; it must be in \[0, 1\)"),
        ({"temperature": 0.0}, "temperature is 0.0; it must be positive"),
        ({"temperature": 2.0, "targets": "hard"}, "leave the temperature at 1"),
        ({"weight": -1.0}, "weight is -1.0; it must be at least 0"),
        ({"per_class": 5}, "set objective.args.predictions to 'cached'"),
        ({"per_class": -5}, "per_class is -5; it must be at least 0"),
        ({"skeptical_threshold": 0.0}, "skeptical_threshold is 0.0; it must be positive"),
        ({"labelled_loss": "skeptical"}, "the task is 'single_label'; set it to 'labels'"),
        ({"change": lambda teacher: None}, "objective.args.teacher is '', and nobody has opened"),
    ],
)
def test_errors(runs, settings, message):
    with pytest.raises(ValueError, match=message):
        student(runs, **settings)


def test_a_teacher_that_hears_otherwise_is_refused(runs):
    with pytest.raises(ValueError, match="at 1000 Hz and the student at 2000 Hz .*'cached'"):
        student(runs, model=small_model(features=LOG_MEL | {"sample_rate_hz": 2000}))
    with pytest.raises(ValueError, match="0.02 s .*, which do not suit it: .*'cached'"):
        student(runs, model=small_model(window_s=0.02))
    with pytest.raises(ValueError, match="asks the teacher about labelled windows"):
        student(runs, "multi_label", labelled_loss="skeptical", predictions="cached")

    def fixed_length(teacher):
        return dataclasses.replace(
            teacher, model=dataclasses.replace(teacher.model, length="fixed")
        )

    student(runs, change=fixed_length)
    with pytest.raises(ValueError, match="windows of 0.5 s .* takes one length only; .*'cached'"):
        student(runs, change=fixed_length, model=small_model(window_s=0.4))
