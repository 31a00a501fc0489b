import math
from itertools import pairwise

import pytest
import torch
from diffusers import EDMDPMSolverMultistepScheduler
from hypothesis import given
from hypothesis import strategies as st

from satsynth.diffusion.denoiser import EDMPreconditioning
from satsynth.diffusion.samplers import dpm_solver_2m, noise_levels

MEAN, STD = 0.3, 0.5


def gaussian(x, sigma):
    """The exact denoiser of normal data."""
    sigma = sigma[:, None, None, None]
    return (STD**2 * x + sigma**2 * MEAN) / (STD**2 + sigma**2)


def two_points(x, sigma):
    """The exact denoiser of data that are -1 or +1."""
    return torch.tanh(x / sigma[:, None, None, None] ** 2)


@given(
    steps=st.integers(2, 60),
    low=st.floats(1e-3, 0.5),
    high=st.floats(1, 200),
    rho=st.floats(1, 10),
)
def test_noise_levels_fall_from_end_to_end(steps, low, high, rho):
    levels = noise_levels(steps, low, high, rho)
    assert levels.shape == (steps + 1,)
    assert levels.dtype == torch.float64
    assert levels[0].item() == pytest.approx(high)
    assert levels[-2].item() == pytest.approx(low)
    assert levels[-1] == 0
    assert (levels.diff() < 0).all()


def test_noise_levels_equal_diffusers():
    scheduler = EDMDPMSolverMultistepScheduler(sigma_min=0.02, sigma_max=80.0, rho=7.0)
    scheduler.set_timesteps(18)
    torch.testing.assert_close(noise_levels(18, 0.02, 80.0, 7.0).float(), scheduler.sigmas, rtol=1e-4, atol=0)


def solve(steps, low=0.05, high=20.0):
    """Return the error against the exact solution, on a schedule without the final zero."""
    levels = noise_levels(steps + 1, low, high, 7.0)[:-1]
    start = MEAN + torch.linspace(-30, 30, 64, dtype=torch.float64).reshape(64, 1, 1, 1)
    # Of dx/dsigma = (x - D) / sigma: the distance to the mean shrinks as the standard deviation does.
    exact = MEAN + (start - MEAN) * math.sqrt((STD**2 + low**2) / (STD**2 + high**2))
    return (dpm_solver_2m(gaussian, start, levels) - exact).abs().max().item()


def test_second_order_convergence():
    errors = [solve(steps) for steps in (32, 64, 128, 256)]
    ratios = [a / b for a, b in pairwise(errors)]
    assert ratios[-1] == pytest.approx(4, abs=0.3)
    assert all(3 < ratio < 5 for ratio in ratios)
    assert errors[-1] < 1e-3


@pytest.mark.parametrize(("steps", "tolerance"), [(24, 0.05), (96, 0.015)])
def test_mean_and_variance_of_a_gaussian(steps, tolerance):
    start = 80 * torch.randn(20_000, 1, 1, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = dpm_solver_2m(gaussian, start, noise_levels(steps, 0.02, 80.0, 7.0))
    assert found.mean().item() == pytest.approx(MEAN, abs=0.02)
    assert found.std().item() == pytest.approx(STD, rel=tolerance)


@given(st.floats(-5, 5), st.integers(2, 12))
def test_exact_for_a_constant_estimate(value, steps):
    levels = noise_levels(steps, 0.1, 10.0, 3.0)[:-1]
    start = torch.linspace(-8, 8, 5, dtype=torch.float64).reshape(5, 1, 1, 1)
    found = dpm_solver_2m(lambda x, sigma: torch.full_like(x, value), start, levels)
    torch.testing.assert_close(found, value + (start - value) * (levels[-1] / levels[0]))


def test_final_zero_gives_the_estimate_at_the_last_level():
    calls = []

    def recorded(x, sigma):
        calls.append((sigma, two_points(x, sigma)))
        return calls[-1][1]

    start = torch.randn(3, 2, 4, 4, generator=torch.Generator().manual_seed(0))
    found = dpm_solver_2m(recorded, start, torch.tensor([5.0, 2.0, 0.7, 0.0]))
    assert torch.equal(found, calls[-1][1])
    assert [sigma.tolist() for sigma, _ in calls] == [pytest.approx([level] * 3) for level in (5.0, 2.0, 0.7)]


def test_pure():
    start = torch.randn(3, 2, 4, 4, generator=torch.Generator().manual_seed(0))
    kept, levels = start.clone(), noise_levels(8, 0.1, 10.0, 7.0)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = dpm_solver_2m(two_points, start, levels)
    assert torch.equal(start, kept)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first, dpm_solver_2m(two_points, start, levels))


@pytest.mark.parametrize("steps", [10, 24])
def test_equals_diffusers(steps):
    scheduler = EDMDPMSolverMultistepScheduler(sigma_min=0.05, sigma_max=40.0, sigma_data=0.5, rho=7.0)
    scheduler.set_timesteps(steps)
    start = 40 * torch.randn(6, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    theirs = start.clone()
    for i, time in enumerate(scheduler.timesteps):
        sigma = scheduler.sigmas[i].expand(6)
        skip, out, _, _ = (value[:, None, None, None] for value in EDMPreconditioning().coefficients(sigma))
        estimate = (two_points(theirs, sigma + 0.3) - skip * theirs) / out
        theirs = scheduler.step(estimate, time, theirs).prev_sample
    ours = dpm_solver_2m(lambda x, sigma: two_points(x, sigma + 0.3), start, scheduler.sigmas)
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3)
