"""Two-sample test: how often a linear classifier tells a set from train, in features that never saw the data."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from satsynth.analysis.measures.feature_space import standardise
from satsynth.analysis.measures.imagenet_distance import settings_of
from satsynth.analysis.measures.inputs import HALVES, REFERENCE, MeasureInputs
from satsynth.analysis.measures.registry import Heading, Measure
from satsynth.analysis.measures.table import UNKNOWN, Row

NAME = "two_sample_accuracy"
# Weight of the errors against the penalty on squared weights, as scikit-learn's `C`.
ERRORS = 0.1
FEWEST = 4


def two_sample_accuracy(a: np.ndarray, b: np.ndarray) -> float:
    """Return how often a logistic regression, fitted to a half of two sets, is right on the other halves.

    Sets of one distribution give about 0.5, sets that differ in a direction of the features up to 1. The larger set is
    thinned out to the size of the smaller one.

    Args:
        a: ``(N, F)`` features.
        b: ``(M, F)`` features.

    Returns:
        A share; NaN where a set has fewer than four rows.

    Source: Lopez-Paz and Oquab, arXiv 1610.06545.
    """
    random, number = np.random.default_rng(0), min(len(a), len(b)) // 2 * 2
    if number < FEWEST:
        return UNKNOWN
    first, second = (part[random.permutation(len(part))[:number]] for part in (a, b))
    fitted, held_out = np.concatenate([first[::2], second[::2]]), np.concatenate([first[1::2], second[1::2]])
    signs = np.repeat([-1.0, 1.0], number // 2)
    fitted, held_out = (part.astype(np.float64) for part in standardise(fitted, held_out))
    weights = _logistic_regression(fitted, signs)
    return float(np.mean((held_out @ weights[:-1] + weights[-1] > 0) == (signs > 0)))


def _logistic_regression(features: np.ndarray, signs: np.ndarray) -> np.ndarray:
    """Return weights and offset ``(F + 1,)`` that minimise half the squared weights and `ERRORS` times the errors."""
    from scipy.optimize import minimize
    from scipy.special import expit

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        margins = signs * (features @ weights[:-1] + weights[-1])
        slopes = -ERRORS * signs * expit(-margins)
        value = weights[:-1] @ weights[:-1] / 2 + ERRORS * np.logaddexp(0, -margins).sum()
        return value, np.append(weights[:-1] + slopes @ features, slopes.sum())

    start = np.zeros(features.shape[1] + 1)
    return np.asarray(minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 500}).x)


def _rows(inputs: MeasureInputs) -> Iterator[Row]:
    if not inputs.imagenet:
        return
    reference = inputs.imagenet[REFERENCE]
    for name in inputs.compared:
        yield Row(name, NAME, two_sample_accuracy(reference, inputs.imagenet[name]))
    yield Row(HALVES, NAME, two_sample_accuracy(reference[inputs.halves], reference[~inputs.halves]))


MEASURE = Measure(
    name=NAME,
    version=1,
    needs=frozenset({"imagenet"}),
    rows=_rows,
    headings={NAME: Heading("two-sample accuracy, %,\nImageNet features", scale=100)},
    settings=settings_of,
)
