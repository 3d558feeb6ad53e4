"""Any front end with any back end (Won et al. 2021, tutorial, chapter 7.1), put together by name.

A front end maps an input to a sequence [B, F, D], time by features; a back end maps that to an
embedding [B, E]. Both are Linen modules, called as `(x, *, train)`.
"""

import contextlib
import dataclasses
import sys
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import flax.linen as nn
from flax.core import FrozenDict

from mclf_jax.audio.features import Features, LogMel
from mclf_jax.common import plugins
from mclf_jax.models import arguments
from mclf_jax.models.backs import BACKS
from mclf_jax.models.fronts import FRONTS
from mclf_jax.models.layers.blocks import Network, dense, dropout, outputs
from mclf_jax.models.layers.parts import Part, joined

NAME = "combined"
HEAD = "head"
# Of our parts: filled in by the network, or what only published networks set.
_NOT_ARGUMENTS = {"dtype", "remat", "prefix", "sample_rate_hz", "parent", "name"}
_NOT_ARGUMENTS |= {"depth_rates", "input_norm"}


class Chosen(NamedTuple):
    """A front end, or a back end.

    Attributes:
        module: its class.
        features, window_samples: what a front end takes unless told otherwise.
        length: "any", or "fixed" if it is made for one length of input.
    """

    module: type[nn.Module]
    features: Features
    window_samples: int
    length: str


class Combined(Network):
    """A front end, a dense layer over each step of what it makes, a back end.

    Attributes:
        front: one of `fronts.FRONTS`, or one from outside, see docs/extending.md.
        front_args: its own arguments.
        back, back_args: the same of `backs.BACKS`.
        width: of the dense layer between them; 0 for none. Attention needs steps whose width is a
            multiple of the number of heads.
        dropout_rate: before the last layer.
        sample_rate_hz: of the waveform; filled in by `models.build`.
    """

    front: str = "log_mel"
    front_args: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    back: str = "pooling"
    back_args: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    width: int = 0
    dropout_rate: float = 0.2
    sample_rate_hz: int = 16000

    def __post_init__(self):
        for end in ("front_args", "back_args"):  # modules are static to jit, so they have a hash
            object.__setattr__(self, end, FrozenDict(getattr(self, end)))
        super().__post_init__()

    @nn.compact
    def __call__(self, x, *, train: bool):
        """An input -> {"logits": [B, K], "embedding": [B, E]}."""
        x = self._through("front", x, train=train)
        if self.width:
            x = dense(x, self.width, name="between")
        x = self._through("back", x, train=train)
        # By a name of its own: parts name theirs by themselves.
        x = dropout(x, self.dropout_rate, train=train, name="last_dropout")
        return outputs(x, self.num_labels, name=HEAD)

    def _through(self, end: str, x, *, train: bool):
        module = chosen(end, getattr(self, end)).module
        given = self.ways | {"sample_rate_hz": self.sample_rate_hz, "prefix": f"{end}."}
        takes = arguments.taken(module, without=())
        given = {name: given[name] for name in given if name in takes}
        given |= getattr(self, f"{end}_args")
        if issubclass(module, Part):
            part = joined(self, module(**given))
        else:
            part = module(**given, name=end)
        with _named_field(end):
            y = part(x, train=train)
        axes, wanted = (3, "[B, F, D]") if end == "front" else (2, "[B, E]")
        if getattr(y, "ndim", None) != axes or y.shape[0] != x.shape[0]:
            raise ValueError(
                f"model.args.{end} {getattr(self, end)!r} makes "
                f"{getattr(y, 'shape', type(y).__name__)} of {x.shape}; it must make {wanted}"
            )
        return y


def chosen(end: str, name: str) -> Chosen:
    """The front end or back end of a name.

    One from outside is a Linen module; in its file stand, where they are not these, FEATURES
    (`LogMel()`), WINDOW_SAMPLES (of five seconds) and LENGTH ("any").

    Args:
        end: "front" or "back".
        name: one of `FRONTS` or `BACKS`, or see `common.plugins`.

    Raises:
        ValueError: there is none of that name, or it is no Linen module.
    """
    known = {"front": FRONTS, "back": BACKS}[end]
    if name in known:
        module = known[name]
    else:
        module = plugins.find(f"{end}s", name, field=f"model.args.{end}", known=list(known))
        if not (isinstance(module, type) and issubclass(module, nn.Module)):
            raise ValueError(
                f"model.args.{end} is {name!r}, which is {module!r}; it must be a subclass of "
                "flax.linen.Module"
            )
    file = vars(sys.modules[module.__module__])
    features = file.get("FEATURES", LogMel())
    window_samples = file.get("WINDOW_SAMPLES", 5 * features.sample_rate_hz)
    return Chosen(module, features, window_samples, file.get("LENGTH", "any"))


def check(settings: Mapping[str, Any]) -> None:
    """Raise a ValueError unless both ends are there, and take the arguments that are given.

    Args:
        settings: arguments of `Combined`.
    """
    for end in ("front", "back"):
        name, given = settings[end], settings[f"{end}_args"]
        field = f"model.args.{end}_args"
        if not isinstance(given, Mapping):
            raise ValueError(
                f"{field} is {given!r}; it must be a dictionary, such as {{'n_channels': 16}}"
            )
        takes = arguments.taken(chosen(end, name).module, without=_NOT_ARGUMENTS)
        arguments.check(field, given, takes, of=name)


@contextlib.contextmanager
def _named_field(end: str) -> Iterator[None]:
    """Errors about arguments of a part name the field that they are in here."""
    try:
        yield
    except ValueError as error:
        said = str(error)
        if "model.args." not in said:
            raise
        raise ValueError(said.replace("model.args.", f"model.args.{end}_args.")) from error
