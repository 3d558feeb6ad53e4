"""`mclf data list`: what is published about the data sets that can be read."""

import textwrap

from mclf_jax import data

_WIDTH = 96


def table() -> str:
    """All data sets, a block of lines each."""
    blocks = []
    for name, facts in data.facts().items():
        lines = [f"{name:<20}{facts.title}: {facts.contents}"]
        tasks = ", ".join(sorted(set(facts.tasks.values())))
        lines.append(f"{'':<20}{tasks.replace('_', '-')}; groups: {facts.group}; {facts.licence}")
        if facts.splits:
            variant, sizes = next(iter(facts.splits.items()))
            listed = " / ".join(f"{split} {size:,}" for split, size in sizes.items())
            lines.append(f"{'':<20}{listed}" + f" ({variant})" * bool(variant))
        blocks.append("\n".join(lines))
    blocks.append("More on one of them, and where to get it: mclf data list NAME")
    return "\n".join(blocks)


def describe(name: str) -> str:
    """Everything that is known of a data set, its faults above all.

    Raises:
        ValueError: there is no such data set.
    """
    known = data.facts()
    if name not in known:
        raise ValueError(f"data set {name!r}; there are {', '.join(known)}")
    facts = known[name]
    lines = [f"{facts.title} ({name})", facts.contents, ""]
    options = ", ".join(f"{key}={value}" for key, value in data.options_of(name).items())
    for label, text in (
        ("options", options),
        ("groups", facts.group),
        ("version", facts.version),
        ("licence", facts.licence),
        ("from", facts.url),
        ("cite", facts.citation),
    ):
        if text:
            lines += _hanging(label, text)
    for variant, task in facts.tasks.items():
        sizes = facts.splits.get(variant, {})
        listed = " / ".join(f"{split} {size:,}" for split, size in sizes.items())
        what = "; ".join(filter(None, (task.replace("_", "-"), listed)))
        lines += _hanging(variant or "task", what)
    if facts.faults:
        lines += ["", "Know before you trust a score:"]
        lines += [line for fault in facts.faults for line in _hanging("-", fault, width=2)]
    return "\n".join(lines)


def _hanging(label: str, text: str, *, width: int = 28) -> list[str]:
    indent = " " * width
    return textwrap.wrap(
        text, _WIDTH, initial_indent=f"{label:<{width - 1}} ", subsequent_indent=indent
    )
