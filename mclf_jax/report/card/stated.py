"""`card.toml` of a run: what only a person knows of it, for the model card."""

import tomllib
from pathlib import Path

from mclf_jax.common import checks, files

FILE_NAME = "card.toml"
FIELDS = {
    "owner": "Who made the model, and answers for it.",
    "contact": "Where to ask and to report what is wrong.",
    "intended_use": "What it is for, and for whom.",
    "out_of_scope": "What it should not be used for.",
    "known_harms": "Whom it may fail or harm, and how; what was done about it.",
    "consent": "Whether artists and owners of the recordings agreed to the training.",
    "annotators": "Who labelled the songs, how, and how far they agreed.",
    "weights_licence": "The licence of the weights, which need not be that of the data.",
    "cite": "How to cite this model.",
}
"""Name to what is asked for."""

_HEAD = """\
# What only a person knows of this run. `mclf card` puts it into the model card; what is empty says
# "Not stated." there. A field is a text, or a list of texts: ["one", "two"]. Longer text stands
# between three quotation marks. This file is never written again.
"""


def write_template(run: Path) -> Path:
    """Write `card.toml` with empty fields, unless there is one, and return its path."""
    path = run / FILE_NAME
    if not path.exists():
        fields = (f'\n# {asked}\n{name} = ""\n' for name, asked in FIELDS.items())
        files.write_text(path, _HEAD + "".join(fields))
    return path


def read(run: Path) -> dict[str, str | list[str]]:
    """What is stated of a run, by field, all of `FIELDS`; "" where nothing is.

    Raises:
        ValueError: the file is no TOML, has other fields, or what is no text in them.
    """
    path = run / FILE_NAME
    if not path.exists():
        return dict.fromkeys(FIELDS, "")
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no text in UTF-8") from error
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ValueError(f"{path} is no TOML: {error}") from error
    checks.only_known(str(path), found, FIELDS, of="a model card")
    for name, value in found.items():
        texts = value if isinstance(value, list) else [value]
        if not all(isinstance(each, str) for each in texts):
            raise ValueError(f"{path}: {name} is {value!r}; it must be a text or a list of texts")
    stated = dict.fromkeys(FIELDS, "") | found
    return {
        name: value.strip() if isinstance(value, str) else [one for one in value if one.strip()]
        for name, value in stated.items()
    }
