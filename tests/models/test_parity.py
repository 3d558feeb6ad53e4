"""The networks compute the same functions as their published PyTorch versions."""

import numpy as np
import pytest

from tests.models.differences import CASES, TOLERANCES, differences

# XLA's one-dimensional convolutions take minutes in float64 on a CPU, so these are compared in
# float32 here; `python -m tests.models.differences` compares all of them in float64.
FLOAT32 = {"sample_cnn", "sample_cnn_se", "clmr_sample_cnn", "musicnn_msd"}


@pytest.mark.usefixtures("quick_compiles")
@pytest.mark.parametrize("case", CASES)
def test_scores_are_those_of_the_published_network(case):
    found = differences(case, precision=np.float32, modes=("evaluation",))
    assert {"logits", "embedding"} <= found.keys()
    _check(found)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_learns_as_the_published_network(case):
    """In training; of evaluation the test above is as strict."""
    precision = np.float32 if case in FLOAT32 else np.float64
    found = differences(case, precision=precision, modes=("training",))
    _check(found)
    assert found.keys() == {"train_logits", "train_loss", "gradient_norms", "batch_statistics"}


def _check(found):
    too_large = {kind: value for kind, value in found.items() if not value < TOLERANCES[kind]}
    assert not too_large
