"""Tags are what their array would be, and nothing that opens a data set makes that array."""

import pickle
import tracemalloc

import numpy as np
import pytest

from mclf_jax.data import sampling
from mclf_jax.data.base import targets
from mclf_jax.data.catalogue.items import Catalogue, Facts, Item
from mclf_jax.data.catalogue.plan import plan
from mclf_jax.data.check import labels as label_check
from mclf_jax.data.check.labels import Labels
from mclf_jax.data.prepare import arrays
from mclf_jax.data.sources.files import Files, make_info
from mclf_jax.data.views import apply as view

NAN = np.nan
FORMS = {
    "few": lambda rng: rng.random((30, 7)) < 0.2,
    "partial": lambda rng: np.where(rng.random((30, 7)) < 0.5, NAN, rng.random((30, 7)) < 0.5),
    "partial in some": lambda rng: np.where(
        (rng.random((30, 1)) < 0.5) & (rng.random((30, 7)) < 0.9), NAN, rng.random((30, 7)) < 0.2
    ),
    "numbers": lambda rng: np.where(rng.random((30, 7)) < 0.2, NAN, rng.normal(size=(30, 7))),
    "nothing known": lambda rng: np.full((30, 7), NAN),
    "none": lambda rng: np.zeros((30, 7)),
    "no rows": lambda rng: np.zeros((0, 7)),
}


@pytest.fixture(params=FORMS)
def array(request):
    return FORMS[request.param](np.random.default_rng(0)).astype(np.float32)


@pytest.fixture
def tags(array):
    return targets.compact([array[:11], array[11:]], num_labels=7)


def test_rows_are_those_of_the_array(array, tags):
    mask = np.arange(len(array)) % 3 == 0
    for index in (slice(None), slice(3, 9), [4, 2, 2][: len(array)], mask, np.arange(len(array))):
        np.testing.assert_array_equal(tags[index], array[index])
        np.testing.assert_array_equal(targets.take(tags, index)[:], array[index])
    assert tags[:].dtype == np.float32 and tags.shape == array.shape == (len(tags), 7)
    for number, row in enumerate(tags):
        np.testing.assert_array_equal(row, array[number])
        np.testing.assert_array_equal(tags[np.int64(number - len(array))], array[number])
    with pytest.raises(IndexError):
        tags[len(array)]
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(tags))[:], array)


def test_counts_are_those_of_the_array(array, tags):
    of = {"num_labels": 7}
    for form in (array, tags):
        np.testing.assert_array_equal(targets.positives(form, **of).toarray(), array > 0)
        np.testing.assert_array_equal(targets.count_positives(form, **of), (array > 0).sum(0))
        np.testing.assert_array_equal(targets.count_observed(form, **of), (~np.isnan(array)).sum(0))
        np.testing.assert_array_equal(targets.any_known(form), ~np.isnan(array).all(1))
        np.testing.assert_array_equal(targets.known(form)[:], np.nan_to_num(array))
        some = np.arange(0, len(array), 2)
        hidden = array.copy()
        hidden[some] = NAN
        np.testing.assert_array_equal(targets.without(form, some)[:], hidden)
        rows = [row for block in targets.blocks(form) for row in block]
        np.testing.assert_array_equal(np.reshape(rows, array.shape), array)


def test_single_labels():
    single = np.array([2, 0, 2], np.int32)
    assert targets.count_positives(single, num_labels=4).tolist() == [1, 0, 2, 0]
    assert targets.count_observed(single, num_labels=4).tolist() == [3, 3, 3, 3]
    assert targets.without(single, np.array([0])).tolist() == [0, 0, 2]
    assert targets.any_known(single).all()


def test_an_array_of_labels_is_written_and_read_by_rows(tmp_path, array, tags):
    arrays.write(tmp_path / "items.npz", tags, split=np.arange(3, dtype=np.int8))
    with np.load(tmp_path / "items.npz") as file:  # as earlier versions read it
        np.testing.assert_array_equal(file["label"], array)
        assert file["label"].dtype == np.float32
    found, others = arrays.read(tmp_path / "items.npz", task="multi_label")
    np.testing.assert_array_equal(found[:], array)
    assert others["split"].tolist() == [0, 1, 2]
    single = np.array([3, 1], np.int32)
    arrays.write(tmp_path / "items.npz", single)
    found, _ = arrays.read(tmp_path / "items.npz", task="single_label")
    np.testing.assert_array_equal(found, single)


def _many(task: str, *, num_songs: int, num_labels: int) -> Catalogue:
    rng = np.random.default_rng(0)
    names = [f"label {k:05d}" for k in range(num_labels)]
    size = 5 if task == "multi_label" else 1
    items = tuple(
        Item(
            item_id=f"{i}",
            file=f"{i}.wav",
            labels=tuple(names[k] for k in {i, *rng.integers(0, num_labels, size - 1).tolist()}),
        )
        for i in range(num_songs)
    )
    facts = Facts(name="many", title="many labels")
    return Catalogue(facts=facts, task=task, items=items, labels=tuple(names))


@pytest.mark.parametrize("task", ["multi_label", "single_label"])
def test_thousands_of_labels_take_little_memory(tmp_path, task):
    """An array of them would take 64 MB, or 128 MB in float64."""
    catalogue = _many(task, num_songs=800, num_labels=20_000)
    tracemalloc.start()
    planned = plan(catalogue)
    source = Files(
        info=make_info(catalogue, planned, sample_rate_hz=8000, fingerprint="x"),
        files=tuple(item.file for item in planned.items),
        item_ids=tuple(item.item_id for item in planned.items),
        targets=planned.targets,
        starts=np.zeros(800, np.int64),
        lengths=np.full(800, 8000),
    )
    seen = view.apply(source, num_folds=3, fraction=0.5)
    assert len(seen.targets[7] if task == "multi_label" else [0] * 20_000) == 20_000
    sampling.weights(seen, seen.info.splits["train"], by="label")
    known: Labels = label_check.read(source)
    label_check.check(source.info, known, label_check.count(source.info, known))
    arrays.write(tmp_path / "items.npz", source.targets)
    arrays.read(tmp_path / "items.npz", task=task)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 45e6
