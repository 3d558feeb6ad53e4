"""Objectives by name, with their traits."""

import subprocess
import sys

import pytest

from mclf_jax import config as config_lib
from mclf_jax import objectives
from mclf_jax.objectives.semi_supervised.consistency import METHODS
from tests import ROOT


@pytest.mark.parametrize("name", objectives.OBJECTIVES)
def test_traits_are_about_what_the_objective_has(name):
    traits, arguments = objectives.traits(name), objectives.arguments_of(name)
    for argument, default in traits.whole_batches.items():
        assert arguments[argument] == default
    has_teacher = "teacher" in arguments and arguments["teacher"] == ""
    assert has_teacher == (traits.needs_teacher or traits.may_take_teacher)


def test_unknown_objectives_are_named():
    message = "objective.name is 'simclrr'; allowed: byol, clap, consistency"
    with pytest.raises(ValueError, match=message):
        objectives.traits("simclrr")


def test_traits_are_there_without_jax():
    code = "import sys, mclf_jax.config, mclf_jax.objectives; assert 'jax' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=300)


@pytest.mark.parametrize(
    "file, called",
    [
        ("clmr.py", "simclr"),
        ("cola.py", "cola"),
        ("cpc.py", "cpc"),
        ("myna.py", "myna"),
        *((f"m2d.py:method={name}", name) for name in ("m2d", "matpac", "matpac_plus_plus")),
        ("masked_tokens.py", "best_rq"),
        *((f"masked_tokens.py:method={name}", name) for name in ("muq", "omar_rq", "omar_rq_fsq")),
        ("pase.py:version=plus", "pase_plus"),
        ("quickstart.py", "supervised"),
        ("vq_cpc.py", "vq_cpc"),
        ("wav2vec.py", "wav2vec"),
        *((f"small_pretraining.py:method={name}", name) for name in ("simclr", "cola", "vq_cpc")),
        ("small_pretraining.py:method=matpac", "matpac"),
        *((f"semi_supervised.py:method={name}", name) for name in METHODS),
    ],
)
def test_a_method_is_called_by_its_name(file, called):
    assert objectives.method_of(config_lib.load(f"configs/{file}")) == called
