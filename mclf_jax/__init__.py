"""Music classification beyond supervised learning, in JAX.

The names below are imported when they are first used, so that `import mclf_jax` costs
nothing: neither jax nor matplotlib is loaded until something needs them.
"""

import importlib
from typing import Any

# public name -> "module" or "module:attribute"
_PUBLIC = {
    "Report": "mclf_jax.evaluation.result:Report",
    "Tagger": "mclf_jax.api:Tagger",
    "augment": "mclf_jax.augment",
    "benchmark": "mclf_jax.sweep.protocol:benchmark",
    "compare": "mclf_jax.probe.compare:compare",
    "compare_runs": "mclf_jax.report.comparison.runs:compare_runs",
    "catalogue": "mclf_jax.catalogue",
    "config": "mclf_jax.config",
    "calibrate": "mclf_jax.evaluation.calibrate:calibrate",
    "build_model": "mclf_jax.models:build",
    "data": "mclf_jax.data",
    "history": "mclf_jax.run.history:of_run",
    "inspect": "mclf_jax.train.overview:overview",
    "listen": "mclf_jax.report.players:listen",
    "measure_robustness": "mclf_jax.report.comparison.robustness:measure_robustness",
    "override": "mclf_jax.config.load:override",
    "probe": "mclf_jax.probe",
    "read_audio": "mclf_jax.audio.decode:read_audio",
    "search": "mclf_jax.catalogue.ask:search",
    "segments": "mclf_jax.metrics.along",
    "similar": "mclf_jax.catalogue.ask:similar",
    "suggest": "mclf_jax.data.annotators.suggest:suggest",
    "sweep": "mclf_jax.sweep",
    "train": "mclf_jax.train",
    "evaluate_along": "mclf_jax.evaluation.along:evaluate_along",
    "evaluate": "mclf_jax.trial.evaluate:evaluate",
    "features": "mclf_jax.audio.features",
    "from_torch": "mclf_jax.convert.from_torch:from_torch",
    "label_list": "mclf_jax.data.catalogue.label_lists:label_list",
    "load": "mclf_jax.api:load",
    "losses": "mclf_jax.losses",
    "metrics": "mclf_jax.metrics",
    "to_torch": "mclf_jax.convert.to_torch:to_torch",
    "soup": "mclf_jax.convert.soup:make_soup",
    "score_groups": "mclf_jax.report.groups:score_groups",
    "plot": "mclf_jax.figures.notebook",
    "plot_along": "mclf_jax.figures.taggram:plot_along",
    "plot_taggram": "mclf_jax.figures.taggram:plot_taggram",
}

__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("mclf-jax")
    if name not in _PUBLIC:
        raise AttributeError(f"module 'mclf_jax' has no attribute {name!r}")
    module, _, attribute = _PUBLIC[name].partition(":")
    value = importlib.import_module(module)
    if attribute:
        value = getattr(value, attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
