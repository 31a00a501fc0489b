"""Fidelity measures that need no download."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from satsynth.analysis.measures.manifold import (
    NEIGHBOURS,
    frechet_distance,
    neighbourhoods,
    principal,
    square_distances,
)

FEATURES = "encoder, mean over space, standardised by train"
CHANNELS = ("red", "green", "blue")


def bandwidth_of(reference: np.ndarray) -> float:
    """Return the median distance between rows of the reference ``(N, F)``, of at most 1000 of them evenly spread."""
    rows = reference[np.linspace(0, len(reference) - 1, min(len(reference), 1000)).astype(int)]
    return float(np.sqrt(np.median(square_distances(rows, rows)[np.triu_indices(len(rows), 1)]))) or 1.0


def kernel_distance(a: np.ndarray, b: np.ndarray, bandwidth: float) -> float:
    """Return the unbiased squared maximum mean discrepancy of two sets of features under a Gaussian kernel.

    The kernel is bounded, so that a few outliers cannot decide; a cubic one (KID) in features of a small network is
    ruled by them.

    Args:
        a: ``(N, F)`` features.
        b: ``(M, F)`` features.
        bandwidth: Standard deviation of the kernel, the same for all sets compared.

    Returns:
        The distance, at most 2; around zero, possibly below, for sets of one distribution; NaN if a set has fewer than
        two rows.

    Source: Gretton et al., JMLR 13 (2012), lemma 6; for images Jayasumana et al., arXiv 2401.09603.
    """
    if min(len(a), len(b)) < 2:
        return float("nan")
    aa, bb, ab = (np.exp(square_distances(x, y) / (-2 * bandwidth**2)) for x, y in ((a, a), (b, b), (a, b)))
    n, m = len(a), len(b)
    return float((aa.sum() - np.trace(aa)) / (n * (n - 1)) + (bb.sum() - np.trace(bb)) / (m * (m - 1)) - 2 * ab.mean())


def units_of(reference: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation ``(F,)`` of the reference's features ``(N, F)``; the latter is never zero."""
    return reference.mean(0), reference.std(0) + 1e-6


def standardise(reference: np.ndarray, *others: np.ndarray) -> list[np.ndarray]:
    """Return all sets of features in units of the reference's mean and standard deviation."""
    mean, std = units_of(reference)
    return [(features - mean) / std for features in (reference, *others)]


def color_histogram(images: np.ndarray, bins: int = 32) -> np.ndarray:
    """Return the share of values in each bin of each channel, ``(3, bins)``, of images ``(N, H, W, 3)`` uint8."""
    flat = images.reshape(-1, 3)
    return np.stack([np.bincount(flat[:, c] // (256 // bins), minlength=bins) / len(flat) for c in range(3)])


def histogram_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Return the mean total variation distance of colour histograms ``(3, bins)``, in [0, 1]."""
    return float(np.abs(a - b).sum(1).mean() / 2)


def radial_spectrum(images: np.ndarray) -> np.ndarray:
    """Return the mean power of the grey images by spatial frequency.

    Args:
        images: ``(N, H, W, 3)`` uint8, H = W.

    Returns:
        ``(H // 2,)`` mean power at 0..H/2-1 cycles an image.
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


def scene_halves(scenes: Sequence[str]) -> np.ndarray:
    """Return a mask ``(N,)`` that puts every other scene into one half, so that tiles of one scene stay together."""
    order = {scene: i for i, scene in enumerate(dict.fromkeys(scenes))}
    return np.array([order[scene] % 2 == 0 for scene in scenes], dtype=bool)


def _curves(spectra: Mapping[str, np.ndarray], colors: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Return spectra and colour histograms as a table, a row for each point of a curve."""
    parts = [pd.DataFrame({"set": s, "curve": "spectrum", "x": np.arange(len(y)), "y": y}) for s, y in spectra.items()]
    for name, histogram in colors.items():
        x = (np.arange(histogram.shape[1]) + 0.5) * 256 / histogram.shape[1]
        parts += [
            pd.DataFrame({"set": name, "curve": channel, "x": x, "y": y})
            for channel, y in zip(CHANNELS, histogram, strict=True)
        ]
    return pd.concat(parts, ignore_index=True)


def fidelity_facts(
    images: Mapping[str, np.ndarray], features: Mapping[str, np.ndarray], halves: np.ndarray
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Measure all sets of images against the real training images.

    Args:
        images: ``(N, H, W, 3)`` uint8 by name of the set; ``train`` is the reference.
        features: ``(N, F)`` by name of the set.
        halves: ``(N,)`` bool: two scene-disjoint halves of the reference, whose distance is the yardstick.

    Returns:
        The table of curves, ``set, curve, x, y``: ``spectrum`` (power by cycles an image) and ``red``, ``green``,
        ``blue`` (share of values by grey level); and the distances of each set.
    """
    names = [name for name in images if name != "train"]
    reference, *others = standardise(features["train"], *(features[name] for name in names))
    width = bandwidth_of(reference)
    kernel = {name: kernel_distance(reference, other, width) for name, other in zip(names, others, strict=True)}
    first, second = reference[halves], reference[~halves]
    sets = {**dict(zip(names, others, strict=True)), "train_halves": second}
    base, *reduced = principal(reference, *sets.values(), first)
    frechet = {name: frechet_distance(base, part) for name, part in zip(sets, reduced, strict=False)}
    spectra = {name: radial_spectrum(part) for name, part in images.items()}
    colors = {name: color_histogram(part) for name, part in images.items()}
    return _curves(spectra, colors), {
        "reference": "train",
        "tiles": "of val and test only those that `tiling.keep` would keep in train",
        "images": {name: len(part) for name, part in images.items()},
        "halves": [int(halves.sum()), int((~halves).sum())],
        "kernel_distance": {**kernel, "train_halves": kernel_distance(first, second, width)},
        "frechet_distance": {**frechet, "train_halves": frechet_distance(reduced[-1], reduced[-2])},
        "frechet_dimensions": base.shape[1],
        "neighbours": NEIGHBOURS,
        "neighbourhoods": {
            **{name: neighbourhoods(reference, part) for name, part in zip(names, others, strict=True)},
            "train_halves": neighbourhoods(first, second),
        },
        "color_distance": {name: histogram_distance(colors["train"], colors[name]) for name in names},
        "spectrum_distance": {name: spectrum_distance(spectra["train"], spectra[name]) for name in names},
    }
