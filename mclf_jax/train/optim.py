"""The optimiser that a config asks for: schedule, clipping, weight decay, update rule."""

import functools
import inspect
import itertools
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from ml_collections import ConfigDict

from mclf_jax.common import checks, plugins


class Phase(NamedTuple):
    """A stretch of training with one update rule and one learning rate.

    Attributes:
        first_step: steps taken before it.
        name: one of `OPTIMIZERS`.
        learning_rate: at its start.
    """

    first_step: int
    name: str
    learning_rate: float


class Optimizer(NamedTuple):
    """An optax transformation, and what it does by step, for the logs.

    Attributes:
        transform: gradients to updates.
        schedule: learning rate by step.
        phases: of the run, in order; one, unless the config names more.
    """

    transform: optax.GradientTransformation
    schedule: optax.Schedule
    phases: tuple[Phase, ...]


def build(
    config: ConfigDict,
    *,
    total_steps: int,
    phase_steps: Sequence[int] = (),
    first_steps: Mapping[str, int] | None = None,
    factors: Mapping[str, float] | None = None,
    head_factors: Mapping[str, float] | None = None,
) -> Optimizer:
    """The optimiser of the `optim` section of a config, for a run of `total_steps`.

    `optim.name` is one of `OPTIMIZERS`, or a function from outside (`common.plugins`), such as
    "optax:adafactor", of the arguments `optim.args`: one that takes `learning_rate` is given the
    schedule and makes whole updates; another one, such as "optax:scale_by_adam", makes a direction
    that the learning rate scales.

    Its `phases` change rule and learning rate on the way, as in Won et al. 2020: the training
    loop evaluates before each and goes on from the best weights so far; of a network
    that learns without labels, from the newest.

    Args:
        config: the section.
        total_steps: of the run.
        phase_steps: where its `phases` start, see `config.phase_steps`.
        first_steps: name of a parameter of the model -> steps taken before it trains, see
            `models.freezing.plan`. Until then it gets no update at all and the rule remembers
            nothing of it. Gradients of frozen parameters must be 0, or clipping would count them.
        factors: name -> factor of the learning rate, of the decoupled weight decay too; see
            `models.layer_rates.factors`.
        head_factors: the same of what is beside the model, see `models.layer_rates.head_factors`.

    Raises:
        ValueError: an unknown name, or a warm-up longer than the run.
    """
    phases = _phases(config, phase_steps)
    learning_rate = schedule(config, total_steps=total_steps)
    if len(phases) > 1:
        rates = [optax.constant_schedule(phase.learning_rate) for phase in phases]
        learning_rate = optax.join_schedules(rates, list(phase_steps))
    # Where only the learning rate changes, the rule and what it remembers go on.
    turns = [next(same) for _, same in itertools.groupby(phases, key=lambda phase: phase.name)]
    chain = []
    if config.grad_clip_norm > 0:
        chain.append(optax.clip_by_global_norm(config.grad_clip_norm))
    if first_steps:
        groups = {
            start: optax.chain(*_rules(config, turns, start=start, learning_rate=learning_rate))
            for start in {0, *first_steps.values()}
        }
        chain.append(optax.multi_transform(groups, _by_name(first_steps, default=0)))
    else:
        chain += _rules(config, turns, start=0, learning_rate=learning_rate)
    if factors or head_factors:
        chain.append(scale_by_name(factors or {}, head_factors=head_factors or {}))
    if not _makes_whole_updates(config.name):
        chain.append(optax.scale_by_learning_rate(learning_rate))
    return Optimizer(optax.chain(*chain), learning_rate, phases)


def scaled_for_batch(config: ConfigDict, *, batch_size: int) -> ConfigDict:
    """The section with learning rates for batches of this size, by `optim.batch_rule`.

    `optim.learning_rate` and those of `optim.phases` are for `optim.base_batch_size` songs. With
    n times as many the rate is n times as high by "linear" (Goyal et al. 2017, with a warm-up), or
    sqrt(n) times by "sqrt" (Krizhevsky 2014; for Adam and LARS, You et al. 2020); "none" leaves it.

    Args:
        config: of which nothing is changed.
        batch_size: over all devices.
    """
    power = {"none": 0.0, "linear": 1.0, "sqrt": 0.5}[config.batch_rule]
    factor = (batch_size / config.base_batch_size) ** power
    scaled = config.copy_and_resolve_references()
    scaled.learning_rate = factor * config.learning_rate
    scaled.phases = tuple((start, name, factor * rate) for start, name, rate in config.phases)
    return scaled


def _rules(
    config: ConfigDict, turns: Sequence[Phase], *, start: int, learning_rate: optax.Schedule
) -> list[optax.GradientTransformation]:
    """For parameters that train from step `start` on: until then nothing, then rules in turn."""
    rules = [[optax.set_to_zero()]] if start else []
    first_steps = [0] if start else []
    ends = [*(turn.first_step for turn in turns[1:]), sys.maxsize]
    for turn, end in zip(turns, ends, strict=True):
        if start < end:
            first_steps.append(max(start, turn.first_step))
            later = functools.partial(_at, learning_rate, first_steps[-1])
            rules.append(_rule(config, turn.name, learning_rate=later))
    if len(rules) == 1:
        return rules[0]
    return [in_turn([optax.chain(*rule) for rule in rules], first_steps=first_steps)]


def scale_by_name(
    factors: Mapping[str, float], *, head_factors: Mapping[str, float]
) -> optax.GradientTransformation:
    """Updates times the factors of their names, of the model and of what is beside; others stay."""
    factor_of = _by_name(factors, beside=head_factors, default=1.0)
    return optax.stateless(
        lambda updates, _: jax.tree.map(lambda f, u: f * u, factor_of(updates), updates)
    )


def _by_name(
    values: Mapping[str, Any], *, beside: Mapping[str, Any] | None = None, default: Any
) -> Callable[[Any], Any]:
    """A function of the tree of all parameters to the same tree of values.

    Names of `values` are of the model's parameters, "layer1.conv.kernel", which lie below "model";
    those of `beside` are of the others, "projector.layers_0.kernel". The rest has the default.
    """

    def value(key_path, _):
        section, *path = (part.key for part in key_path)
        if section == "model":
            return values.get(".".join(path), default)
        return (beside or {}).get(".".join((section, *path)), default)

    return lambda tree: jax.tree_util.tree_map_with_path(value, tree)


def _phases(config: ConfigDict, phase_steps: Sequence[int]) -> tuple[Phase, ...]:
    phases = [Phase(0, config.name, config.learning_rate)]
    for first_step, (_, name, learning_rate) in zip(phase_steps, config.phases, strict=True):
        phases.append(Phase(first_step, name, learning_rate))
    # A rule from outside has the schedule of the whole run, so it is no phase of one.
    for number, phase in enumerate(phases if len(phases) > 1 else ()):
        field = f"optim.phases[{number - 1}][1]" if number else "optim.name"
        checks.choice(field, phase.name, OPTIMIZERS)
    return tuple(phases)


def _at(schedule: optax.Schedule, first_step: int, count: jax.Array) -> jax.Array:
    """What a schedule says to a rule whose own first step is `first_step` of the run."""
    return schedule(count + first_step)


def _makes_whole_updates(name: str) -> bool:
    return "learning_rate" in inspect.signature(_function(name)).parameters


def _function(name: str) -> Callable[..., optax.GradientTransformation]:
    if name in OPTIMIZERS:
        return OPTIMIZERS[name][0]
    found = plugins.find("optimizers", name, field="optim.name", known=sorted(OPTIMIZERS))
    if not callable(found):
        raise ValueError(
            f"optim.name is {name!r}, which is {found!r}; it must be a function that returns an "
            "optax.GradientTransformation"
        )
    return found


def _rule(
    config: ConfigDict, name: str, *, learning_rate: optax.Schedule
) -> list[optax.GradientTransformation]:
    """Weight decay and update rule, in the order that `OPTIMIZERS` says."""
    function, given = _function(name), dict(config.args)
    takes = dict(inspect.signature(function).parameters)
    if takes.pop("learning_rate", None):
        given["learning_rate"] = learning_rate
    # Arguments are of the rule that `optim.name` names; others of its phases have none.
    mine = given if name == config.name else {}
    checks.arguments("optim.args", mine.keys() - {"learning_rate"}, takes, of=name)
    rule = function(**mine)
    if not isinstance(rule, optax.GradientTransformation):
        raise ValueError(f"optim.name is {name!r}, which returns no optax.GradientTransformation")
    if not config.weight_decay:
        return [rule]
    if name not in OPTIMIZERS:
        raise ValueError(
            f"optim.weight_decay is {config.weight_decay}, but optim.name is {name!r}; set it to 0 "
            "and give what that takes, such as optim.args.weight_decay"
        )
    decay = optax.add_decayed_weights(
        config.weight_decay, mask=kernels_only if config.decay_mask == "kernels" else None
    )
    return [decay, rule] if OPTIMIZERS[name][1] == "coupled" else [rule, decay]


def scale_by_lars(
    *, trust_coefficient: float = 1e-3, momentum: float = 0.9, eps: float = 1e-8
) -> optax.GradientTransformation:
    """Layer-wise adaptive rates, then momentum (You et al. 2017, algorithm 1, as in SimCLR).

    The update of each kernel, decayed weights included, gets `trust_coefficient` times the length
    of the kernel; biases and normalisation keep theirs. The learning rate comes after the
    momentum, as in PyTorch's SGD, so a change of it acts at once.

    Args:
        trust_coefficient: eta.
        momentum: without Nesterov's correction.
        eps: added to the length of the update.
    """
    trust = optax.scale_by_trust_ratio(trust_coefficient=trust_coefficient, eps=eps)
    return optax.chain(optax.masked(trust, kernels_only), optax.trace(decay=momentum))


# name -> (update rule, how weight decay enters). "coupled" adds decay * weight to the gradient
# (PyTorch's weight_decay for Adam and SGD); "decoupled" to the update (Loshchilov & Hutter 2019).
# The momentum of "sgd" is Nesterov's.
OPTIMIZERS = {
    "adam": (optax.scale_by_adam, "coupled"),
    "adamw": (optax.scale_by_adam, "decoupled"),
    "lars": (scale_by_lars, "coupled"),
    "lion": (optax.scale_by_lion, "decoupled"),
    "momentum": (functools.partial(optax.trace, decay=0.9), "coupled"),
    "sgd": (functools.partial(optax.trace, decay=0.9, nesterov=True), "coupled"),
}
# Those that a config names without a colon.
SCHEDULES = {
    "constant": optax.constant_schedule,
    "cosine": optax.cosine_decay_schedule,
    "linear": optax.linear_schedule,
}


class InTurnState(NamedTuple):
    """Steps taken, and the state of each rule."""

    count: jax.Array
    rules: tuple[Any, ...]


def in_turn(
    rules: Sequence[optax.GradientTransformation], *, first_steps: Sequence[int]
) -> optax.GradientTransformation:
    """One update rule after another, all in one compiled step.

    Each has a state of its own, which nothing touches before its turn: it starts afresh, as a
    new optimiser object does in PyTorch.

    Args:
        rules: in order.
        first_steps: steps taken before each one's turn, rising from 0.
    """

    def init(params):
        return InTurnState(jnp.zeros((), jnp.int32), tuple(rule.init(params) for rule in rules))

    def update(grads, state, params=None):
        turn = jnp.searchsorted(jnp.array(first_steps), state.count, side="right") - 1
        chosen, states = grads, []
        # All are computed: choosing is fused with that, where `lax.switch` would copy states.
        for number, (rule, old) in enumerate(zip(rules, state.rules, strict=True)):
            updates, new = rule.update(grads, old, params)
            pick = functools.partial(jnp.where, turn == number)
            chosen = jax.tree.map(pick, updates, chosen)
            states.append(jax.tree.map(pick, new, old))
        return chosen, InTurnState(state.count + 1, tuple(states))

    return optax.GradientTransformation(init, update)


def schedule(config: ConfigDict, *, total_steps: int) -> optax.Schedule:
    """Learning rate by step: linear warm-up, then `optim.schedule`.

    That is one of `SCHEDULES`, "cosine" and "linear" down to zero at `total_steps`; or a function
    from outside (`common.plugins`), such as "optax:cosine_onecycle_schedule". It is given
    `optim.schedule_args` and, of the parameters that it has and these lack: `peak_value`, without
    which `init_value` or `value`, is `optim.learning_rate`; `decay_steps`, `transition_steps` and
    `total_steps` are those of the run; `warmup_steps` is `optim.warmup_steps`, and then the warm-up
    is its own.
    """
    warmup, peak = config.warmup_steps, config.learning_rate
    if warmup >= total_steps:
        raise ValueError(
            f"optim.warmup_steps is {warmup}; it must be less than the {total_steps} steps "
            "of the run (train.num_steps, train.num_epochs)"
        )
    name = config.schedule
    function = SCHEDULES.get(name) or plugins.find(
        "schedules", name, field="optim.schedule", known=sorted(SCHEDULES)
    )
    takes = dict(inspect.signature(function).parameters)
    own_warmup = "warmup_steps" in takes
    steps = total_steps if own_warmup else total_steps - warmup
    known = dict.fromkeys(("decay_steps", "transition_steps", "total_steps"), steps)
    known |= {"warmup_steps": warmup, "end_value": 0.0, "peak_value": peak, "value": peak}
    known["init_value"] = 0.0 if "peak_value" in takes else peak
    # What has a default of its own, such as how long a part lasts, keeps that.
    needed = {key for key, one in takes.items() if one.default is one.empty}
    given = {key: known[key] for key in needed & known.keys()} | _int_keys(config.schedule_args)
    checks.arguments("optim.schedule_args", given, takes, of=name)
    main = function(**given)
    if not warmup or own_warmup:
        return main
    # From peak / warmup, so that the first step already learns.
    ramp = optax.linear_schedule(peak / warmup, peak, warmup - 1)
    return optax.join_schedules([ramp, main], [warmup])


def _int_keys(arguments: ConfigDict) -> dict[str, Any]:
    """Arguments of which a mapping by steps has numbers again, which configs have as words."""
    plain = arguments.to_dict()
    return {
        key: {int(step): each for step, each in value.items()} if isinstance(value, dict) else value
        for key, value in plain.items()
    }


def kernels_only(params: Any) -> Any:
    """True for matrices and convolution kernels, False for biases and normalisation."""
    return jax.tree.map(lambda p: jnp.ndim(p) > 1, params)


def update_ema(average: Any, new: Any, *, decay: float, step: jax.Array) -> Any:
    """Exponential moving average whose decay grows from 0, so that it forgets the start.

    decay_t = min(decay, (1 + t) / (10 + t)), as in TensorFlow's ExponentialMovingAverage.
    """
    decay = jnp.minimum(decay, (1.0 + step) / (10.0 + step))
    return jax.tree.map(lambda a, n: a + (1.0 - decay) * (n - a), average, new)
