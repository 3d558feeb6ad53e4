"""Small classifiers and regressors on frozen embeddings, made by scikit-learn.

Each kind is a generator of candidates: settings from the most to the least regularised, or the
epochs of a network. The valid split decides between them, by song-level score; the test split is
scored with the one that was chosen.

Shapes: N songs, W windows, D embedding, K labels. A candidate predicts [W, K]: probabilities, or
for regression numbers.
"""

# pyright: reportAttributeAccessIssue=false, reportCallIssue=false, reportRedeclaration=false
# Scikit-learn's types are unions of all that any estimator may return.

import dataclasses
import itertools
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from scipy.special import expit, softmax
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import NearestNeighbors
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.preprocessing import normalize
from sklearn.svm import SVC, SVR

from mclf_jax.shallow.graph.harmonic import harmonic_functions
from mclf_jax.shallow.graph.spreading import label_spreading
from mclf_jax.shallow.graph.ties import remember

Predict = Callable[[np.ndarray], np.ndarray]
Candidates = Iterator[tuple[dict[str, Any], Predict]]

HIDDEN_UNITS = 512
MAX_EPOCHS = 200
_ALPHAS = tuple(10.0**power for power in range(5, -4, -1))
_STRENGTHS = tuple(10.0**power for power in range(-5, 3))
_NEIGHBOURS = (200, 100, 50, 20, 10, 5, 3, 1)
_SVM_STRENGTHS = (0.1, 1.0, 10.0, 100.0)
_SVM_WIDTHS = (0.25, 1.0, 4.0)


@dataclasses.dataclass(frozen=True, eq=False)
class Layers:
    """What "linear" and "mlp" have learnt, as plain arrays: a `Predict` that can be kept.

    Attributes:
        task: one of `data.base.source.TASKS`; between softmax, sigmoid and plain numbers.
        layers: {"kernel" [D, ...], "bias"} each, with ReLU between them.
    """

    task: str
    layers: tuple[Mapping[str, np.ndarray], ...]

    def __call__(self, x: np.ndarray) -> np.ndarray:
        for number, layer in enumerate(self.layers):
            x = np.maximum(x, 0) if number else x
            x = x @ layer["kernel"] + layer["bias"]
        if self.task == "regression":
            return x
        return softmax(x, axis=1) if self.task == "single_label" else expit(x)


def linear(task: str, x: np.ndarray, y: np.ndarray, *, seed: int) -> Candidates:
    """Logistic regression, or ridge regression; the strength of the L2 penalty is to be chosen.

    Args:
        task: one of `data.base.source.TASKS`.
        x: standardised [W, D].
        y: int [W] of classes 0 to K - 1, each there at least once and two of them at least; or
            [W, K] of zeros and ones, both there in each column; or numbers [W, K].
        seed: of whatever is drawn.
    """
    if task == "regression":
        for alpha in _ALPHAS:
            ridge = Ridge(alpha=alpha).fit(x, y)
            kernel = ridge.coef_.reshape(-1, x.shape[1]).T
            yield {"alpha": alpha}, _layers(task, [kernel], [np.atleast_1d(ridge.intercept_)])
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
        kernel = np.concatenate([model.coef_ for model in models]).T
        bias = np.concatenate([model.intercept_ for model in models])
        yield {"C": strength}, _layers(task, [kernel], [bias])


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
        mean, scale = 0.0, 1.0
    targets = targets[:, 0] if targets.ndim == 2 and targets.shape[1] == 1 else targets
    for epoch in range(1, MAX_EPOCHS + 1):
        network.partial_fit(x, targets, **first)
        first = {}
        *kernels, last = network.coefs_
        *biases, last_bias = network.intercepts_
        kernels, biases = [*kernels, last * scale], [*biases, last_bias * scale + mean]
        yield {"epoch": epoch}, _layers(task, kernels, biases)


def knn(task: str, x: np.ndarray, y: np.ndarray, *, seed: int) -> Candidates:
    """Means over the k nearest windows by cosine similarity; arguments as in `linear`."""
    answers = np.eye(y.max() + 1)[y] if task == "single_label" else y.astype(np.float64)
    most = min(len(x), _NEIGHBOURS[0])
    # Of unit vectors the nearest by distance are those by cosine, and that search is quicker.
    index = NearestNeighbors(n_neighbors=most, algorithm="brute").fit(normalize(x))
    search = remember(lambda z: index.kneighbors(normalize(z), return_distance=False))
    for k in (min(k, most) for k in _NEIGHBOURS):
        yield {"k": k}, lambda z, k=k: answers[search(z)[:, :k]].mean(axis=1)


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

TRANSDUCTIVE = {
    "label_spreading": label_spreading,
    "harmonic_functions": harmonic_functions,
}
"""Kinds that learn from windows without labels, too: name to generator of candidates."""

PATIENCE = {"mlp": 20}
"""Candidates without a better one after which no more are tried; all are where none is given."""

MAX_WINDOWS = {"svm": 5000} | dict.fromkeys(TRANSDUCTIVE, 10_000)
"""Training windows for kinds whose cost grows with their square, unlabelled ones among them."""


def _layers(task: str, kernels: list[np.ndarray], biases: list[np.ndarray]) -> Layers:
    """Of copies, because networks go on learning in place."""
    if task == "single_label" and len(biases[-1]) == 1:
        # Scikit-learn has one output for two classes; softmax wants two.
        kernels[-1] = np.pad(kernels[-1], ((0, 0), (1, 0)))
        biases[-1] = np.pad(biases[-1], (1, 0))
    pairs = zip(kernels, biases, strict=True)
    return Layers(task, tuple({"kernel": k.copy(), "bias": b.copy()} for k, b in pairs))


def _margins_to_classes(margins: np.ndarray) -> np.ndarray:
    """Decision values [W, K], or [W] between two classes, to rows that sum to one."""
    if margins.ndim == 1:
        return np.stack([expit(-margins), expit(margins)], axis=1)
    return softmax(margins, axis=1)
