"""Networks that come with the library: folders in the layout of Hugging Face, each with its card.

Their names can stand where a run or an exported file is asked for: `mclf.load("small")`,
`mclf predict small SONG.mp3`, `--config.init.path=small`.
"""

from pathlib import Path

NAMES = ("small",)
_FOLDER = Path(__file__).parent
_OF_NETWORKS = ("meta.json", "config.json")  # of runs, and in the layout of Hugging Face


def find(path: str | Path) -> Path:
    """The folder of a network that comes with the library, if `path` is its name.

    A file of that name in the working directory goes first, and so does a run or an exported
    network; `path` itself is returned for it, and for all that is no name of `NAMES`.

    >>> find("small").name
    'small'
    """
    path = Path(path)
    if str(path) not in NAMES or path.is_file():
        return path
    return path if any((path / name).is_file() for name in _OF_NETWORKS) else _FOLDER / path
