"""What the networks of the GAN are trained by."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch.nn import functional as F

from satsynth.work.ignore import IGNORE_INDEX

Maps = Sequence[Sequence[torch.Tensor]]


def soft_masks(masks: torch.Tensor, classes: int) -> torch.Tensor:
    """Return masks ``(B, H, W)`` as probabilities ``(B, K, H, W)``, zero where a pixel is ignored."""
    known = masks != IGNORE_INDEX
    rows = F.one_hot(torch.where(known, masks, 0), classes) * known[..., None]
    return rows.movedim(-1, 1).float()


def logistic_discriminator(real: torch.Tensor, drawn: torch.Tensor) -> torch.Tensor:
    """Return the loss of scores ``(B,)`` of real and drawn images."""
    return F.softplus(-real).mean() + F.softplus(drawn).mean()


def logistic_generator(drawn: torch.Tensor) -> torch.Tensor:
    """Return the loss of a generator whose images have scores ``(B,)``; it does not saturate."""
    return F.softplus(-drawn).mean()


def gradient_penalty(scores: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    """Return the squared norm of the gradient of scores by their real images, its mean over images.

    Source: R1 of Mescheder et al., ICML 2018, arXiv 1801.04406, equation 9, but for the factor of one half.

    Args:
        scores: ``(B,)``.
        images: ``(B, 3, H, W)``, which they were computed from.
    """
    (gradient,) = torch.autograd.grad(scores.sum(), images, create_graph=True)
    return gradient.square().sum((1, 2, 3)).mean()


def path_lengths(images: torch.Tensor, styles: torch.Tensor, directions: torch.Tensor) -> torch.Tensor:
    """Return how far images move in random directions for a step of their styles, ``(B,)``.

    Source: Karras et al., CVPR 2020, arXiv 1912.04958, section 3.2 and appendix B.

    Args:
        images: ``(B, 3, H, W)``.
        styles: ``(B, L, D)``, which they were computed from.
        directions: ``(B, 3, H, W)`` standard normal.
    """
    along = (images * directions).sum() / math.sqrt(images.shape[2] * images.shape[3])
    (gradient,) = torch.autograd.grad(along, styles, create_graph=True)
    return gradient.square().sum(2).mean(1).sqrt()


def hinge_discriminator(real: Maps, drawn: Maps) -> torch.Tensor:
    """Return the loss of maps of a pair discriminator for real and drawn pairs, the mean over scales."""
    of_scales = [
        F.relu(1 - of_real[-1]).mean() + F.relu(1 + of_drawn[-1]).mean()
        for of_real, of_drawn in zip(real, drawn, strict=True)
    ]
    return torch.stack(of_scales).mean()


def hinge_generator(drawn: Maps) -> torch.Tensor:
    """Return the loss of a generator whose pairs have these maps, the mean over scales."""
    return -torch.stack([maps[-1].mean() for maps in drawn]).mean()


def feature_matching(real: Maps, drawn: Maps) -> torch.Tensor:
    """Return the mean absolute difference of inner maps for real and drawn pairs, the mean over layers and scales.

    Source: Wang et al., CVPR 2018, arXiv 1711.11585, equation 4.
    """
    differences = [
        (a.detach() - b).abs().mean()
        for of_real, of_drawn in zip(real, drawn, strict=True)
        for a, b in zip(of_real[:-1], of_drawn[:-1], strict=True)
    ]
    return torch.stack(differences).mean()
