"""The denoiser D(x; sigma): a network wrapped by a preconditioning."""

from __future__ import annotations

import torch
from torch import nn

from satsynth.diffusion.preconditionings import Preconditioning

IMAGE_CHANNELS = 3


class Denoiser(nn.Module):
    """Estimates the clean pair from a noisy one, whose image and label channels may have noise levels of their own.

    Args:
        network: F, maps ``(B, C, H, W)`` and c_noise ``(B, 2)`` of image and label channels to ``(B, C, H, W)``.
        preconditioning: Its coefficients.
    """

    def __init__(self, network: nn.Module, preconditioning: Preconditioning) -> None:
        """Hold both parts."""
        super().__init__()
        self.network = network
        self.preconditioning = preconditioning

    def forward(self, noisy: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        """Return the estimate.

        Args:
            noisy: ``(B, C, H, W)`` float32, clean + sigma * noise.
            sigma: ``(B,)`` noise level of each, or ``(B, 2)``, those of its image and of its label channels.

        Returns:
            ``(B, C, H, W)`` float32.
        """
        skip, out, scale, noise = self.preconditioning.coefficients(both_levels(sigma))
        channels = noisy.shape[1]
        estimate = self.network(noisy * by_channel(scale, channels), noise)
        return by_channel(skip, channels) * noisy + by_channel(out, channels) * estimate.float()


def both_levels(sigma: torch.Tensor) -> torch.Tensor:
    """Return noise levels ``(B, 2)`` of image and label channels for ``(B,)`` or ``(B, 2)``."""
    return sigma[:, None].repeat(1, 2) if sigma.ndim == 1 else sigma


def by_channel(values: torch.Tensor, channels: int) -> torch.Tensor:
    """Return ``(B, channels, 1, 1)``: of values ``(B, 2)``, the first for image and the second for label channels."""
    parts = [values[:, :1].expand(-1, IMAGE_CHANNELS), values[:, 1:].expand(-1, channels - IMAGE_CHANNELS)]
    return torch.cat(parts, 1)[:, :, None, None]
