"""Figures of a checked data set."""

import numpy as np
from scipy import sparse

from mclf_jax.figures import dataset


def test_co_occurrence_puts_like_by_like():
    together = np.diag([50, 50, 40, 40])
    together[0, 2] = together[2, 0] = 38
    together[1, 3] = together[3, 1] = 38
    drawn = dataset.co_occurrence(sparse.csr_array(together), labels=["a", "b", "a2", "b2"])
    names = [text.get_text() for text in drawn.axes[0].get_yticklabels()]
    assert sorted(names) == ["a", "a2", "b", "b2"]
    assert abs(names.index("a") - names.index("a2")) == 1
    assert abs(names.index("b") - names.index("b2")) == 1
