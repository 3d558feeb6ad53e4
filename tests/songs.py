"""A source of short noises held in memory, for tests of what happens around the data."""

import dataclasses

import numpy as np

from mclf_jax.audio.decode import AudioError
from mclf_jax.data.base.source import Info, Source

RATE_HZ = 1000


@dataclasses.dataclass
class Songs(Source):
    """Song i is 2 to 3 s of noise around i; `broken` ones cannot be read."""

    count: int = 12
    broken: tuple[int, ...] = ()

    def __post_init__(self):
        third = self.count // 3
        self.info = Info(
            name="songs",
            task="single_label",
            labels=("low", "high"),
            sample_rate_hz=RATE_HZ,
            splits={
                "train": np.arange(third, self.count),
                "valid": np.arange(third // 2),
                "test": np.arange(third // 2, third),
            },
            groups=tuple(map(str, range(self.count))),
            version="1",
            fingerprint="songs",
            licence="none",
        )

    def __len__(self):
        return self.count

    def num_samples(self, index):
        return 2000 + 1000 * index // self.count

    def read(self, index, *, start_sample, num_samples):
        if index in self.broken:
            raise AudioError(self.item_id(index), "broken on purpose")
        rng = np.random.default_rng(index)
        song = (index + 0.1 * rng.standard_normal(self.num_samples(index))).astype(np.float32)
        return song[start_sample : start_sample + num_samples]

    @property
    def labels(self):
        return np.arange(self.count, dtype=np.int32) % 2

    def item_id(self, index):
        return f"song {index}"
