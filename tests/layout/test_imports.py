"""`import mclf_jax` is quick and light, and nothing needs TensorFlow."""

import os
import subprocess
import sys
import time

import pytest

import mclf_jax
from tests import ROOT


def python(code, **env):
    command = [sys.executable, "-c", code]
    result = subprocess.run(
        command, cwd=ROOT, env=os.environ | env, capture_output=True, text=True, timeout=300
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_import_is_light():
    loaded = python("import sys, mclf_jax; print(*sys.modules)").split()
    for heavy in ("jax", "tensorflow", "matplotlib", "numpy", "librosa", "grain", "sklearn"):
        assert heavy not in loaded


def test_import_is_quick():
    def seconds(code):
        start = time.perf_counter()
        python(code)
        return time.perf_counter() - start

    bare = min(seconds("pass") for _ in range(3))
    assert min(seconds("import mclf_jax") for _ in range(3)) - bare < 1.0


def test_public_names_are_there():
    for name in mclf_jax.__all__:
        assert getattr(mclf_jax, name) is not None
    # Importing a submodule must not take the place of a public function.
    python(
        "import mclf_jax.evaluation.evaluate, mclf_jax.models; assert callable(mclf_jax.evaluate)"
    )


@pytest.mark.slow
def test_training_and_evaluation_never_import_tensorflow(tmp_path):
    # A stand-in that would be found, so that an attempt shows even where TensorFlow is absent.
    stand_in = tmp_path / "path" / "tensorflow"
    stand_in.mkdir(parents=True)
    (stand_in / "__init__.py").write_text("")
    code = f"""
import sys
from tests.tiny import tiny_config, songs
from mclf_jax import data
from mclf_jax.train import train
from mclf_jax.report.run import report_run
run = {str(tmp_path / "run")!r}
train(tiny_config(train__num_steps=5), workdir=run)
report_run(run)
print([name for name in sys.modules if name.partition(".")[0] == "tensorflow"])
"""
    out = python(code, PYTHONPATH=f"{stand_in.parent}{os.pathsep}{ROOT}")
    assert out.splitlines()[-1] == "[]"
