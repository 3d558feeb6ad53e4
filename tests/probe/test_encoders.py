"""What of a run is probed: its network, the same untrained, or MFCC statistics."""

import pytest

from mclf_jax.probe import load_result, probe


def test_a_probe_of_another_encoder_than_the_trained_one(run, tmp_path):
    how = {"encoder": "mfcc", "kinds": ("linear",), "out": tmp_path / "out"}
    result = probe(run, **how)
    assert (result.method, result.step, result.heads) == ("mfcc", 0, {})
    assert load_result(tmp_path / "out").records == result.records
    assert (tmp_path / "out/report/test.json").is_file()
    for wrong, message in (
        ({"baselines": ("mfcc",)}, "encoder 'mfcc'; baselines are for 'trained'"),
        ({"encoder": "random"}, "encoder is 'random'; allowed: trained, untrained, mfcc"),
        ({"layer": 1}, "layer is 1; statistics of MFCCs have one"),
    ):
        with pytest.raises(ValueError, match=message):
            probe(run, **how | wrong)
