"""Losses: arrays in, one value per example out; reductions happen in one place, the step.

A label that nobody looked for is NaN in multi-label targets and in numbers. It is neither right nor
wrong to predict it: a loss is the mean over the observed labels of each example, and nothing
flows back from the others. An example without any has loss 0.
"""

from mclf_jax.losses.consistency import (
    distillation,
    prediction_distance,
    prediction_entropy,
    pseudo_label_cross_entropy,
)
from mclf_jax.losses.contrastive import byol_regression, info_nce, nt_xent
from mclf_jax.losses.masked import (
    choose_hypotheses,
    prototype_cross_entropy,
    standardized,
)
from mclf_jax.losses.paths import conditional_cross_entropy, path_scores
from mclf_jax.losses.sampled import sampled_softmax_cross_entropy
from mclf_jax.losses.supervised import (
    cosine_distance,
    sigmoid_cross_entropy,
    skeptical_cross_entropy,
    softmax_cross_entropy,
    squared_error,
)

__all__ = [
    "byol_regression",
    "choose_hypotheses",
    "conditional_cross_entropy",
    "cosine_distance",
    "distillation",
    "info_nce",
    "nt_xent",
    "path_scores",
    "prediction_distance",
    "prediction_entropy",
    "prototype_cross_entropy",
    "pseudo_label_cross_entropy",
    "sampled_softmax_cross_entropy",
    "sigmoid_cross_entropy",
    "skeptical_cross_entropy",
    "softmax_cross_entropy",
    "squared_error",
    "standardized",
]
