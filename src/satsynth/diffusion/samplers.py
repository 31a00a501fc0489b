"""Samplers: short pure functions of a denoiser.

All solve from the first of some falling noise levels to the last, in terms of ``x = clean + sigma * noise``. Where the
last level is zero, the result is the denoiser's estimate at the level before.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from math import log, sqrt

import torch

from satsynth.diffusion.preconditionings import ddpm_sigmas

Denoise = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
Noise = Callable[[], torch.Tensor]
Sampler = Callable[[Denoise, torch.Tensor, torch.Tensor], torch.Tensor]


def karras_levels(steps: int, sigma_min: float, sigma_max: float, rho: float) -> torch.Tensor:
    """Return ``steps`` falling noise levels and a final zero, ``(steps + 1,)`` float64.

    Source: Karras et al., arXiv 2206.00364, equation 5.
    """
    ramp = torch.linspace(0, 1, steps, dtype=torch.float64)
    low, high = sigma_min ** (1 / rho), sigma_max ** (1 / rho)
    return torch.cat([(high + ramp * (low - high)) ** rho, torch.zeros(1, dtype=torch.float64)])


def ddpm_levels(steps: int) -> torch.Tensor:
    """Return ``steps`` of DDPM's own noise levels, evenly spread over t from 999 to 0, and a final zero, float64."""
    chosen = torch.linspace(999, 0, steps, dtype=torch.float64).round().long()
    return torch.cat([ddpm_sigmas()[chosen], torch.zeros(1, dtype=torch.float64)])


def _at(denoise: Denoise, x: torch.Tensor, sigma: float) -> torch.Tensor:
    return denoise(x, torch.full((len(x),), sigma, dtype=x.dtype, device=x.device))


def _spans(sigmas: torch.Tensor) -> list[tuple[float, float]]:
    return list(pairwise(float(sigma) for sigma in sigmas))


def euler(denoise: Denoise, noisy: torch.Tensor, sigmas: torch.Tensor) -> torch.Tensor:
    """Solve the probability-flow ODE by Euler's method: first order, one evaluation a step; this is DDIM.

    Args:
        denoise: ``D(x; sigma)`` with sigma ``(B,)``.
        noisy: ``(B, C, H, W)`` at the first noise level.
        sigmas: Falling noise levels, ``(N + 1,)``, the last one zero or positive.

    Returns:
        ``(B, C, H, W)`` at the last noise level.

    Source: Karras et al., arXiv 2206.00364, equation 1; Song et al., arXiv 2010.02502, for DDIM.
    """
    x = noisy
    for sigma, after in _spans(sigmas):
        clean = _at(denoise, x, sigma)
        x = clean + (x - clean) * (after / sigma)
    return x


def heun(denoise: Denoise, noisy: torch.Tensor, sigmas: torch.Tensor) -> torch.Tensor:
    """Solve the probability-flow ODE by Heun's method: second order, two evaluations a step (one for a final zero).

    Args:
        denoise: ``D(x; sigma)`` with sigma ``(B,)``.
        noisy: ``(B, C, H, W)`` at the first noise level.
        sigmas: Falling noise levels, ``(N + 1,)``, the last one zero or positive.

    Returns:
        ``(B, C, H, W)`` at the last noise level.

    Source: Karras et al., arXiv 2206.00364, algorithm 1.
    """
    x = noisy
    for sigma, after in _spans(sigmas):
        slope = (x - _at(denoise, x, sigma)) / sigma
        ahead = x + (after - sigma) * slope
        if after > 0:
            slope = (slope + (ahead - _at(denoise, ahead, after)) / after) / 2
            ahead = x + (after - sigma) * slope
        x = ahead
    return x


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
    return _second_order(denoise, noisy, sigmas, None)


def dpm_solver_2m_sde(denoise: Denoise, noisy: torch.Tensor, sigmas: torch.Tensor, noise: Noise) -> torch.Tensor:
    """Solve the reverse SDE by SDE-DPM-Solver++(2M): one evaluation a step, new noise in each.

    New noise makes up for errors of the denoiser at the levels before, which the ODE carries along.

    Args:
        denoise: ``D(x; sigma)`` with sigma ``(B,)``.
        noisy: ``(B, C, H, W)`` at the first noise level.
        sigmas: Falling noise levels, ``(N + 1,)``, the last one zero or positive.
        noise: Gives new standard normal noise ``(B, C, H, W)``; called once a step, not for a final zero.

    Returns:
        ``(B, C, H, W)`` at the last noise level.

    Source: Lu et al., arXiv 2211.01095, equation 19, in terms of sigma.
    """
    return _second_order(denoise, noisy, sigmas, noise)


def _second_order(denoise: Denoise, noisy: torch.Tensor, sigmas: torch.Tensor, noise: Noise | None) -> torch.Tensor:
    x, before, last = noisy, None, 0.0
    for sigma, after in _spans(sigmas):
        clean = _at(denoise, x, sigma)
        if after == 0:
            return clean
        step = log(sigma / after)
        estimate = clean if before is None else clean + (clean - before) * (step / (2 * last))
        kept = after / sigma if noise is None else (after / sigma) ** 2
        x = x * kept + estimate * (1 - kept)
        if noise is not None:
            x = x + noise() * (after * sqrt(1 - kept))
        before, last = clean, step
    return x


def ddpm_ancestral(denoise: Denoise, noisy: torch.Tensor, sigmas: torch.Tensor, noise: Noise) -> torch.Tensor:
    """Draw from the reverse process of DDPM: each step from the posterior given the estimate of the clean pair.

    Args:
        denoise: ``D(x; sigma)`` with sigma ``(B,)``.
        noisy: ``(B, C, H, W)`` at the first noise level.
        sigmas: Falling noise levels, ``(N + 1,)``, the last one zero or positive.
        noise: Gives new standard normal noise ``(B, C, H, W)``; called once a step, not for a final zero.

    Returns:
        ``(B, C, H, W)`` at the last noise level.

    Source: Ho et al., arXiv 2006.11239, equations 6 and 7 (the smaller of the two variances), in terms of sigma.
    """
    x = noisy
    for sigma, after in _spans(sigmas):
        clean = _at(denoise, x, sigma)
        x = clean + (x - clean) * (after / sigma) ** 2
        if after > 0:
            x = x + noise() * (after * sqrt(1 - (after / sigma) ** 2))
    return x


def sampler_of(name: str, noise: Noise) -> Sampler:
    """Return a sampler by its name in the parameters; ``noise`` serves those that draw as they go."""
    known: dict[str, Sampler] = {
        "dpm_solver_2m": dpm_solver_2m,
        "dpm_solver_2m_sde": partial(dpm_solver_2m_sde, noise=noise),
        "heun": heun,
        "euler": euler,
        "ddpm_ancestral": partial(ddpm_ancestral, noise=noise),
    }
    return known[name]
