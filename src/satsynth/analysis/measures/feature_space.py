"""What the measures of features share: units and distances."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from satsynth.analysis.measures.inputs import REFERENCE, MeasureInputs

FEATURES = "encoder, mean over space, standardised by train"


def units_of(reference: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation ``(F,)`` of the reference's features ``(N, F)``; the latter is never zero."""
    return reference.mean(0), reference.std(0) + 1e-6


def standardise(reference: np.ndarray, *others: np.ndarray) -> list[np.ndarray]:
    """Return all sets of features in units of the reference's mean and standard deviation."""
    mean, std = units_of(reference)
    return [(features - mean) / std for features in (reference, *others)]


def standardised(
    inputs: MeasureInputs, features: Mapping[str, np.ndarray] | None = None
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return the features ``(N, F)`` of the reference and of each other set, in units of the reference.

    Args:
        inputs: The sets.
        features: Their features by name; those of the judge if left out.
    """
    features = inputs.features if features is None else features
    reference, *others = standardise(features[REFERENCE], *(features[name] for name in inputs.compared))
    return reference, dict(zip(inputs.compared, others, strict=True))


def square_distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the squared distances ``(N, M)`` float64 of rows ``(N, F)`` and ``(M, F)``."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    return np.maximum((a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * a @ b.T, 0)
