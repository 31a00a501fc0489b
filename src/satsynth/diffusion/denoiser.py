"""The denoiser D(x; sigma): a network wrapped by a preconditioning."""

from __future__ import annotations

import torch
from torch import nn

from satsynth.diffusion.preconditionings import Preconditioning


class Denoiser(nn.Module):
    """Estimates the clean pair from a noisy one.

    Args:
        network: F, maps ``(B, C, H, W)`` and c_noise ``(B,)`` to ``(B, C, H, W)``.
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
            sigma: ``(B,)`` noise level of each.

        Returns:
            ``(B, C, H, W)`` float32.
        """
        skip, out, scale, noise = self.preconditioning.coefficients(sigma)
        estimate = self.network(noisy * _wide(scale), noise)
        return _wide(skip) * noisy + _wide(out) * estimate.float()


def _wide(values: torch.Tensor) -> torch.Tensor:
    return values[:, None, None, None]
