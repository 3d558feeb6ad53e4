"""Loudness compression and lossy encoding, as they are heard."""

import jax
import numpy as np
import pytest

from mclf_jax import augment
from mclf_jax.audio.features import LogMel
from mclf_jax.augment.delivery.codecs import Mp3, Ogg
from mclf_jax.augment.delivery.compressor import Compressor, compress
from mclf_jax.config import base

RATE_HZ = 16000


def song(rate_hz=RATE_HZ, seconds=1.0):
    t = np.arange(round(rate_hz * seconds)) / rate_hz
    rng = np.random.default_rng(0)
    tones = sum(np.sin(2 * np.pi * f * t * (1 + 0.02 * t)) / n for n, f in enumerate((220, 991), 1))
    return (0.2 * tones + 0.02 * rng.standard_normal(len(t))).astype(np.float32)


def error_db(x, y):
    return 10 * np.log10(np.mean((x - y) ** 2) / np.mean(x**2))


@pytest.mark.parametrize("rate_hz", [8000, 22050, 48000])
@pytest.mark.parametrize("bound", [0, 1])
def test_mp3_is_in_time_at_every_rate(rate_hz, bound):
    x, limits = song(rate_hz), Mp3(rate_hz).limits["kbps"]
    y = Mp3(rate_hz, limits[bound], limits[bound])(np.random.default_rng(0), x)
    shifted = [error_db(x[1:], y[:-1]), error_db(x[:-1], y[1:])]
    assert error_db(x, y) < min(*shifted, (-14, -20)[bound])


def test_fewer_bits_are_worse():
    rng, x = np.random.default_rng(0), song()
    mp3 = [error_db(x, Mp3(RATE_HZ, kbps, kbps)(rng, x)) for kbps in (128, 48, 16)]
    ogg = [error_db(x, Ogg(RATE_HZ, quality, quality)(rng, x)) for quality in (10, 4, 0)]
    assert mp3 == sorted(mp3) and ogg == sorted(ogg)
    loud = Mp3(RATE_HZ, 128, 128)(rng, 5 * x)
    assert np.abs(loud).max() > 1.5 and error_db(5 * x, loud) < -15  # nothing is clipped


def test_what_mp3_cannot_do_is_refused():
    with pytest.raises(ValueError, match="Mp3.sample_rate_hz is 1000; MP3 has the rates 8000"):
        Mp3(1000)
    with pytest.raises(ValueError, match=r"max_kbps is 320; it must be in \[8.0, 160.0\]"):
        Mp3(RATE_HZ, 8, 320)
    with pytest.raises(ValueError, match="Ogg runs on the host: give a numpy.random.Generator"):
        Ogg(RATE_HZ)(jax.random.key(0), song())
    config = base()
    config.augment.chain = (("mp3", 0.5, {}),)
    features = LogMel(sample_rate_hz=RATE_HZ)
    chain = augment.build(config.augment, features=features).waveform
    assert chain(np.random.default_rng(0), song()[None]).shape == (1, RATE_HZ)
    config.augment.on = "device"
    with pytest.raises(ValueError, match=r"chain\[0\] is 'mp3', which runs on the host, but"):
        augment.build(config.augment, features=features)


def test_a_compressor_leaves_less_between_loud_and_soft():
    rng = np.random.default_rng(0)
    soft, loud = 0.02 * rng.standard_normal(8000), 0.2 * rng.standard_normal(8000)
    x = np.concatenate([soft, loud]).astype(np.float32)

    def range_db(y):
        return 20 * np.log10(np.std(y[8500:]) / np.std(y[:7500]))

    ranges = [range_db(compress(x, r, threshold_db=-40, sample_rate_hz=RATE_HZ)) for r in (2, 4, 9)]
    np.testing.assert_allclose(ranges, [10, 5, 20 / 9], atol=0.6)  # 20 dB over the ratio
    y = compress(x, 4.0, threshold_db=-40, sample_rate_hz=RATE_HZ)
    assert np.mean(y**2) == pytest.approx(np.mean(x**2), rel=1e-3)
    np.testing.assert_allclose(
        compress(x, 1.0, threshold_db=-40, sample_rate_hz=RATE_HZ), x, atol=1e-6
    )
    on_device = jax.jit(Compressor(RATE_HZ, 4, 4))(jax.random.key(0), x[7000:9000])
    on_host = Compressor(RATE_HZ, 4, 4)(rng, x[7000:9000])
    np.testing.assert_allclose(on_device, on_host, atol=1e-4)
