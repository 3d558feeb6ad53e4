"""Runs that several files look at, trained once."""

import pytest

from mclf_jax.train import train
from tests.conftest import compiling_quickly
from tests.tiny import tiny_config


@pytest.fixture(scope="session")
def straight(tmp_path_factory):
    """(workdir, outcome) of a run that nothing stopped; to be read, or copied."""
    workdir = tmp_path_factory.mktemp("runs") / "straight"
    with compiling_quickly():  # as those that end as it does
        return workdir, train(tiny_config(), workdir=workdir)
