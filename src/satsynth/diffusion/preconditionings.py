"""Preconditionings: what the network is given and what it predicts."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Protocol

import torch

SIGMA_DATA = 0.5
CPU = torch.device("cpu")


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

    Its output need not carry the noise, so a stem of large patches with few channels is enough (JiT, arXiv 2511.13720).
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


class DDPMPreconditioning:
    """The discrete model of DDPM, T = 1000 and a linear schedule of variances, in terms of sigma.

    Its noisy pair ``sqrt(abar_t) x0 + sqrt(1 - abar_t) noise`` equals ``x0 + sigma_t noise``, times ``c_in``, with
    ``sigma_t = sqrt((1 - abar_t) / abar_t)``. Levels between those of the table get a ``t`` between theirs.

    Args:
        epsilon: Whether the network predicts the noise; the clean pair otherwise.

    Source: Ho et al., arXiv 2006.11239, sections 3.2 and 4; as used by SatSynth.
    """

    def __init__(self, epsilon: bool) -> None:
        """Hold what is predicted."""
        self.epsilon = epsilon

    def coefficients(self, sigma: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return (1, -sigma, 1 / sqrt(1 + sigma^2), t) for noise prediction, (0, 1, ...) for the clean pair."""
        logs, wanted = ddpm_sigmas(sigma.device).log(), sigma.double().log()
        above = torch.searchsorted(logs, wanted).clamp(1, len(logs) - 1)
        low, high = logs[above - 1], logs[above]
        time = (above - 1 + (wanted - low) / (high - low)).clamp(0, len(logs) - 1).to(sigma.dtype)
        scale = (sigma**2 + 1).rsqrt()
        if self.epsilon:
            return torch.ones_like(sigma), -sigma, scale, time
        return torch.zeros_like(sigma), torch.ones_like(sigma), scale, time

    def weight(self, sigma: torch.Tensor) -> torch.Tensor:
        """Return 1 / sigma^2, so that each error of the noise counts the same, or 1 for the clean pair."""
        return sigma**-2 if self.epsilon else torch.ones_like(sigma)


@cache
def ddpm_sigmas(device: torch.device = CPU) -> torch.Tensor:
    """Return DDPM's noise levels ``sigma_t``, t = 0..999, rising, ``(1000,)`` float64; not to be changed.

    Kept on each device, since a copy at each step would make a GPU wait.
    """
    kept = torch.cumprod(1 - torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64), 0)
    return ((1 - kept) / kept).sqrt().to(device)


def preconditioning_of(name: str) -> Preconditioning:
    """Return a preconditioning by its name in the parameters."""
    known: dict[str, Callable[[], Preconditioning]] = {
        "clean": CleanPreconditioning,
        "edm": EDMPreconditioning,
        "ddpm_epsilon": lambda: DDPMPreconditioning(epsilon=True),
        "ddpm_clean": lambda: DDPMPreconditioning(epsilon=False),
    }
    return known[name]()
