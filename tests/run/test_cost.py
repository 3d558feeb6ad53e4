"""What training takes is kept over the sessions of a run."""

import types

import pytest

from mclf_jax.run import cost
from mclf_jax.run.cost import CostRecorder, read_cost

GPU = types.SimpleNamespace(platform="gpu", device_kind="NVIDIA X", process_index=0)


class Meter:
    of = "by a test"

    def __init__(self):
        self.reads = 0

    def read(self):
        self.reads += 1
        return 10.0 * self.reads


@pytest.fixture
def hand(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(cost.time, "monotonic", lambda: now[0])
    return now


def recorder(workdir, first_step=0):
    return CostRecorder(
        workdir, first_step=first_step, batch_size=8, devices=[GPU, GPU], meter=Meter()
    )


def test_sessions_add_up(tmp_path, hand):
    first = recorder(tmp_path)
    hand[0] += 5
    first.write("train", 2, {"songs_per_s": 4.0})
    assert read_cost(tmp_path) is None  # not for every line of the log
    hand[0] += 3
    first.write("valid", 2, {})
    assert read_cost(tmp_path).sessions[0].wall_s == 8.0  # a kill loses what comes after
    hand[0] += 2
    first.write("train", 4, {"songs_per_s": 8.0})
    first.close()
    second = recorder(tmp_path, first_step=2)
    hand[0] += 4
    second.write("train", 3, {"songs_per_s": 8.0})
    second.close()
    found = read_cost(tmp_path)
    assert (found.wall_s, found.trained_s) == (14.0, 7.0)
    one, two = found.sessions
    assert (one.first_step, one.last_step, two.first_step, two.last_step) == (0, 4, 2, 3)
    assert (one.trained_s, one.energy_j, two.energy_j) == (6.0, 40.0, 20.0)
    assert (one.platform, one.device, one.num_devices, one.num_processes) == (
        *("gpu", "NVIDIA X"),
        *(2, 1),
    )
    assert one.energy_of == "by a test" and one.num_cores >= 1 and one.processor


def test_damage_is_named(tmp_path):
    (tmp_path / "cost.json").write_text('{"sessions": [{"started": "now"}]}')
    with pytest.raises(ValueError, match=r"cost.json lacks sessions\[0\]"):
        read_cost(tmp_path)
