"""The network of a catalogue: opened once in each process that hears songs by it."""

import threading
from collections.abc import Mapping
from typing import Any

from mclf_jax.api import Tagger, load
from mclf_jax.catalogue.folder import Network, absolute
from mclf_jax.export.collect import Paths

_lock = threading.Lock()
_opened: dict[str, Tagger] = {}  # of one fingerprint: whatever this process is hearing by


def open_network(run: Paths, **how: Any) -> tuple[Tagger, Network]:
    """A run's tagger, and what a catalogue keeps of it; arguments as of `api.load`."""
    how = {name: value for name, value in how.items() if value is not None}
    tagger = load(run, **how)
    runs = (run,) if isinstance(run, str) or not hasattr(run, "__iter__") else tuple(run)
    network = Network(
        fingerprint=tagger.identity,
        run=tuple(absolute(each) for each in runs),
        how=how,
        task=tagger.task,
        labels=tuple(tagger.labels),
        thresholds=dict(tagger.thresholds),
    )
    with _lock:
        _opened.clear()
        _opened[network.fingerprint] = tagger
    return tagger, network


def tagger_of(network: Network, *, run: Paths | None = None) -> Tagger:
    """The tagger of a catalogue's network, which this process opens once.

    Args:
        network: of the catalogue.
        run: where it is now, if it has moved.

    Raises:
        FileNotFoundError: it is not there any more.
        ValueError: what is there has other weights by now.
    """
    with _lock:
        if network.fingerprint not in _opened:
            where: Any = run or (network.run[0] if len(network.run) == 1 else list(network.run))
            how: Mapping[str, Any] = network.how
            tagger = load(where, **how)
            if tagger.identity != network.fingerprint:
                raise ValueError(
                    f"{where} is not the network of this catalogue any more (fingerprint "
                    f"{tagger.identity[:12]}, and the catalogue has {network.fingerprint[:12]}): "
                    "say where that one is now, by --model"
                )
            _opened.clear()
            _opened[network.fingerprint] = tagger
        return _opened[network.fingerprint]
