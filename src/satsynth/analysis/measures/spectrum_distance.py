"""Distance of the power spectra of two sets of images."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from satsynth.analysis.measures.inputs import REFERENCE, MeasureInputs
from satsynth.analysis.measures.registry import Heading, Measure
from satsynth.analysis.measures.table import Row


def radial_spectrum(images: np.ndarray) -> np.ndarray:
    """Return the mean power of the grey images by spatial frequency.

    Args:
        images: ``(N, H, W, 3)`` uint8, H = W.

    Returns:
        ``(H // 2,)`` mean power at 0..H/2-1 cycles per image.
    """
    side = images.shape[1]
    fy, fx = np.meshgrid(np.fft.fftfreq(side), np.fft.fftfreq(side), indexing="ij")
    radius = np.rint(np.hypot(fy, fx) * side).astype(int)
    power = np.zeros((side, side))
    for image in images:
        grey = image.astype(np.float64).mean(2) / 255
        power += np.abs(np.fft.fft2(grey - grey.mean())) ** 2
    sums = np.bincount(radius.ravel(), power.ravel())
    counts = np.bincount(radius.ravel())
    return sums[: side // 2] / counts[: side // 2] / len(images)


def spectrum_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Return the mean absolute difference of log10 power, zero frequency left out."""
    return float(np.abs(np.log10(a[1:] + 1e-12) - np.log10(b[1:] + 1e-12)).mean())


def _rows(inputs: MeasureInputs) -> Iterator[Row]:
    """Yield distances without intervals: means of absolute differences are biased upwards, more so when resampled."""
    reference = radial_spectrum(inputs.images[REFERENCE])
    for name in inputs.compared:
        yield Row(name, "spectrum_distance", spectrum_distance(reference, radial_spectrum(inputs.images[name])))


MEASURE = Measure(
    name="spectrum_distance",
    version=1,
    needs=frozenset({"images"}),
    rows=_rows,
    headings={"spectrum_distance": Heading("spectrum distance")},
)
