"""Scenes larger than a tile, denoised in windows that overlap: their estimates are blended at every noise level.

At each step the estimates of all windows become one estimate of the whole scene, so neighbours agree from the first
step on, and a sampler sees one large picture.

Source: Bar-Tal et al., MultiDiffusion, arXiv 2302.08113, equation 5, with weights that fall towards a window's borders.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

import torch

from satsynth.diffusion.samplers import Denoise


@dataclass(frozen=True)
class Corner:
    """First row and column of a window."""

    top: int
    left: int

    def cut(self, whole: torch.Tensor, side: int) -> torch.Tensor:
        """Return the window ``(..., side, side)`` of ``(..., H, W)``."""
        return whole[..., self.top : self.top + side, self.left : self.left + side]


def corners_of(shape: tuple[int, ...], side: int) -> list[Corner]:
    """Return windows that cover a scene, each half over the next; the last of a row or column is shifted inwards.

    Args:
        shape: Rows and columns of the scene, each at least ``side``.
        side: Side of a window in pixels.
    """

    def starts(length: int) -> list[int]:
        return [*range(0, length - side, side // 2), length - side]

    return [Corner(top, left) for top, left in product(*map(starts, shape))]


def blended(corners: Sequence[Corner], given: Callable[[Sequence[Corner]], Denoise], side: int, batch: int) -> Denoise:
    """Return a denoiser of a whole scene ``(1, C, H, W)`` made of denoisers of its windows.

    Args:
        corners: Windows that cover the scene.
        given: Returns the denoiser ``(B, C, side, side)`` that knows what is given in some windows.
        side: Side of a window in pixels.
        batch: Windows that are denoised at once.
    """

    def whole(noisy: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        weight = _weight(side, noisy.device)
        total, weights = torch.zeros_like(noisy), torch.zeros_like(noisy[:, :1])
        for first in range(0, len(corners), batch):
            group = corners[first : first + batch]
            windows = torch.cat([corner.cut(noisy, side) for corner in group])
            # Made anew at each step: those of all windows together would take many times the memory of the scene.
            denoise = given(group)
            for corner, clean in zip(group, denoise(windows, sigma.expand(len(group))), strict=True):
                corner.cut(total, side).add_(weight * clean)
                corner.cut(weights, side).add_(weight)
        return total / weights

    return whole


def _weight(side: int, device: torch.device) -> torch.Tensor:
    """Return weights ``(side, side)`` of a window: sine squared along both sides, almost nothing at the border."""
    along = torch.sin(torch.pi * (torch.arange(side, device=device) + 0.5) / side) ** 2
    return along[:, None] * along
