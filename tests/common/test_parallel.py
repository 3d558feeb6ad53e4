"""Which processes a run joins, by what the environment says."""

import pytest

from mclf_jax.common import parallel

SLURM = {
    "SLURM_JOB_ID": "7",
    "SLURM_STEP_NODELIST": "node[1-2]",
    "SLURM_NTASKS": "8",
    "SLURM_PROCID": "5",
    "SLURM_LOCALID": "1",
}
GIVEN = {
    "JAX_COORDINATOR_ADDRESS": "host:1234",
    "JAX_NUM_PROCESSES": "2",
    "JAX_PROCESS_ID": "1",
}


@pytest.fixture
def set_all(monkeypatch):
    for name in (*SLURM, *GIVEN, "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)

    def set_all(variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return set_all


def test_what_is_joined(set_all):
    assert parallel.cluster() is None
    with pytest.raises(ValueError, match="found no other processes.* JAX_COORDINATOR_ADDRESS"):
        parallel.start()
    set_all(SLURM)
    assert parallel.cluster() == {"kind": "Slurm", "num_processes": 8, "process_id": 5}
    set_all(GIVEN)  # comes first
    found = parallel.cluster()
    assert found is not None and "host:1234" in found.pop("kind")
    assert found == {"num_processes": 2, "process_id": 1}


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("JAX_NUM_PROCESSES", "two", "JAX_NUM_PROCESSES is 'two'; it must be a whole number"),
        ("JAX_PROCESS_ID", "2", "JAX_PROCESS_ID is 2; .* at most 1"),
        ("JAX_COORDINATOR_ADDRESS", "host", "'host'; it must be host:port"),
    ],
)
def test_a_wrong_environment_is_named(set_all, name, value, message):
    set_all(GIVEN | {name: value})
    with pytest.raises(ValueError, match=message):
        parallel.start()


def test_half_an_environment_is_refused(set_all):
    set_all({"JAX_PROCESS_ID": "1"})
    with pytest.raises(ValueError, match="set all of .* got JAX_PROCESS_ID"):
        parallel.start()
