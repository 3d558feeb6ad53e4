"""Questions to a catalogue: which songs sound like this one, which have these tags or words."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from mclf_jax.catalogue import rows
from mclf_jax.catalogue.folder import Catalogue, absolute, open_catalogue
from mclf_jax.catalogue.nearest import nearest
from mclf_jax.common import checks, walk

_NOT = "not "


def similar(
    catalogue: str | os.PathLike, song: str | os.PathLike, *, count: int = 10, model: Any = None
) -> dict[str, Any]:
    """The songs of a catalogue that sound most like a song, by the cosine of their embeddings.

    Args:
        catalogue: its folder.
        song: one of it, by its path or as much of the end of that as no other has; or an audio
            file, which its network hears.
        count: how many to name.
        model: where the network is now, if it is not where the catalogue was made; see `mclf.load`.

    Returns:
        {"method": "exact" below 100,000 songs, else "usearch", "of": how many songs there are,
        "songs": [{"path", "duration_s", "score": the cosine}], the nearest first, without the song
        itself}.

    Raises:
        FileNotFoundError: there is no such catalogue, song or network.
        ValueError: several songs are meant, or the network is not that of the catalogue.
        AudioError: the file cannot be used as audio.
    """
    checks.at_least("count", count, 1)
    opened = open_catalogue(catalogue)
    num_songs = sum(each["songs"] for each in rows.tell(opened))
    if not num_songs:
        raise ValueError(f"{catalogue} has no songs yet: go on with `mclf catalogue`")
    own = _own(opened, os.fspath(song))
    if own is None:
        found = nearest(opened, _heard(opened, os.fspath(song), model=model), count=count)
        return {"of": num_songs, **found}
    found = nearest(opened, own["embedding"], count=count + 1)
    others = [each for each in found["songs"] if each["path"] != own["path"]]
    return {"of": num_songs, **found, "songs": others[:count]}


def search(
    catalogue: str | os.PathLike,
    tags: str | Sequence[str] | None = None,
    *,
    words: str | Sequence[str] | None = None,
    count: int = 20,
    model: Any = None,
) -> dict[str, Any]:
    """The songs of a catalogue that have some tags, or something of some words, and not others.

    A song has a tag if its score reaches the threshold that its network has of it, or .5; where a
    song has one label, if that is its best one; it has something of words from .5 on. Those come
    first whose least certain answer is the most certain: the score of a tag, 1 less the score of
    what is asked not to be.

    Args:
        catalogue: its folder.
        tags: such as ("rock", "not vocals"), or "rock, not vocals".
        words: in place of tags, any, such as "slow piano, not sad"; of a catalogue whose network
            was trained beside words, see `catalogue.words.scores_by_words`.
        count: how many to name.
        model: where the network is now, if it is not where the catalogue was made; for words.

    Returns:
        {"found": how many songs there are of the kind, "of": how many in all, "songs": [{"path",
        "duration_s", "score": the least certain answer, "scores": {label: score}}]}.

    Raises:
        FileNotFoundError: there is no such catalogue, or network.
        ValueError: it has no such labels, or numbers in their place, or its network knows no words.
    """
    checks.at_least("count", count, 1)
    if (tags is None) == (words is None):
        raise ValueError("search for tags or for words: give one of them")
    opened = open_catalogue(catalogue)
    if words is None:
        wanted, task = _wanted_tags(opened, tags or ""), opened.network.task
        thresholds = opened.network.thresholds
        columns, scores_of = _by_tags(opened, wanted)
    else:
        wanted, task, thresholds = _wanted(words), "multi_label", {}
        if not wanted:
            raise ValueError("words is empty; say what to look for, such as 'slow piano, not sad'")
        columns, scores_of = _by_words(opened, wanted, model=model)
    best: list[dict[str, Any]] = []
    num_found, num_songs = 0, 0
    for table in rows.read(opened, ("path", "duration_s", *columns)):
        if not len(table):
            continue
        num_songs += len(table)
        scores = scores_of(table)
        chosen = np.flatnonzero(_fits(scores, wanted, task=task, thresholds=thresholds))
        num_found += len(chosen)
        each = [scores[name] if yes else 1 - scores[name] for name, yes in wanted.items()]
        certain = np.min(each, axis=0)
        for i in chosen[np.argsort(-certain[chosen], kind="stable")][:count].tolist():
            row = table.select(["path", "duration_s"]).slice(i, 1).to_pylist()[0]
            said = {name: float(scores[name][i]) for name in wanted}
            best.append({**row, "score": float(certain[i]), "scores": said})
        best = sorted(best, key=lambda song: -song["score"])[:count]
    return {"found": num_found, "of": num_songs, "songs": best}


Scores = Mapping[str, np.ndarray]  # label -> [N]


def _by_tags(
    catalogue: Catalogue, wanted: Mapping[str, bool]
) -> tuple[Sequence[str], Callable[[Any], Scores]]:
    """Columns to read, and what gives scores of them; of all labels where a song has one."""
    is_single = catalogue.network.task == "single_label"
    labels = catalogue.network.labels if is_single else tuple(wanted)
    columns = {label: rows.column_of(label) for label in labels}
    return list(columns.values()), lambda table: {
        label: table[column].to_numpy() for label, column in columns.items()
    }


def _by_words(
    catalogue: Catalogue, wanted: Mapping[str, bool], *, model: Any
) -> tuple[Sequence[str], Callable[[Any], Scores]]:
    from mclf_jax.catalogue.words import scores_by_words

    scores = scores_by_words(catalogue, tuple(wanted), run=model)
    return ["embedding"], lambda table: dict(
        zip(wanted, scores(rows.embeddings_of(table)).T, strict=True)
    )


def _wanted(text: str | Sequence[str], known: Sequence[str] = ()) -> dict[str, bool]:
    """{word: whether it is to be there}, in the order asked for; `known` may begin with "not "."""
    words = text.split(",") if isinstance(text, str) else list(text)
    wanted: dict[str, bool] = {}
    for word in filter(None, map(str.strip, words)):
        yes = word in known or not word.startswith(_NOT)
        name = word if yes else word.removeprefix(_NOT).strip()
        if wanted.setdefault(name, yes) != yes:
            raise ValueError(f"{text!r} is asked for, which no song can be: {name} and not {name}")
    return wanted


def _wanted_tags(catalogue: Catalogue, tags: str | Sequence[str]) -> Mapping[str, bool]:
    """As `_wanted`, of labels that the catalogue has scores of."""
    network = catalogue.network
    if network.task == "regression" or not network.labels:
        what = "numbers, which are no tags" if network.labels else "no scores"
        raise ValueError(f"{catalogue.folder} has {what}: only `mclf similar` can search it")
    wanted = _wanted(tags, network.labels)
    if others := [name for name in wanted if name not in network.labels]:
        known = checks.few(network.labels, shown=50)
        raise ValueError(f"a tag is {others[0]!r}; {catalogue.folder} has scores of {known}")
    if not wanted:
        raise ValueError(f"tags is empty; it may name {checks.few(network.labels)}")
    return wanted


def _fits(
    scores: Scores, wanted: Mapping[str, bool], *, task: str, thresholds: Mapping[str, float]
) -> np.ndarray:
    """Bool [N]: which songs are as they are wanted, see `api.Tagger.tags`."""
    if task == "single_label":
        order = list(scores)
        which = np.argmax(np.stack(list(scores.values())), axis=0)
        has = {name: which == order.index(name) for name in wanted}
    else:
        has = {name: scores[name] >= thresholds.get(name, 0.5) for name in wanted}
    return np.all([has[name] == yes for name, yes in wanted.items()], axis=0)


def _own(catalogue: Catalogue, song: str) -> dict[str, Any] | None:
    """{"path", "embedding"} of a song of the catalogue; None if it has no such song."""
    import pyarrow.compute as pc

    whole, end = walk.shown(absolute(song)), "/" + walk.shown(song).lstrip("/")
    ending: dict[str, tuple[int, int]] = {}
    for number in catalogue.done():
        (table,) = rows.read(catalogue, ("path",), numbers=[number])
        path = table["path"]
        meant = pc.or_(pc.equal(path, whole), pc.ends_with(path, pattern=end))  # pyright: ignore
        for row in np.flatnonzero(meant.to_numpy()).tolist():
            if path[row].as_py() == whole:
                return _embedding(catalogue, number, row)
            ending[path[row].as_py()] = (number, row)
    if not ending or _is_file_beside(ending, song):
        return None
    if len(ending) > 1:
        raise ValueError(
            f"{song} may be one of {len(ending)} songs: {checks.few(list(ending), shown=3)}; say "
            "more of its path"
        )
    return _embedding(catalogue, *next(iter(ending.values())))


def _is_file_beside(songs: Iterable[str], song: str) -> bool:
    """Whether there is a file of this path that is none of the songs, though it may end alike."""
    if not os.path.exists(song):
        return False
    return not any(os.path.exists(each) and os.path.samefile(each, song) for each in songs)


def _embedding(catalogue: Catalogue, number: int, row: int) -> dict[str, Any]:
    (table,) = rows.read(catalogue, ("path", "embedding"), numbers=[number])
    chosen = table.slice(row, 1)
    return {"path": chosen["path"][0].as_py(), "embedding": rows.embeddings_of(chosen)[0]}


def _heard(catalogue: Catalogue, song: str, *, model: Any) -> np.ndarray:
    if "://" not in song and not os.path.exists(song):
        raise FileNotFoundError(
            f"{song} is no song of {catalogue.folder}, by its path or the end of it, and no file"
        )
    from mclf_jax.catalogue.load import tagger_of

    return tagger_of(catalogue.network, run=model).embed(song)
