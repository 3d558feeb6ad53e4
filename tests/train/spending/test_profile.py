"""A trace of some steps."""

import jax.numpy as jnp
import pytest

from mclf_jax.train.spending.profile import Profile, parse_steps


def test_steps_are_first_and_last():
    assert parse_steps("10:14") == (10, 14)
    for wrong in ("10", "0:3", "5:4", "a:b"):
        with pytest.raises(ValueError, match="--profile-steps is .* A:B, the first and the last"):
            parse_steps(wrong)


def test_a_run_without_these_steps_says_so(tmp_path, capsys):
    profile = Profile(tmp_path, first_step=5, last_step=6)
    for step in (1, 2):
        profile.before_step(step)
        profile.after_step(step, None, jnp.ones(1))
    profile.close()
    assert "--profile-steps 5:6: none of these steps was trained" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
