"""How labels and metrics are called."""

import itertools

import numpy as np
from matplotlib.colors import to_rgb

from mclf_jax.figures.layout import single
from mclf_jax.figures.style import colour, short, styled, title_of


def test_the_first_colours_can_be_told_apart():
    colours = [np.array(to_rgb(colour(number))) for number in range(6)]
    for one, other in itertools.combinations(colours, 2):
        assert np.linalg.norm(one - other) > 0.25


def test_labels_are_shortened_and_made_printable():
    assert short("a\nb\udce9") == "a b"
    assert len(short("x" * 100)) == 26
    assert short("") == " "
    assert title_of("pr_auc_macro") == "PR-AUC, macro"


def test_a_notebook_shows_what_is_drawn():
    figure = styled(lambda: single(2, 1)[0])()
    assert figure._repr_png_().startswith(b"\x89PNG")
