"""The denoiser D(x; sigma): a network wrapped by a preconditioning."""

from __future__ import annotations

import torch
from torch import nn

from satsynth.diffusion.preconditionings import Preconditioning


class Denoiser(nn.Module):
    """Estimates the clean pair from a noisy one.

    Args:
        network: F, maps ``(B, C, H, W)`` and c_noise ``(B,)`` to ``(B, C, H, W)``; ``(B, 2 C, H, W)`` with
            self-conditioning.
        preconditioning: Its coefficients.
        self_conditioning: Whether F also sees an earlier estimate.

    Source of self-conditioning: Chen et al., arXiv 2208.04202, section 3.2.
    """

    def __init__(self, network: nn.Module, preconditioning: Preconditioning, self_conditioning: bool = False) -> None:
        """Hold both parts."""
        super().__init__()
        self.network = network
        self.preconditioning = preconditioning
        self.self_conditioning = self_conditioning

    def forward(self, noisy: torch.Tensor, sigma: torch.Tensor, before: torch.Tensor | None = None) -> torch.Tensor:
        """Return the estimate.

        Args:
            noisy: ``(B, C, H, W)`` float32, clean + sigma * noise.
            sigma: ``(B,)`` noise level of each.
            before: ``(B, C, H, W)`` an earlier estimate, of more noise; zeros or None where there is none. Used with
                self-conditioning alone.

        Returns:
            ``(B, C, H, W)`` float32.
        """
        skip, out, scale, noise = self.preconditioning.coefficients(sigma)
        given = noisy * _wide(scale)
        if self.self_conditioning:
            given = torch.cat([given, torch.zeros_like(noisy) if before is None else before], 1)
        estimate = self.network(given, noise)
        return _wide(skip) * noisy + _wide(out) * estimate.float()


def _wide(values: torch.Tensor) -> torch.Tensor:
    return values[:, None, None, None]
