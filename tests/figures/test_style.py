"""How labels and metrics are called."""

from mclf_jax.figures.style import short, title_of


def test_labels_are_shortened_and_made_printable():
    assert short("a\nb\udce9") == "a b"
    assert len(short("x" * 100)) == 26
    assert short("") == " "
    assert title_of("pr_auc_macro") == "PR-AUC, macro"
