"""Which checkpoints stay, and what is read back of them on other devices."""

import shutil

import jax
import numpy as np
import pytest

from mclf_jax.common import parallel
from mclf_jax.run import checkpoint, restore
from tests.run.test_restore import abstract, state_of


def save_all(folder, scores, *, keep):
    """A state at each step, and weights with their score where they are among the best."""
    checkpoints = checkpoint.open_checkpoints(folder, keep=keep)
    for step, score in scores.items():
        state = state_of(step)
        best = checkpoint.is_among_best(checkpoints, step, score=score)
        checkpoint.save(
            checkpoints,
            step,
            state=state,
            progress={},
            best_variables=state.variables() if best else None,
            score=score,
        )
    checkpoint.close(checkpoints)


def there(folder, series):
    return sorted(int(path.name) for path in (folder / series).iterdir())


def test_the_last_some_on_the_way_and_the_best_stay(tmp_path):
    scores = {4: 0.5, 8: 0.9, 12: 0.7, 16: 0.9, 20: 0.1, 24: 0.8, 28: 0.2}
    keep = checkpoint.Keep(2, every_steps=10, best=3)
    save_all(tmp_path, scores, keep=keep)
    # The first at or after 10 and after 20, which is among the last two as well.
    assert there(tmp_path, "latest") == [12, 20, 24, 28]
    assert there(tmp_path, "best") == [8, 16, 24]
    assert restore.best_step(tmp_path) == 8  # of equal ones the first
    variables = abstract(state_of(0).variables())
    for step in (12, 16):  # a state, and weights alone
        found = restore.restore_step(tmp_path, variables, step=step)["variables"]
        jax.tree.map(np.testing.assert_array_equal, found, state_of(step).variables())
    with pytest.raises(ValueError, match="no checkpoint of step 4; there are those of steps 8, 12"):
        restore.restore_step(tmp_path, variables, step=4)


def test_before_anything_is_changed_the_last_state_is_whole(tmp_path):
    """Who waits for it there, to send it, waits for nothing that is not to come."""
    seen = []
    checkpoints = checkpoint.open_checkpoints(
        tmp_path, before_save=lambda: seen.append(there(tmp_path, "latest"))
    )
    for step in (1, 2, 3):
        checkpoint.save(checkpoints, step, state=state_of(step), progress={})
    checkpoint.close(checkpoints)
    assert seen == [[], [1], [1, 2]]


def test_weights_without_a_score_are_given_theirs(tmp_path):
    checkpoints = checkpoint.open_checkpoints(tmp_path)
    checkpoint.save_best(checkpoints, 1, state_of(1).variables(), score=0.9)
    shutil.rmtree(tmp_path / "best" / "1" / "score")  # as earlier versions leave them
    assert checkpoint.is_among_best(checkpoints, 2, score=0.5)
    checkpoint.note_score(checkpoints, 1, score=0.9)
    assert not checkpoint.is_among_best(checkpoints, 2, score=0.5)
    checkpoint.save_best(checkpoints, 2, state_of(2).variables(), score=0.5)
    checkpoint.close(checkpoints)
    assert there(tmp_path, "best") == [1]


def test_without_scores_the_newest_are_the_best(tmp_path):
    save_all(tmp_path, {1: None, 2: None, 3: None}, keep=checkpoint.Keep(best=2))
    assert there(tmp_path, "best") == [2, 3]
    assert there(tmp_path, "latest") == [2, 3]
    assert restore.best_step(tmp_path) == 3


def test_the_second_best_stands_in_for_a_damaged_one(tmp_path):
    folder = tmp_path / "checkpoints"
    save_all(folder, {1: 0.3, 2: 0.9}, keep=checkpoint.Keep(best=2))
    next((folder / "best" / "2" / "default" / "d").iterdir()).write_bytes(b"")
    variables = abstract(state_of(0).variables())
    assert restore.restore_best(folder, variables)["step"] == 1
    assert "best/2 is damaged" in restore.set_aside_damaged_best(folder)
    assert there(folder, "best") == [1]


@pytest.mark.parametrize(
    "saved, wanted", [((8, "fsdp"), (2, "replicated")), ((2, "replicated"), (8, "fsdp"))]
)
def test_any_number_of_devices_reads_what_another_wrote(tmp_path, saved, wanted, monkeypatch):
    monkeypatch.setattr(parallel, "_FSDP_MIN_SIZE", 8)
    state = jax.tree.map(np.asarray, state_of(5))

    def placed(number, strategy):
        return parallel.param_shardings(state, parallel.make_mesh(number), strategy=strategy)

    checkpoints = checkpoint.open_checkpoints(tmp_path)
    on_devices = jax.device_put(state, placed(*saved))
    checkpoint.save(checkpoints, 5, state=on_devices, progress={})
    checkpoint.close(checkpoints)
    like = checkpoint.abstract_like(state, placed(*wanted))
    found = restore.restore_latest(tmp_path, like)["state"]
    jax.tree.map(np.testing.assert_array_equal, found, state)
    kernel = found.params["model"]["dense"]["kernel"]
    parts = {"fsdp": 8, "replicated": 1}[wanted[1]]
    assert kernel.addressable_shards[0].data.size * parts == kernel.size
