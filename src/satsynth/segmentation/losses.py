"""Losses of segmentation networks; pixels to be ignored count in none of them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch.nn import functional as F

from satsynth.work.ignore import IGNORE_INDEX

# A pixel is hard where its class has less than this probability; at least this share of the pixels counts.
HARD_BELOW, LEAST_SHARE = 0.7, 1 / 16


def pixel_errors(logits: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """Return the cross entropy of each pixel ``(B, H, W)`` float32, zero where it is ignored.

    Args:
        logits: ``(B, K, H, W)``.
        masks: ``(B, H, W)`` of class indices, 255 = ignore.
    """
    return F.cross_entropy(logits.float(), masks, ignore_index=IGNORE_INDEX, reduction="none")


def cross_entropy(logits: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """Return the mean cross entropy of labelled pixels; see `pixel_errors`."""
    return pixel_errors(logits, masks).sum() / (masks != IGNORE_INDEX).sum().clamp(min=1)


def squared_error(found: torch.Tensor, wanted: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """Return the mean squared error of channels, both ``(B, C, H, W)``, over labelled pixels.

    Args:
        found: What is predicted.
        wanted: What it should be.
        masks: ``(B, H, W)`` of class indices, 255 = ignore.
    """
    labelled = (masks != IGNORE_INDEX)[:, None]
    errors = (found.float() - wanted).square() * labelled
    return errors.sum() / (labelled.sum() * wanted.shape[1]).clamp(min=1)


def hard_cross_entropy(logits: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """Return the mean cross entropy of hard pixels, and of the hardest sixteenth where fewer are hard.

    Source: online hard-example mining, Shrivastava et al., CVPR 2016, arXiv 1604.03540, for pixels.

    Args:
        logits: ``(B, K, H, W)``.
        masks: ``(B, H, W)`` of class indices, 255 = ignore.
    """
    errors, labelled = pixel_errors(logits, masks), masks != IGNORE_INDEX
    # Sorting needs no count of labelled pixels on the CPU, for which a GPU would wait.
    hardest = torch.where(labelled, errors, -1.0).detach().flatten().sort(descending=True).values
    least = (labelled.sum() * LEAST_SHARE).ceil().long().clamp(min=1) - 1
    limit = hardest[least].clamp(max=-math.log(HARD_BELOW))
    counted = labelled & (errors.detach() >= limit)
    return (errors * counted).sum() / counted.sum().clamp(min=1)


def class_edges(masks: torch.Tensor) -> torch.Tensor:
    """Return where two classes meet: ``(B, H, W)`` bool, true where a labelled pixel within 3 x 3 has another class.

    Args:
        masks: ``(B, H, W)`` of class indices, 255 = ignore; ignored pixels are no edges and make none.
    """
    labelled = masks != IGNORE_INDEX
    classes = masks.float()[:, None]
    largest = F.max_pool2d(torch.where(labelled[:, None], classes, -1.0), 3, 1, 1)[:, 0]
    smallest = -F.max_pool2d(torch.where(labelled[:, None], -classes, -float(IGNORE_INDEX)), 3, 1, 1)[:, 0]
    return labelled & (largest != smallest)


def balanced_edge_loss(logits: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """Return the binary cross entropy of an edge map, cells with and without an edge weighing alike in all.

    A cell of the map stands for a patch of the mask: it has an edge if one of its pixels is one, and does not count if
    none is labelled.

    Source: the class-balanced loss of Xie and Tu, ICCV 2015, arXiv 1504.06375, equation 2.

    Args:
        logits: ``(B, 1, h, w)``.
        masks: ``(B, H, W)`` of class indices, 255 = ignore.
    """
    size = logits.shape[-2:]
    known = torch.stack([class_edges(masks), masks != IGNORE_INDEX], 1).float()
    edges, counted = F.adaptive_max_pool2d(known, size).unbind(1)
    share = (edges.sum() / counted.sum().clamp(min=1)).detach()
    weights = torch.where(edges > 0, 1 - share, share) * counted
    errors = F.binary_cross_entropy_with_logits(logits[:, 0].float(), edges, reduction="none")
    return (errors * weights).sum() / counted.sum().clamp(min=1)


def point_flow_loss(
    logits: torch.Tensor, edges: Sequence[torch.Tensor], masks: torch.Tensor, edge_weight: float = 25.0
) -> torch.Tensor:
    """Return the loss of PFSegNet: hard pixels, and edges at each level.

    Source: Li et al., CVPR 2021, arXiv 2103.06564.

    Args:
        logits: ``(B, K, H, W)``.
        edges: Logits ``(B, 1, h, w)`` of an edge map at each level.
        masks: ``(B, H, W)`` of class indices, 255 = ignore.
        edge_weight: Weight of the edges.
    """
    of_edges = torch.stack([balanced_edge_loss(level, masks) for level in edges]).sum()
    return hard_cross_entropy(logits, masks) + edge_weight * of_edges
