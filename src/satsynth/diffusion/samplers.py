"""Samplers: short pure functions of a denoiser."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch

Denoise = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def noise_levels(steps: int, sigma_min: float, sigma_max: float, rho: float) -> torch.Tensor:
    """Return ``steps`` falling noise levels and a final zero, ``(steps + 1,)`` float64.

    Source: Karras et al., arXiv 2206.00364, equation 5.
    """
    ramp = torch.linspace(0, 1, steps, dtype=torch.float64)
    low, high = sigma_min ** (1 / rho), sigma_max ** (1 / rho)
    return torch.cat([(high + ramp * (low - high)) ** rho, torch.zeros(1, dtype=torch.float64)])


def dpm_solver_2m(denoise: Denoise, noisy: torch.Tensor, sigmas: torch.Tensor) -> torch.Tensor:
    """Solve the probability-flow ODE by DPM-Solver++(2M): second order, one evaluation a step.

    Args:
        denoise: ``D(x; sigma)`` with sigma ``(B,)``.
        noisy: ``(B, C, H, W)`` at the first noise level.
        sigmas: Falling noise levels, ``(N + 1,)``, the last one zero or positive.

    Returns:
        ``(B, C, H, W)`` at the last noise level.

    Source: Lu et al., arXiv 2211.01095, algorithm 2, in terms of sigma.
    """
    x, before, last = noisy, None, 0.0
    levels = [float(sigma) for sigma in sigmas]
    for sigma, after in pairwise(levels):
        clean = denoise(x, torch.full((len(x),), sigma, dtype=x.dtype, device=x.device))
        if after == 0:
            return clean
        step = torch.tensor(sigma / after, dtype=torch.float64).log().item()
        estimate = clean if before is None else clean + (clean - before) * (step / (2 * last))
        x = x * (after / sigma) + estimate * (1 - after / sigma)
        before, last = clean, step
    return x
