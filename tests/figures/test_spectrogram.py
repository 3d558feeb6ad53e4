"""The picture of a song."""

import numpy as np
import pytest

from mclf_jax.figures.spectrogram import plot_spectrogram
from mclf_jax.report.svg import inline_svg


def test_spectrogram_axes_and_silence():
    (axes,) = plot_spectrogram(np.zeros((100, 40)), duration_s=2.0).axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("seconds", "mel band")
    assert axes.get_xlim() == (0, 2)
    silent = np.full((10, 40), -np.inf)
    figure = plot_spectrogram(silent, duration_s=0.5, mel_centre_hz=np.linspace(100, 9000, 40))
    (axes,) = figure.axes
    assert axes.images[0].get_clim() == (-80, 0)
    names = [t.get_text() for t in axes.get_yticklabels()]
    assert names[0] == "8k"
    assert "<svg" in inline_svg(figure, name="s", description="silence")
    with pytest.raises(ValueError, match="frames, mel bands"):
        plot_spectrogram(np.zeros(5), duration_s=1)
