"""The networks compute the same functions as their published PyTorch versions."""

import numpy as np
import pytest

from tests.models.differences import CASES, TOLERANCES, differences

# Where float32 alone takes most of a tolerance; the others are well within theirs, and quicker so.
# `python -m tests.models.differences` compares all of them in float64.
FLOAT64 = {"short_chunk_cnn", "short_chunk_resnet"}


@pytest.mark.usefixtures("quick_compiles")
@pytest.mark.parametrize("case", CASES, scope="module")  # one case after the other
def test_scores_are_those_of_the_published_network(case):
    found = differences(case, precision=np.float32, modes=("evaluation",))
    assert {"logits", "embedding"} <= found.keys()
    _check(found)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, scope="module")  # one case after the other
def test_learns_as_the_published_network(case, request):
    """In training; of evaluation the test above is as strict."""
    precision = np.float64 if case in FLOAT64 else np.float32
    if precision is np.float32:  # convolutions in float64 take minutes so
        request.getfixturevalue("quick_compiles")
    found = differences(case, precision=precision, modes=("training",))
    _check(found)
    assert found.keys() == {"train_logits", "train_loss", "gradient_norms", "batch_statistics"}


def _check(found):
    too_large = {kind: value for kind, value in found.items() if not value < TOLERANCES[kind]}
    assert not too_large
