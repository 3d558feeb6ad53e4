"""Damaged checkpoints: noticed whatever it is, told of, and passed over for whole ones."""

import random
import shutil
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mclf_jax.common import files, parallel
from mclf_jax.run import checkpoint, checksums, restore
from mclf_jax.run.state import TrainState

# What nothing is read from: a changed bit in them changes nothing.
_HARMLESS = ("commit_success.txt", "_CHECKPOINT_METADATA")


def state_of(step, *, ema=True):
    model = {"dense": {"kernel": jnp.full((8, 4), step, jnp.float32), "bias": jnp.arange(4.0)}}
    params, model_state = {"model": model}, {"model": {"batch_stats": {"mean": jnp.ones(4)}}}
    average = jax.tree.map(lambda x: x + 1, {"params": params, "model_state": model_state})
    return TrainState(
        step=jnp.asarray(step),
        params=params,
        model_state=model_state,
        opt_state=jax.tree.map(jnp.zeros_like, params),
        ema=average if ema else {},
    )


def abstract(tree):
    shardings = parallel.param_shardings(tree, parallel.make_mesh(1), strategy="replicated")
    return checkpoint.abstract_like(tree, shardings)


def save(folder, *, ema):
    """States of step 10 and 15, of which 15 was the best so far."""
    checkpoints = checkpoint.open_checkpoints(folder)
    for step in (10, 15):
        state = state_of(step, ema=ema)
        progress = {"status": "running", "best_step": step}
        best = state.variables()
        checkpoint.save(checkpoints, step, state=state, progress=progress, best_variables=best)
    checkpoint.close(checkpoints)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved") / "run" / "checkpoints"
    save(folder, ema=True)
    return folder


@pytest.fixture
def copy(saved, tmp_path):
    shutil.copytree(saved, tmp_path / "run" / "checkpoints")
    return tmp_path / "run" / "checkpoints"


def load(folder, *, ema):
    """What is found, and everything that was said."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        best = restore.restore_best(folder, abstract(state_of(0).variables()))
        latest = restore.restore_latest(folder, abstract(state_of(0, ema=ema)))
        lost = restore.set_aside_damaged_best(folder)
    return best, latest, [str(each.message) for each in told] + [lost] * bool(lost)


def assert_right(folder, *, ema=True):
    """Whatever was loaded is what was saved; returns what was said."""
    best, latest, told = load(folder, ema=ema)
    for found, wanted in (
        (best["variables"], state_of(best["step"], ema=ema).variables()),
        (latest["state"], state_of(latest["step"], ema=ema)),
    ):
        jax.tree.map(np.testing.assert_array_equal, found, wanted)
    assert latest["progress"]["best_step"] == latest["step"]
    return told


def test_what_is_whole_is_loaded_without_a_word(copy):
    assert assert_right(copy) == []
    assert restore.best_step(copy) == 15
    assert not (copy / "damaged").exists()


def flip(path, rng):
    content = bytearray(path.read_bytes())
    bit = rng.randrange(8 * len(content))
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)


def cut(path, rng):
    path.write_bytes(path.read_bytes()[: rng.randrange(path.stat().st_size)])


def zero(path, rng):
    path.write_bytes(bytes(path.stat().st_size))


def lose(path, rng):
    path.unlink()


def becomes_a_folder(path, rng):
    path.unlink()
    path.mkdir()


def lose_the_folder(path, rng):
    shutil.rmtree(path.parent)


def folder_becomes_a_file(path, rng):
    shutil.rmtree(path.parent)
    path.parent.write_text("x")


def folder_becomes_empty(path, rng):
    shutil.rmtree(path.parent)
    path.parent.mkdir()


DAMAGES = (
    cut,
    zero,
    lose,
    becomes_a_folder,
    lose_the_folder,
    folder_becomes_a_file,
    folder_becomes_empty,
)


def files_of(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_damage_of_any_kind_anywhere_is_noticed(copy, saved, fuzz_numbers):
    for number in fuzz_numbers:
        rng = random.Random(number)
        shutil.rmtree(copy)
        shutil.copytree(saved, copy)
        path = rng.choice(files_of(copy))
        damage = flip if number % 2 else rng.choice(DAMAGES)
        damage(path, rng)
        told = assert_right(copy)
        lost = damage in (lose, becomes_a_folder) and path.name == checksums.NAME
        harmless = lost or path.name in _HARMLESS
        assert told or harmless, f"{number}: {damage.__name__} of {path.relative_to(copy)}"


def test_a_state_without_an_average_gives_its_parameters(tmp_path):
    save(tmp_path / "run" / "checkpoints", ema=False)
    shutil.rmtree(tmp_path / "run" / "checkpoints" / "best" / "15" / "default" / "d")
    (told, lost) = assert_right(tmp_path / "run" / "checkpoints", ema=False)
    assert "latest/15 is used" in told
    assert lost.startswith("best/15 is damaged")


def data_file(step_folder, item):
    return files_of(step_folder / item / "d")[0]


def test_a_damaged_best_is_told_of_by_run_step_and_file(copy):
    file = data_file(copy / "best" / "15", "default")
    flip(file, random.Random(0))
    with pytest.warns(UserWarning) as told:
        found = restore.restore_best(copy, abstract(state_of(0).variables()))
    assert found["step"] == 15
    assert str(told[0].message) == (
        f"{copy.parent}: best/15 is damaged (default/d/{file.name} is not what was written: its "
        "checksum is another); latest/15 is used, whose weights need not be best"
    )


@pytest.mark.parametrize("step", [10, 15])
def test_a_damaged_state_is_moved_aside_and_training_goes_on_from_the_other(copy, step):
    cut(data_file(copy / "latest" / str(step), "state"), random.Random(0))
    with pytest.warns(UserWarning, match=f"{copy.parent}: latest/{step} is damaged .*goes on from"):
        found = restore.restore_latest(copy, abstract(state_of(0)))
    assert found["step"] == 25 - step
    assert [path.name for path in (copy / "damaged").iterdir()] == [f"latest-{step}"]
    # Steps are written again, which a damaged checkpoint in their place would keep from it.
    checkpoints = checkpoint.open_checkpoints(copy)
    checkpoint.save(checkpoints, 15 + step, state=state_of(15 + step), progress={})
    checkpoint.close(checkpoints)
    assert str(15 + step) in {path.name for path in (copy / "latest").iterdir()}


def test_when_nothing_is_whole_three_lines_say_what_to_do(copy):
    for file in (*(copy / "best").rglob("d/*"), *(copy / "latest").rglob("d/*")):
        flip(file, random.Random(0))
    before = files_of(copy)
    for restoring, like in (
        (restore.restore_best, state_of(0).variables()),
        (restore.restore_latest, state_of(0)),
    ):
        with pytest.raises(restore.DamageError) as error:
            restoring(copy, abstract(like))
        lines = str(error.value).splitlines()
        assert lines[0] == f"no checkpoint of {copy.parent} is whole:"
        assert "latest/15 is damaged" in lines[1] and "latest/10 is damaged" in lines[1]
        assert lines[2].startswith(f"Restore {copy} from a copy; or delete it")
        assert len(lines) == 3
    assert files_of(copy) == before  # nothing is moved that nothing takes the place of


@pytest.mark.parametrize("name", ["best", "latest", "."])
def test_a_file_in_place_of_the_folder(copy, name):
    shutil.rmtree(copy / name)
    (copy / name).write_text("x")
    with pytest.raises(restore.DamageError, match="is a file, not a folder"):
        restore.restore_best(copy, abstract(state_of(0).variables()))
        restore.restore_latest(copy, abstract(state_of(0)))


def test_without_checksums_of_an_earlier_version_it_is_loaded_as_before(copy):
    for path in copy.rglob(checksums.NAME):
        path.unlink()
    assert assert_right(copy) == []
    (data_file(copy / "best" / "15", "default")).unlink()
    cut(copy / "latest" / "15" / "progress" / "metadata", random.Random(0))
    told = assert_right(copy)
    assert "default cannot be read" in told[0] and "latest/15 is used" in told[0]
    assert "progress/metadata is" in told[1] and "goes on from latest/10" in told[1]


def test_another_network_is_no_damage_but_said(copy):
    other = {"params": {"dense": {"kernel": jnp.zeros((9, 9))}}}
    with pytest.raises(restore.DamageError, match="is whole but not of this network"):
        restore.restore_best(copy, abstract(other))


def test_checksums_are_those_of_sha256sum(copy):
    lines = (copy / "best" / "15" / "default" / checksums.NAME).read_text().splitlines()
    for line in lines:
        checksum, name = line.split("  ")
        assert files.checksum(copy / "best" / "15" / "default" / name) == checksum
    assert len(lines) > 3
