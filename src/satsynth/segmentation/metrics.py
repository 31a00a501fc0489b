"""Metrics of segmentation: those of one confusion matrix, and the F1 of boundaries."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torchmetrics.functional.classification import multiclass_confusion_matrix

from satsynth.work.ignore import IGNORE_INDEX

# Of a tile of 128 pixels about the 0.75 % of the diagonal, rounded up, that Csurka et al. take.
BOUNDARY_PIXELS = 2


def confusion_matrix(predicted: torch.Tensor, target: torch.Tensor, classes: int) -> np.ndarray:
    """Return the confusion matrix, ``(K, K)`` int64, rows = target, columns = predicted; target 255 is left out."""
    matrix = multiclass_confusion_matrix(predicted, target, classes, ignore_index=IGNORE_INDEX, validate_args=False)
    return matrix.cpu().numpy().astype(np.int64)


@dataclass(frozen=True)
class Scores:
    """Scores of one confusion matrix; a class absent from the targets has NaN and is left out of the means.

    Args:
        miou: Mean intersection over union, in [0, 1].
        mf1: Mean F1, in [0, 1].
        accuracy: Share of pixels that are right.
        iou: ``(K,)`` per class.
    """

    miou: float
    mf1: float
    accuracy: float
    iou: np.ndarray


def scores(confusion: np.ndarray) -> Scores:
    """Return the scores of a ``(K, K)`` confusion matrix, rows = target.

    A pixel that is wrongly given to an absent class still counts against the class that it belongs to.
    """
    hits, targets, predictions = np.diag(confusion).astype(float), confusion.sum(1), confusion.sum(0)
    present = targets > 0
    if not present.any():
        return Scores(float("nan"), float("nan"), float("nan"), np.full(len(hits), np.nan))
    iou = class_iou(confusion)
    with np.errstate(invalid="ignore", divide="ignore"):
        f1 = np.where(present, 2 * hits / (targets + predictions), np.nan)
    return Scores(float(np.nanmean(iou)), float(np.nanmean(f1)), float(hits.sum() / targets.sum()), iou)


def class_iou(confusion: np.ndarray) -> np.ndarray:
    """Return the intersection over union of each class.

    Args:
        confusion: ``(..., K, K)``, rows = target.

    Returns:
        ``(..., K)`` float64, NaN for a class absent from the targets.
    """
    hits, targets = np.diagonal(confusion, axis1=-2, axis2=-1), confusion.sum(-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(targets > 0, hits / (targets + confusion.sum(-2) - hits), np.nan)


class BoundaryTally:
    """Counts boundary pixels that have a counterpart nearby, over many tiles.

    A boundary pixel of a class has a neighbour (of 8) of another class. The edge of the tile and that of ignored pixels
    are no boundaries.

    Args:
        classes: Number of classes K.

    Source: Csurka et al., BMVC 2013, with counts summed over all tiles.
    """

    def __init__(self, classes: int) -> None:
        """Start at zero."""
        # Rows: found in the prediction, matched of these, found in the target, matched of these.
        self._counts = np.zeros((4, classes), np.int64)

    def add(self, predicted: np.ndarray, target: np.ndarray) -> None:
        """Count one tile: predicted classes ``(H, W)`` and the target ``(H, W)``, 255 = ignore."""
        ignored = target == IGNORE_INDEX
        around = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * BOUNDARY_PIXELS + 1,) * 2)
        for k in range(self._counts.shape[1]):
            edges = [_boundary(labels == k, ignored) for labels in (predicted, target)]
            if edges[0].any() or edges[1].any():
                near = [cv2.dilate(edge, around) for edge in edges]
                pairs = ((edges[0], near[1]), (edges[1], near[0]))
                self._counts[:, k] += [
                    int(value) for edge, other in pairs for value in (edge.sum(), (edge & other).sum())
                ]

    def f1(self) -> np.ndarray:
        """Return the F1 of each class, ``(K,)``, NaN for one without a boundary in the targets."""
        found, right, wanted, met = self._counts.astype(float)
        with np.errstate(invalid="ignore", divide="ignore"):
            precision, recall = np.where(found > 0, right / found, 0), met / wanted
            f1 = np.where(precision + recall > 0, 2 * precision * recall / (precision + recall), 0)
        return np.where(wanted > 0, f1, np.nan)


def _boundary(inside: np.ndarray, ignored: np.ndarray) -> np.ndarray:
    """Return the boundary of a class as 0 and 1, ``(H, W)`` uint8."""
    kept = cv2.erode((inside | ignored).astype(np.uint8), np.ones((3, 3), np.uint8))
    return (inside & ~ignored & (kept == 0)).astype(np.uint8)
