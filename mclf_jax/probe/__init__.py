"""What frozen embeddings are good for: classifiers on them, beside honest baselines."""

from mclf_jax.common.callable import make_callable
from mclf_jax.probe.compare import compare
from mclf_jax.probe.result import ProbeResult, Record, load_result
from mclf_jax.probe.run import probe

__all__ = ["ProbeResult", "Record", "compare", "load_result", "probe"]

make_callable(__name__, probe)
