"""Other versions of networks that were published, as arguments of `models.build`."""

from typing import Any

from mclf_jax.common import checks
from mclf_jax.models import architecture
from mclf_jax.models.efficient import mobilenet
from mclf_jax.models.encoders import cpc, pase, wav2vec
from mclf_jax.models.patches import vit
from mclf_jax.models.taggers import musicnn

PUBLISHED = "published"
PRESETS: dict[str, dict[str, dict[str, Any]]] = {
    "cpc": {"speech": {**cpc.SPEECH, "features": {"sample_rate_hz": 16000}, "window_s": 1.28}},
    "mobilenet": {"mn04": mobilenet.MN04},
    "musicnn": {"large": musicnn.LARGE},
    "pase": {"plus": {**pase.PLUS, "window_s": 2.0}},
    "vit": {"ast": vit.AST, "base": vit.BASE, "m2d": vit.M2D, "matpac": vit.MATPAC},
    "wav2vec": {"large": wav2vec.LARGE},
}
"""By network and name."""


def preset(name: str, version: str = PUBLISHED) -> dict[str, Any]:
    """Arguments of `build` for a version in `PRESETS`; none for `PUBLISHED`, the usual one.

    Raises:
        ValueError: an unknown name or version.
    """
    architecture(name)
    versions = {PUBLISHED: {}} | PRESETS.get(name, {})
    checks.choice(f"preset of {name}", version, versions)
    return dict(versions[version])
