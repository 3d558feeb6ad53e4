"""Networks that come with the library: folders in the layout of Hugging Face, each with its card.

Their names can stand where a run or an exported file is asked for: `mclf.load("small")`,
`mclf predict small SONG.mp3`, `--config.init.path=small`.
"""

from pathlib import Path

NAMES = ("small",)
_FOLDER = Path(__file__).parent


def find(path: str | Path) -> Path:
    """The folder of a network that comes with the library, if `path` is its name.

    A file or folder of that name in the working directory goes first; `path` itself is returned for
    it, and for all that is no name of `NAMES`.

    >>> find("small").name
    'small'
    """
    path = Path(path)
    named = str(path) in NAMES and not path.exists()
    return _FOLDER / path if named else path
