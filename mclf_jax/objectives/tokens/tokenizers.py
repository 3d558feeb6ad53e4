"""What the codes are: of random projections, of rounded ones, or of a network that was trained.

Legend: B songs, T samples, n tokens along time, C streams of codes, K codes in each.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mclf_jax.models import Model
from mclf_jax.models.layers.quantizer import nearest_by_cosine
from mclf_jax.objectives import running_moments
from mclf_jax.objectives.context import Teacher
from mclf_jax.objectives.tokens.representations import Stacked, Timing, timing_of

PyTree = Any
_PRECISION = jax.lax.Precision.HIGHEST
_xavier_normal = jax.nn.initializers.glorot_normal()


class Tokenizer(NamedTuple):
    """What turns sound into codes, of which nothing is trained.

    Attributes:
        streams: names of the C streams.
        num_codes: K.
        init: key -> what it consists of.
        tokenize: (that, audio [B, T], mode) -> (codes int [B, n, C], what it consists of). In mode
            "train" it may follow what it hears, in "evaluate" it stays.
    """

    streams: tuple[str, ...]
    num_codes: int
    init: Callable[[jax.Array], PyTree]
    tokenize: Callable[[PyTree, jax.Array, str], tuple[jax.Array, PyTree]]


def random_projection(
    representations: dict[str, Stacked],
    *,
    num_samples: int,
    num_codebooks: int,
    num_codes: int,
    code_dim: int,
    decay: float,
) -> Tokenizer:
    """The code that is nearest to a projection, both drawn once (BEST-RQ, Chiu et al. 2022).

    Projections are Xavier normal; codes and what is projected have length 1.

    Args:
        representations: by name; each has streams of its own.
        num_samples: T of a window.
        num_codebooks: of each representation.
        num_codes: K.
        code_dim: of a code.
        decay: of the moments, see `running_moments.update`.
    """

    def init_quantizer(key, size):
        projection_key, code_key = jax.random.split(key)
        shape = (num_codebooks, size, code_dim)
        return {
            "projection": _each(projection_key, shape),
            "codes": jax.random.normal(code_key, (num_codebooks, num_codes, code_dim)),
        }

    def quantize(state, x):
        nearest = jax.vmap(nearest_by_cosine, in_axes=(-2, 0), out_axes=-1)
        return nearest(_project(x, state["projection"]), state["codes"])

    names = _numbered(representations, num_codebooks)
    made = _of_representations(representations, init_quantizer, quantize, num_samples, decay)
    return Tokenizer(names, num_codes, *made)


def finite_scalar(
    representations: dict[str, Stacked],
    *,
    num_samples: int,
    num_codebooks: int,
    levels: tuple[int, ...],
    decay: float,
) -> Tokenizer:
    """Each number of a random projection rounded to one of some levels (Mentzer et al. 2024).

    As in OMAR-RQ: the projection is Xavier normal, and levels lie evenly on both sides of 0.

    Args:
        representations, num_samples, num_codebooks, decay: as of `random_projection`.
        levels: of each number; their product is K.
    """

    def init_quantizer(key, size):
        return {"projection": _each(key, (num_codebooks, size, len(levels)))}

    def quantize(state, x):
        return round_to_levels(_project(x, state["projection"]), levels)

    names = _numbered(representations, num_codebooks)
    made = _of_representations(representations, init_quantizer, quantize, num_samples, decay)
    return Tokenizer(names, math.prod(levels), *made)


def trained(teacher: Teacher, model: Model, timing: Timing, *, path: str) -> Tokenizer:
    """The codes of a network of an earlier run, such as "rvq", a stream for each of its stages.

    Args:
        teacher: that network.
        model: which is to tell them.
        timing: of its tokens.
        path: of the run, for messages.

    Raises:
        ValueError: it has no codes, or hears audio otherwise than the model.
    """
    tells = teacher.model
    own = timing_of(tells, output="codes", needed_by="objective.args.tokenizer 'trained'")
    rates = tells.features.sample_rate_hz, model.features.sample_rate_hz
    if rates[0] != rates[1] or own.hop != timing.hop:
        raise ValueError(
            f"objective.args.teacher is {path!r}, whose codes are of {own.hop} samples at "
            f"{rates[0]} Hz, and tokens of {model.name} of {timing.hop} at {rates[1]} Hz; they "
            "must be the same: see features and model.args of both"
        )

    def init(key):
        del key
        return jax.tree.map(jnp.array, teacher.variables)

    def codes_of(variables, audio):
        return tells.module.apply(variables, tells.features(audio), train=False)["codes"]

    def tokenize(variables, audio, mode):
        del mode
        return codes_of(variables, audio)[:, : timing.count], variables

    audio = jax.ShapeDtypeStruct((1, model.window_samples), "float32")
    shape = jax.eval_shape(codes_of, teacher.variables, audio).shape
    if shape[1] < timing.count:
        raise ValueError(
            f"objective.args.teacher is {path!r}, which makes {shape[1]} codes of "
            f"{model.window_s:g} s, of which {model.name} makes {timing.count} tokens"
        )
    names = tuple(f"stage_{number + 1}" for number in range(shape[2]))
    return Tokenizer(names, tells.module.num_codes, init, tokenize)


def round_to_levels(x: jax.Array, levels: Sequence[int]) -> jax.Array:
    """Codes of numbers that are squeezed into levels, [..., L] -> int [...] below their product.

    Number l goes to floor((levels[l] - 1) (tanh(x) + 1) / 2 + 1/2), one of levels[l]; the first one
    is the least significant of the code. (Parker et al. 2024, https://arxiv.org/abs/2411.19842,
    section 3.2, whose levels are the same on both sides of 0.)

    >>> round_to_levels(jnp.array([[-9.0, -9.0], [9.0, 0.0]]), (4, 3))
    Array([0, 7], dtype=int32)
    """
    sizes = np.asarray(levels)
    at = jnp.floor((sizes - 1) * (jnp.tanh(x) + 1) / 2 + 0.5).astype(jnp.int32)
    basis = np.cumprod([1, *sizes[:-1]])
    return (at * jnp.asarray(basis, jnp.int32)).sum(axis=-1, dtype=jnp.int32)


def _of_representations(representations, init_quantizer, quantize, num_samples, decay):
    """`init` and `tokenize` of quantizers of normalised representations."""

    def init(key):
        keys = jax.random.split(key, len(representations))
        return {
            name: {
                "quantizer": init_quantizer(one, representation.size(num_samples)),
                "moments": running_moments.init(1),
            }
            for one, (name, representation) in zip(keys, representations.items(), strict=True)
        }

    def tokenize(state, audio, mode):
        codes, new_state = [], {}
        for name, representation in representations.items():
            x, moments = representation(audio)[..., None], state[name]["moments"]
            if mode == "train":
                moments = running_moments.update(moments, x, decay=decay)
            normal = running_moments.normalized(x, moments)[..., 0]
            codes.append(quantize(state[name]["quantizer"], normal))
            new_state[name] = state[name] | {"moments": moments}
        return jnp.concatenate(codes, axis=-1), new_state

    return init, tokenize


def _each(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """Xavier normal, a matrix for each of the first axis."""
    keys = jax.random.split(key, shape[0])
    return jnp.stack([_xavier_normal(one, shape[1:]) for one in keys])


def _project(x: jax.Array, projection: jax.Array) -> jax.Array:
    """[B, n, M], [C, M, D] -> [B, n, C, D]."""
    return jnp.einsum("bnm,cmd->bncd", x, projection, precision=_PRECISION)


def _numbered(names, count: int) -> tuple[str, ...]:
    if count == 1:
        return tuple(names)
    return tuple(f"{name}_{number + 1}" for name in names for number in range(count))
