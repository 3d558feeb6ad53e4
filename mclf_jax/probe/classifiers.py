"""Small classifiers and regressors on frozen embeddings, made by scikit-learn.

Each kind is a generator of candidates: settings from the most to the least regularised, or the
epochs of a network. The valid split decides between them, by song-level score; the test split is
scored with the one that was chosen.

Shapes: N songs, W windows, D embedding, K labels. A candidate predicts [W, K]: probabilities, or
for regression numbers.
"""

import itertools
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from scipy.special import expit, softmax
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import NearestNeighbors
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.preprocessing import normalize
from sklearn.svm import SVC, SVR

Predict = Callable[[np.ndarray], np.ndarray]
Candidates = Iterator[tuple[dict[str, Any], Predict]]

HIDDEN_UNITS = 512
MAX_EPOCHS = 200
_ALPHAS = tuple(10.0**power for power in range(5, -4, -1))
_STRENGTHS = tuple(10.0**power for power in range(-5, 3))
_NEIGHBOURS = (200, 100, 50, 20, 10, 5, 3, 1)
_SVM_STRENGTHS = (0.1, 1.0, 10.0, 100.0)
_SVM_WIDTHS = (0.25, 1.0, 4.0)


def linear(task: str, x: np.ndarray, y: np.ndarray, *, seed: int) -> Candidates:
    """Logistic regression, or ridge regression; the strength of the L2 penalty is to be chosen.

    Args:
        task: one of `data.source.TASKS`.
        x: standardised [W, D].
        y: int [W] of classes 0 to K - 1, each there at least once and two of them at least; or
            [W, K] of zeros and ones, both there in each column; or numbers [W, K].
        seed: of whatever is drawn.
    """
    if task == "regression":
        for alpha in _ALPHAS:
            ridge = Ridge(alpha=alpha).fit(x, y)
            yield {"alpha": alpha}, lambda z, r=ridge: r.predict(z).reshape(len(z), -1)
        return
    # From one strength to the next it is a short way for the solver.
    columns = [y] if task == "single_label" else list(y.T)
    models = [LogisticRegression(max_iter=1000, warm_start=True) for _ in columns]
    for strength in _STRENGTHS:
        for model, column in zip(models, columns, strict=True):
            with warnings.catch_warnings():
                # Weak penalties need not converge: how far they came is judged like the rest.
                warnings.simplefilter("ignore", ConvergenceWarning)
                model.set_params(C=strength).fit(x, column)
        yield {"C": strength}, lambda z: _probabilities(task, [m.predict_proba(z) for m in models])


def mlp(task: str, x: np.ndarray, y: np.ndarray, *, seed: int) -> Candidates:
    """A network with one hidden layer, Adam 1e-3, epoch by epoch; arguments as in `linear`.

    All labels share the hidden layer. Numbers are learnt standardised.
    """
    sizes = {"hidden_layer_sizes": (HIDDEN_UNITS,), "random_state": seed}
    if task == "regression":
        mean, scale = y.mean(axis=0), np.maximum(y.std(axis=0), 1e-6)
        network, targets, first = MLPRegressor(**sizes), (y - mean) / scale, {}
    else:
        network, targets = MLPClassifier(**sizes), y
        first = {"classes": np.arange(y.max() + 1 if y.ndim == 1 else max(2, y.shape[1]))}
    targets = targets[:, 0] if targets.ndim == 2 and targets.shape[1] == 1 else targets

    def predict(z: np.ndarray) -> np.ndarray:
        if task == "regression":
            return network.predict(z).reshape(len(z), -1) * scale + mean
        scores = network.predict_proba(z)
        return scores[:, 1:] if task == "multi_label" and targets.ndim == 1 else scores

    for epoch in range(1, MAX_EPOCHS + 1):
        network.partial_fit(x, targets, **first)
        first = {}
        yield {"epoch": epoch}, predict


def knn(task: str, x: np.ndarray, y: np.ndarray, *, seed: int) -> Candidates:
    """Means over the k nearest windows by cosine similarity; arguments as in `linear`."""
    answers = np.eye(y.max() + 1)[y] if task == "single_label" else y.astype(np.float64)
    most = min(len(x), _NEIGHBOURS[0])
    # Of unit vectors the nearest by distance are those by cosine, and that search is quicker.
    index = NearestNeighbors(n_neighbors=most, algorithm="brute").fit(normalize(x))
    known: list[tuple[np.ndarray, np.ndarray]] = []

    def neighbours(z: np.ndarray) -> np.ndarray:
        # The same windows are asked for with every k.
        for asked, found in known:
            if asked is z:
                return found
        known.append((z, index.kneighbors(normalize(z), return_distance=False)))
        return known[-1][1]

    for k in (min(k, most) for k in _NEIGHBOURS):
        yield {"k": k}, lambda z, k=k: answers[neighbours(z)[:, :k]].mean(axis=1)


def svm(task: str, x: np.ndarray, y: np.ndarray, *, seed: int) -> Candidates:
    """Support vectors with a Gaussian kernel, its width as a multiple of 1/D.

    Arguments as in `linear`. Margins become probabilities by softmax or sigmoid, which are not
    calibrated: good for ranking, not for the log loss.
    """
    for strength, width in itertools.product(_SVM_STRENGTHS, _SVM_WIDTHS):
        sizes = {"C": strength, "gamma": width / x.shape[1]}
        setting = {"C": strength, "gamma_times_D": width}
        if task == "regression":
            mean, scale = y.mean(axis=0), np.maximum(y.std(axis=0), 1e-6)
            fitted = [SVR(**sizes).fit(x, column) for column in ((y - mean) / scale).T]

            def predict(z, fitted=fitted, mean=mean, scale=scale):
                return np.stack([m.predict(z) for m in fitted], axis=1) * scale + mean

        elif task == "single_label":
            fitted = SVC(**sizes, break_ties=True).fit(x, y)

            def predict(z, fitted=fitted):
                return _margins_to_classes(fitted.decision_function(z))

        else:
            fitted = [SVC(**sizes).fit(x, column) for column in y.T]

            def predict(z, fitted=fitted):
                return expit(np.stack([m.decision_function(z) for m in fitted], axis=1))

        yield setting, predict


KINDS = {"linear": linear, "mlp": mlp, "knn": knn, "svm": svm}
"""Name to generator of candidates."""

PATIENCE = {"mlp": 20}
"""Candidates without a better one after which no more are tried; all are where none is given."""

MAX_WINDOWS = {"svm": 5000, "label_spreading": 10_000}
"""Training windows for kinds whose cost grows with their square, unlabelled ones among them."""


def _probabilities(task: str, predicted: list[np.ndarray]) -> np.ndarray:
    if task == "single_label":
        return predicted[0]
    return np.stack([column[:, 1] for column in predicted], axis=1)


def _margins_to_classes(margins: np.ndarray) -> np.ndarray:
    """Decision values [W, K], or [W] between two classes, to rows that sum to one."""
    if margins.ndim == 1:
        return np.stack([expit(-margins), expit(margins)], axis=1)
    return softmax(margins, axis=1)
