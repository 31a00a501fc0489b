"""The curves behind the distances of colours and spectra, for figures."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from satsynth.analysis.measures.color_distance import color_histogram
from satsynth.analysis.measures.spectrum_distance import radial_spectrum

RESULT_VERSION = 1
CHANNELS = ("red", "green", "blue")


def curve_rows(images: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Return power spectra and colour histograms of sets of images.

    Args:
        images: ``(N, H, W, 3)`` uint8 by name of the set.

    Returns:
        A row for each point of a curve, ``set, curve, x, y``: ``spectrum`` is power by cycles per image; ``red``,
        ``green`` and ``blue`` are shares of values by grey level.
    """
    parts = []
    for name, part in images.items():
        spectrum, histogram = radial_spectrum(part), color_histogram(part)
        parts.append(pd.DataFrame({"set": name, "curve": "spectrum", "x": np.arange(len(spectrum)), "y": spectrum}))
        x = (np.arange(histogram.shape[1]) + 0.5) * 256 / histogram.shape[1]
        parts += [
            pd.DataFrame({"set": name, "curve": channel, "x": x, "y": y})
            for channel, y in zip(CHANNELS, histogram, strict=True)
        ]
    return pd.concat(parts, ignore_index=True)
