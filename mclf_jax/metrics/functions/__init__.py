"""One metric a function, for notebooks and for `eval.metrics`: scores and targets in, a number out.

N songs, K labels. Targets that are int [N] are single labels, [N, K] tags or numbers, in which NaN
is what nobody looked for: it counts neither for nor against. A label that the songs leave undefined
is left out of a mean over labels, as in `metrics.compute`, which says when that is.
"""
