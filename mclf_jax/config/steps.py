"""Durations in epochs as steps."""

from ml_collections import ConfigDict


def to_steps(config: ConfigDict, name: str, *, batch_size: int, num_examples: int) -> float:
    """A duration given as `{name}_steps` or as `{name}_epochs`, in steps; not rounded."""
    steps, epochs = config[f"{name}_steps"], config[f"{name}_epochs"]
    return steps if steps is not None else epochs * num_examples / batch_size


def evaluation_steps(config: ConfigDict, *, num_examples: int) -> list[int]:
    """The steps after which a run is evaluated and saved, rising; the last one ends the run."""
    sizes = {"batch_size": config.train.batch_size, "num_examples": num_examples}
    total = max(1, round(to_steps(config.train, "num", **sizes)))
    every = max(1.0, to_steps(config.eval, "every", **sizes))
    steps = {round(every * count) for count in range(1, int(total / every) + 1)}
    steps |= set(phase_steps(config, num_examples=num_examples))
    return sorted({step for step in steps if step < total} | {total})


def phase_steps(config: ConfigDict, *, num_examples: int) -> list[int]:
    """The steps after which the phases of `optim.phases` start; at least 1."""
    steps_per_epoch = num_examples / config.train.batch_size
    return [max(1, round(steps_per_epoch * phase[0])) for phase in config.optim.phases]


def unfreeze_steps(config: ConfigDict, *, num_examples: int) -> list[tuple[int, str]]:
    """`init.unfreeze` in steps: (steps taken before it, pattern), ..."""
    steps_per_epoch = num_examples / config.train.batch_size
    return [
        (max(1, round(steps_per_epoch * epoch)), pattern) for epoch, pattern in config.init.unfreeze
    ]
