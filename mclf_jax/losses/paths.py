"""Labels in a tree, learnt as a path: of each label, how likely it is where the one above it is.

Redmon and Farhadi (2017, "YOLO9000: Better, Faster, Stronger", section 4) call it hierarchical
classification; here each label of a parent is decided on its own, so that a song may have several.
A tree is int [K]: of each label the column of the one above it, -1 at the top.
"""

from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np

Tree = tuple[int, ...]


def tree_of(labels: Sequence[str], parents: Mapping[str, str]) -> Tree:
    """The tree of some labels; labels above that are not among them are stepped over.

    Raises:
        ValueError: a label is above itself.

    >>> tree_of(("rock", "punk", "post-punk"), {"post-punk": "punk", "punk": "rock"})
    (-1, 0, 1)
    """
    column = {label: k for k, label in enumerate(labels)}
    found = []
    for label in labels:
        path = [label]
        while path[-1] in parents and (len(path) == 1 or path[-1] not in column):
            path.append(parents[path[-1]])
            if path[-1] in path[:-1]:
                raise ValueError(f"parents go in a circle: {' -> '.join(path)}")
        found.append(column[path[-1]] if len(path) > 1 and path[-1] in column else -1)
    tree = tuple(found)
    levels(tree)
    return tree


def levels(tree: Tree) -> tuple[tuple[int, ...], ...]:
    """Columns of each depth, those at the top first.

    Raises:
        ValueError: a label is above itself.
    """
    found: list[tuple[int, ...]] = []
    above, left = {-1}, set(range(len(tree)))
    while left:
        level = tuple(k for k in sorted(left) if tree[k] in above)
        if not level:
            raise ValueError(f"parents go in a circle: columns {sorted(left)}")
        found.append(level)
        above, left = set(level), left - set(level)
    return tuple(found)


def path_scores(logits: jax.Array, tree: Tree) -> jax.Array:
    """Probabilities [..., K] of labels from conditional logits: products along the paths.

    A label's is never above that of its parent, to the last bit.

    >>> path_scores(jnp.zeros((1, 3)), (-1, 0, 1))
    Array([[0.5  , 0.25 , 0.125]], dtype=float32)
    """
    scores = jax.nn.sigmoid(logits)
    parents = np.array(tree)
    for level in levels(tree)[1:]:
        columns = np.array(level)
        scores = scores.at[..., columns].multiply(scores[..., parents[columns]])
    return scores


def conditional_cross_entropy(
    logits: jax.Array, labels: jax.Array, tree: Tree, *, pos_weight: jax.Array | float = 1.0
) -> jax.Array:
    """Cross-entropy of paths: each label is decided in songs that have the one above it.

    -(w y log sigmoid(z) + (y_parent - y) log(1 - sigmoid(z))) of each label, y_parent being 1 at
    the top, the mean over the observed labels: but for a factor, the negative logarithm of the
    probability that `path_scores` give to the labels of the song.

    Args:
        logits: [B, K], conditional.
        labels: float [B, K] in [0, 1], closed under the tree (a label comes with those above it),
            NaN where not observed; mixtures are of songs that are so.
        tree: [K].
        pos_weight: [K] or a number, see `losses.sigmoid_cross_entropy`.

    Returns:
        [B], in nats.

    >>> labels = jnp.array([[1.0, 0.0, 0.0]])  # the third is not asked, as the second is not there
    >>> conditional_cross_entropy(jnp.array([[0.0, 0.0, 9.0]]), labels, (-1, 0, 1)).round(3)
    Array([0.462], dtype=float32)
    """
    parents = np.array(tree)
    above = jnp.where(parents < 0, 1.0, labels[..., np.maximum(parents, 0)])
    # Below what is known to be absent nothing is asked, whether somebody looked or not.
    absent = above == 0
    observed = ~(jnp.isnan(labels) | jnp.isnan(above)) | absent
    asked = observed & ~absent
    logits = jnp.where(asked, logits, 0)
    labels, above = jnp.where(asked, labels, 0), jnp.where(asked, above, 0)
    positive = labels * jax.nn.log_sigmoid(logits)
    negative = jnp.maximum(above - labels, 0) * jax.nn.log_sigmoid(-logits)
    total = (pos_weight * positive + negative).sum(axis=-1)
    return -total / jnp.maximum(observed.sum(axis=-1), 1)
