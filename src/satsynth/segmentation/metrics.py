"""Metrics of segmentation, all from one confusion matrix."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torchmetrics.functional.classification import multiclass_confusion_matrix

from satsynth.scenes.description import IGNORE_INDEX


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
    with np.errstate(invalid="ignore", divide="ignore"):
        iou = np.where(present, hits / (targets + predictions - hits), np.nan)
        f1 = np.where(present, 2 * hits / (targets + predictions), np.nan)
    return Scores(float(np.nanmean(iou)), float(np.nanmean(f1)), float(hits.sum() / targets.sum()), iou)
