"""The architectures by name, and `build`, which binds one to its input representation."""

import dataclasses
import functools
import sys
from collections.abc import Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.core import FrozenDict, unfreeze

from mclf_jax.audio.features import KINDS, Features, LogMel, Stft, kind_class, to_json
from mclf_jax.common import checks, plugins
from mclf_jax.models import arguments as argument_lib
from mclf_jax.models import combined, frozen, two_towers
from mclf_jax.models.efficient import mobilenet
from mclf_jax.models.encoders import clmr_sample_cnn, cpc, musicfm, pase, rvq, wav2vec
from mclf_jax.models.patches import vit
from mclf_jax.models.taggers import (
    cnnsa,
    crnn,
    fcn,
    harmonic_cnn,
    music_tagging_transformer,
    musicnn,
    sample_cnn,
    sample_cnn_se,
    short_chunk_cnn,
    short_chunk_resnet,
    tutorial_cnn,
    vgg_ish,
)


class Architecture(NamedTuple):
    """A network and the input that it was published with.

    Attributes:
        module: its class.
        features, window_samples: the published input.
        head: name of the last dense layer in checkpoints.
        length: "fixed" if the network is made for one length of input, "any" if it pools over
            time or attends over it.
    """

    module: type[nn.Module]
    features: Features
    window_samples: int
    head: str
    length: str


def _entry(module: type[nn.Module], head: str, length: str) -> Architecture:
    file = sys.modules[module.__module__]
    return Architecture(module, file.FEATURES, file.WINDOW_SAMPLES, head, length)


def architecture(name: str, arguments: Mapping[str, Any] | None = None) -> Architecture:
    """The network of a name: of `ARCHITECTURES`, "combined", "two_towers", or one from outside.

    What is outside, see `common.plugins`, is an `Architecture`, or a Linen module in whose file
    stand, where they are not the defaults, FEATURES (`LogMel()`), WINDOW_SAMPLES (of three
    seconds), HEAD ("head") and LENGTH ("any").

    Args:
        name: of the network.
        arguments: of the network. They decide what "combined" and "two_towers" take in.

    Raises:
        ValueError: there is none of that name, or it is no network.
    """
    if name in ARCHITECTURES:
        return ARCHITECTURES[name]
    if name == combined.NAME:
        ends = arguments_of(name) | dict(arguments or {})
        front, back = (combined.chosen(end, ends[end]) for end in ("front", "back"))
        return Architecture(
            combined.Combined, front.features, front.window_samples, combined.HEAD, back.length
        )
    if name == two_towers.NAME:
        settings = arguments_of(name) | dict(arguments or {})
        _check_encoder(settings["encoder"])
        found = architecture(settings["encoder"], settings["encoder_args"])
        return found._replace(module=two_towers.TwoTowers, head=two_towers.HEAD)
    known = sorted([*ARCHITECTURES, *_OF_PARTS])
    found = plugins.find("models", name, field="model.name", known=known)
    if isinstance(found, Architecture):
        return found
    if not (isinstance(found, type) and issubclass(found, nn.Module)):
        raise ValueError(
            f"model.name is {name!r}, which is {found!r}; it must be a subclass of "
            "flax.linen.Module or a mclf_jax.models.Architecture"
        )
    if "num_labels" not in found.__dataclass_fields__:
        raise ValueError(f"model.name is {name!r}, which lacks the attribute num_labels: int")
    file = vars(sys.modules[found.__module__])
    features = file.get("FEATURES", LogMel())
    return Architecture(
        found,
        features,
        file.get("WINDOW_SAMPLES", 3 * features.sample_rate_hz),
        file.get("HEAD", "head"),
        file.get("LENGTH", "any"),
    )


ARCHITECTURES = {
    "fcn": _entry(fcn.FCN, "dense", "fixed"),
    "vgg_ish": _entry(vgg_ish.VGGish, "dense", "fixed"),
    "musicnn": _entry(musicnn.MusiCNN, "dense2", "any"),
    "crnn": _entry(crnn.CRNN, "dense", "fixed"),
    "sample_cnn": _entry(sample_cnn.SampleCNN, "dense", "fixed"),
    "sample_cnn_se": _entry(sample_cnn_se.SampleCNNSE, "dense2", "fixed"),
    "cnnsa": _entry(cnnsa.CNNSA, "dense", "any"),
    "harmonic_cnn": _entry(harmonic_cnn.HarmonicCNN, "dense2", "any"),
    "short_chunk_cnn": _entry(short_chunk_cnn.ShortChunkCNN, "dense2", "any"),
    "short_chunk_resnet": _entry(short_chunk_resnet.ShortChunkResNet, "dense2", "any"),
    "music_tagging_transformer": _entry(
        music_tagging_transformer.MusicTaggingTransformer, "mlp_head.1", "any"
    ),
    "tutorial_cnn": _entry(tutorial_cnn.TutorialCNN, "dense2", "fixed"),
    "clmr_sample_cnn": _entry(clmr_sample_cnn.CLMRSampleCNN, "fc", "fixed"),
    "cpc": _entry(cpc.CPC, "fc", "any"),
    "wav2vec": _entry(wav2vec.Wav2Vec, "fc", "any"),
    "pase": _entry(pase.PASE, "fc", "any"),
    "vit": _entry(vit.ViT, "head", "any"),
    "musicfm": _entry(musicfm.MusicFM, "head", "any"),
    "mobilenet": _entry(mobilenet.MobileNet, "classifier.5", "any"),
    "rvq": _entry(rvq.RVQ, "head", "any"),
}
_OF_PARTS = {combined.NAME: combined.Combined, two_towers.NAME: two_towers.TwoTowers}
DTYPES = ("float32", "bfloat16")
REMATS = ("none", "blocks")
# Attributes of modules that have a place of their own in a config.
_NOT_ARGUMENTS = {"num_labels", "sample_rate_hz", "dtype", "remat", "parent", "name", "tower"}


@dataclasses.dataclass(frozen=True)
class Model:
    """A network, the features it takes and the length of its input.

    Attributes:
        name: as in `ARCHITECTURES`.
        module: maps features, such as [B, F, M], to {"logits": [B, K], "embedding": [B, D]}.
        features: how a waveform becomes an input.
        window_samples: T of one input, at `features.sample_rate_hz`.
        length: "fixed" or "any", see `Architecture`.
        frozen: names of variables, "layer1.conv.kernel", that `apply_train` leaves alone; see
            `mclf_jax.models.freezing`.
    """

    name: str
    module: Any  # a Linen module; what flax says of `apply` is a union that takes no key
    features: Features
    window_samples: int
    length: str
    frozen: frozenset[str] = frozenset()

    @property
    def window_s(self) -> float:
        return self.window_samples / self.features.sample_rate_hz

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one input, such as (F, M)."""
        return self.features.shape(self.window_samples)

    def init(self, key: jax.Array) -> dict[str, Any]:
        """Fresh variables: {"params": ..., "batch_stats": ...}.

        Compiled as one program, which takes a part of the time of one for each operation; it is
        kept for all models that are equal, so that none is traced twice.
        """
        return _init(self, key)

    def init_in_call_order(self, key: jax.Array) -> dict[str, Any]:
        """`init` as Linen does it: modules stand in the order in which the network calls them."""
        x = jnp.zeros((1, *self.input_shape))
        return dict(self.module.init({"params": key}, x, train=False))

    def inputs(self, batch: Mapping[str, jax.Array]) -> jax.Array:
        """What the module takes: "features" of a batch, or computed here from "audio" [B, T]."""
        if "features" in batch:
            return batch["features"]
        with jax.named_scope("features"):
            return self.features(batch["audio"])

    def apply_train(
        self, params: Any, state: Mapping[str, Any], x: jax.Array, *, key: jax.Array, **more: Any
    ) -> tuple[dict[str, jax.Array], dict[str, Any]]:
        """Outputs in training mode and the new state, as Linen's `apply` with mutable state.

        What is `frozen` has no gradient, and its modules are in evaluation mode.

        Args:
            params: that the gradient is for.
            state: all other variables: {"batch_stats": ...}.
            x: of `inputs`.
            key: of dropout.
            **more: arguments of this network's own, such as `visible` of "vit".
        """
        variables = {"params": frozen.without_gradients(params, self.frozen), **state}
        with frozen.in_evaluation_mode(variables, self.frozen), jax.named_scope("network"):
            outputs, new_state = self.module.apply(
                variables, x, train=True, rngs={"dropout": key}, mutable=list(state), **more
            )
        return outputs, frozen.kept(self.frozen, old=state, new=new_state)

    def apply(self, variables: Mapping[str, Any], waveform: jax.Array) -> dict[str, jax.Array]:
        """Evaluation-mode outputs for float [B, T] at the model's rate.

        Returns:
            {"logits": [B, K], "embedding": [B, D]}; logits, never probabilities.
        """
        x = self.inputs({"audio": jnp.asarray(waveform)})
        return self.module.apply(variables, x, train=False)


@functools.partial(jax.jit, static_argnums=0, inline=True)
def _init(model: Model, key: jax.Array) -> dict[str, Any]:
    return model.init_in_call_order(key)


def build(
    name: str,
    *,
    num_labels: int,
    features: Features | Mapping[str, Any] | None = None,
    n_mels: int | None = None,
    window_s: float | None = None,
    dtype: str = "float32",
    remat: str = "none",
    **arguments: Any,
) -> Model:
    """A model by name with its published input and sizes, or with the changes asked for.

    Args:
        name: one of `ARCHITECTURES`.
        num_labels: K.
        features: another representation, such as `features.preset("librosa")`, or fields to
            replace in the published one, such as {"hop_length": 512}; see `features_of`.
        n_mels: short for one of them.
        window_s: length of an input in seconds; the published one when not given.
        dtype: "float32", or "bfloat16" for the blocks, whose parameters and statistics stay
            float32, as do input normalisation and last layer.
        remat: "none", or "blocks" to keep only what is between blocks for the backward pass and
            compute their insides again: less memory, more time.
        **arguments: attributes of the module, such as `n_channels` or `dropout_rate`.

    Raises:
        ValueError: an unknown name or argument; the message lists the choices.
    """
    defaults = arguments_of(name)
    argument_lib.check("model.args", arguments, defaults, of=name)
    if name == combined.NAME:
        combined.check(defaults | arguments)
    if name == two_towers.NAME:
        given = {"features": features, "n_mels": n_mels, "window_s": window_s}
        given |= {"dtype": dtype, "remat": remat}
        return _two_towers(num_labels, given, defaults | arguments)
    found = architecture(name, arguments)
    checks.choice("model.dtype", dtype, DTYPES)
    checks.choice("model.remat", remat, REMATS)
    checks.window_s("model.window_s", window_s)
    settings = features_of(name, features, arguments=arguments)
    if n_mels is not None:
        changed = {**to_json(settings), "n_mels": n_mels}
        settings = features_of(name, changed, arguments=arguments)
    if window_s is None:
        window_s = found.window_samples / found.features.sample_rate_hz
    takes = {field.name for field in dataclasses.fields(found.module)}
    if "sample_rate_hz" in takes:
        arguments["sample_rate_hz"] = settings.sample_rate_hz
    # Modules must be hashable, and JSON has lists where configs have tuples.
    arguments = {key: checks.as_tuples(value) for key, value in arguments.items()}
    for field, value, plain in (("dtype", dtype, "float32"), ("remat", remat, "none")):
        if field in takes:
            arguments[field] = value
        elif value != plain:
            raise ValueError(f"model.{field} is {value!r}, but {name} has no attribute {field}")
    model = Model(
        name=name,
        module=found.module(num_labels=num_labels, **arguments),
        features=settings,
        window_samples=round(window_s * settings.sample_rate_hz),
        length=found.length,
    )
    if name not in ARCHITECTURES and name not in _OF_PARTS:
        _check_contract(model, head=found.head, num_labels=num_labels)
    return model


def _two_towers(num_labels: int, given: Mapping[str, Any], arguments: Mapping[str, Any]) -> Model:
    """An audio tower, which is built as `given`, and what stands on it and beside it."""
    own, encoder_args = arguments["encoder"], arguments["encoder_args"]
    _check_encoder(own)
    try:
        audio = build(own, num_labels=1, **given, **encoder_args)
    except ValueError as error:
        said = str(error).replace("model.args", "model.args.encoder_args")
        raise ValueError(said.replace("model.name", "model.args.encoder")) from error
    module = two_towers.TwoTowers(num_labels=num_labels, tower=audio.module, **arguments)
    return dataclasses.replace(audio, name=two_towers.NAME, module=module)


def _check_encoder(name: str) -> None:
    if name == two_towers.NAME:
        raise ValueError(f"model.args.encoder is {name!r}; it must be another network")


def _check_contract(model: Model, *, head: str, num_labels: int) -> None:
    """Raise a ValueError unless a network from outside returns what one must, nothing computed."""
    variables = jax.eval_shape(model.init, jax.random.key(0))
    x = jax.ShapeDtypeStruct((2, *model.input_shape), jnp.float32)
    got = jax.eval_shape(lambda v, x: model.module.apply(v, x, train=False), variables, x)
    shapes = {k: getattr(v, "shape", v) for k, v in got.items()} if isinstance(got, dict) else got
    wanted = "{'logits': [B, K], 'embedding': [B, D]}"
    fits = (
        isinstance(shapes, dict)
        and shapes.get("logits") == (2, num_labels)
        and len(shapes.get("embedding", ())) == 2
    )
    if not fits:
        raise ValueError(
            f"{model.name} returns {shapes} for {x.shape}; it must return {wanted}, of B = 2 "
            f"inputs and K = {num_labels} labels"
        )
    if head not in variables["params"]:
        raise ValueError(
            f"{model.name} has no part {head!r}; name its last layer so, or set HEAD in its file "
            f"to one of {', '.join(variables['params'])}"
        )


def features_of(
    name: str,
    changes: Features | Mapping[str, Any] | None = None,
    *,
    arguments: Mapping[str, Any] | None = None,
) -> Features:
    """The features of a model, known before its labels are: published, or with some changes.

    Args:
        name: one of `ARCHITECTURES`.
        changes: fields to replace. With "kind", one of `features.KINDS`, what takes a log-mel
            spectrogram takes another [F, M] representation, which keeps the published rate, hop
            and whatever else both have. Or the whole representation.
        arguments: of the network, as of `architecture`.

    Raises:
        ValueError: the kind of features has no such field, or the model does not take that kind.
    """
    published = architecture(name, arguments).features
    changes = to_json(changes) if dataclasses.is_dataclass(changes) else changes or {}
    changes = dict(changes)
    own_kind = to_json(published)["kind"]
    kind = changes.pop("kind", None) or own_kind
    outside = ":" in kind or kind in plugins.declared("features")
    if kind not in (allowed := _kinds_for(published)) and not outside:
        raise ValueError(
            f"features.kind is {kind!r}, but {name} takes a {published.kind}; "
            f"allowed: {', '.join(allowed)}"
        )
    made = kind_class(kind)
    known = [field.name for field in dataclasses.fields(made)]
    if unknown := sorted(set(changes) - set(known)):
        raise ValueError(
            f"features.{unknown[0]} is set, but {name} takes a {kind}; "
            f"its fields are {', '.join(known)}; None is wanted for {', '.join(unknown)}"
        )
    if kind == own_kind:
        return dataclasses.replace(published, **changes)
    kept = known if issubclass(made, Stft) else {"sample_rate_hz", "hop_length"}.intersection(known)
    kept = {field: getattr(published, field) for field in kept if hasattr(published, field)}
    return made(**kept | changes)


def _kinds_for(published: Features) -> tuple[str, ...]:
    if not isinstance(published, LogMel):
        return (published.kind,)
    return tuple(k for k in KINDS if k not in ("waveform", "power_spectrogram"))


def arguments_of(name: str) -> dict[str, Any]:
    """The arguments that `build` passes on to a network, with their published values.

    One from outside may have none for some: `inspect.Parameter.empty`, as objectives say it.
    """
    module = _OF_PARTS[name] if name in _OF_PARTS else architecture(name).module
    return argument_lib.taken(module, without=_NOT_ARGUMENTS)


def used_arguments(model: Model) -> dict[str, Any]:
    """The arguments that a network was built with, as a config holds them."""
    values = {name: getattr(model.module, name) for name in arguments_of(model.name)}
    return {
        name: unfreeze(value) if isinstance(value, FrozenDict) else value
        for name, value in values.items()
    }
