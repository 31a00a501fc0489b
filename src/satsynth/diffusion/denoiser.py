"""The denoiser D(x; sigma): a network wrapped by a preconditioning."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import nn

SIGMA_DATA = 0.5


class Preconditioning(Protocol):
    """Coefficients of ``D(x; sigma) = c_skip x + c_out F(c_in x; c_noise)`` and the weight of its loss."""

    def coefficients(self, sigma: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return (c_skip, c_out, c_in, c_noise), each of sigma's shape."""
        ...

    def weight(self, sigma: torch.Tensor) -> torch.Tensor:
        """Return the weight of the squared error of D."""
        ...


class CleanPreconditioning:
    """The network predicts the clean pair itself.

    Its output need not carry the noise, so a stem of large patches with few channels suffices (JiT, arXiv 2511.13720).
    The loss weight is bounded at low noise, where the clean pair is almost known.
    """

    def coefficients(self, sigma: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return (0, 1, 1 / sqrt(sigma^2 + sigma_data^2), 250 ln sigma)."""
        return torch.zeros_like(sigma), torch.ones_like(sigma), (sigma**2 + SIGMA_DATA**2).rsqrt(), 250 * sigma.log()

    def weight(self, sigma: torch.Tensor) -> torch.Tensor:
        """Return sigma_data^2 / max(sigma, 0.1)^2 + 1."""
        return SIGMA_DATA**2 / sigma.clamp(min=0.1) ** 2 + 1


class EDMPreconditioning:
    """Unit variance of input and target at every noise level.

    Source: Karras et al., arXiv 2206.00364, table 1.
    """

    def coefficients(self, sigma: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return the coefficients of EDM; c_noise is scaled to the range of the network's time embedding."""
        total = sigma**2 + SIGMA_DATA**2
        return SIGMA_DATA**2 / total, sigma * SIGMA_DATA * total.rsqrt(), total.rsqrt(), 250 * sigma.log()

    def weight(self, sigma: torch.Tensor) -> torch.Tensor:
        """Return (sigma^2 + sigma_data^2) / (sigma sigma_data)^2."""
        return (sigma**2 + SIGMA_DATA**2) / (sigma * SIGMA_DATA) ** 2


PRECONDITIONINGS: dict[str, type[Preconditioning]] = {"clean": CleanPreconditioning, "edm": EDMPreconditioning}


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
