"""One tiny run for all tests of probing; whoever changes it takes a copy."""

import shutil

import pytest

from mclf_jax.train import train
from tests.conftest import compiling_quickly
from tests.tiny import tiny_config


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("probed") / "tiny"
    with compiling_quickly():
        train(tiny_config(train__num_steps=4, eval__every_steps=2), workdir=workdir)
    return workdir


@pytest.fixture
def run(finished_run, tmp_path):
    return shutil.copytree(finished_run, tmp_path / "tiny")
