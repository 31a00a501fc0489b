"""How two sets of features lie to one another: precision, recall, density, coverage, and Fréchet distance."""

from __future__ import annotations

import numpy as np

NEIGHBOURS = 5
# With fewer images than this a covariance of many features cannot be estimated.
ENOUGH, MOST_DIMENSIONS = 1000, 64


def neighbourhoods(real: np.ndarray, drawn: np.ndarray, nearest: int = NEIGHBOURS) -> dict[str, float]:
    """Return precision, recall, density and coverage.

    A ball around each image reaches to its ``nearest``-th neighbour of the same set. Precision: share of drawn images
    in the ball of a real one. Recall: share of real images in the ball of a drawn one. Density: mean number of real
    balls that hold a drawn image, divided by ``nearest``; it may exceed one. Coverage: share of real balls that hold a
    drawn image.

    Args:
        real: ``(N, F)`` features.
        drawn: ``(M, F)`` features.
        nearest: The neighbour that a ball reaches to; lowered where a set has too few images.

    Source: Kynkäänniemi et al., arXiv 1904.06991; Naeem et al., arXiv 2002.09797.
    """
    nearest = min(nearest, len(real) - 1, len(drawn) - 1)
    if nearest < 1:
        return dict.fromkeys(("precision", "recall", "density", "coverage"), float("nan"))
    between = square_distances(real, drawn)
    # The nearest of all is the image itself.
    radius, other_radius = (
        np.partition(square_distances(part, part), nearest, axis=1)[:, nearest] for part in (real, drawn)
    )
    inside = between < radius[:, None]
    return {
        "precision": float(inside.any(0).mean()),
        "recall": float((between < other_radius).any(1).mean()),
        "density": float(inside.sum(0).mean() / nearest),
        "coverage": float((between.min(1) < radius).mean()),
    }


def square_distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the squared distances ``(N, M)`` float64 of rows ``(N, F)`` and ``(M, F)``."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    return np.maximum((a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * a @ b.T, 0)


def principal(reference: np.ndarray, *others: np.ndarray) -> list[np.ndarray]:
    """Return all sets in at most 64 principal directions of the reference where one has fewer than 1,000 rows.

    Args:
        reference: ``(N, F)`` features, which decide the directions.
        others: More sets; one of fewer than two rows has no covariance in any case, and does not count.
    """
    fewest = min((len(part) for part in (reference, *others) if len(part) > 1), default=1)
    if fewest >= ENOUGH:
        return [reference, *others]
    mean = reference.mean(0)
    directions = np.linalg.svd(reference - mean, full_matrices=False)[2][: min(MOST_DIMENSIONS, fewest - 1)]
    return [(part - mean) @ directions.T for part in (reference, *others)]


def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Return the squared Fréchet distance of the Gaussians that fit two sets of features.

    Args:
        a: ``(N, F)``.
        b: ``(M, F)``.

    Returns:
        At least zero; NaN if a set has fewer than two rows.

    Source: Heusel et al., arXiv 1706.08500, equation 6.
    """
    if min(len(a), len(b)) < 2:
        return float("nan")
    a, b = a.astype(np.float64), b.astype(np.float64)
    first, second = (np.atleast_2d(np.cov(part, rowvar=False)) for part in (a, b))
    # tr sqrt(A B) is the sum of the roots of the eigenvalues of A B, which are real and not negative.
    roots = np.sqrt(np.maximum(np.linalg.eigvals(first @ second).real, 0)).sum()
    return float(max(0.0, ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(first) + np.trace(second) - 2 * roots))
