import math
from itertools import pairwise

import pytest
import torch
from diffusers import DDIMScheduler, EDMDPMSolverMultistepScheduler
from hypothesis import given
from hypothesis import strategies as st

from satsynth.diffusion.preconditionings import EDMPreconditioning, ddpm_sigmas
from satsynth.diffusion.samplers import (
    ddpm_ancestral,
    ddpm_levels,
    dpm_solver_2m,
    dpm_solver_2m_sde,
    euler,
    heun,
    karras_levels,
)

MEAN, STD = 0.3, 0.5


def gaussian(x, sigma):
    """The exact denoiser of normal data."""
    sigma = sigma[:, None, None, None]
    return (STD**2 * x + sigma**2 * MEAN) / (STD**2 + sigma**2)


PEAKS, WIDTH = ((0.5, -1.0), (0.3, 0.2), (0.2, 1.5)), 0.1


def mixture(x, sigma):
    """The exact denoiser of a mixture of three normal distributions."""
    sigma = sigma[:, None, None, None]
    total = WIDTH**2 + sigma**2
    shares, centres = (torch.tensor(values, dtype=x.dtype) for values in zip(*PEAKS, strict=True))
    # In float64, stable: the largest exponent is taken out by softmax.
    logits = shares.log() - (x[..., None] - centres) ** 2 / (2 * total[..., None])
    means = (WIDTH**2 * x[..., None] + sigma[..., None] ** 2 * centres) / total[..., None]
    return (logits.softmax(-1) * means).sum(-1)


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
    levels = karras_levels(steps, low, high, rho)
    assert levels.shape == (steps + 1,)
    assert levels.dtype == torch.float64
    assert levels[0].item() == pytest.approx(high)
    assert levels[-2].item() == pytest.approx(low)
    assert levels[-1] == 0
    assert (levels.diff() < 0).all()


def test_noise_levels_equal_diffusers():
    scheduler = EDMDPMSolverMultistepScheduler(sigma_min=0.02, sigma_max=80.0, rho=7.0)
    scheduler.set_timesteps(18)
    torch.testing.assert_close(karras_levels(18, 0.02, 80.0, 7.0).float(), scheduler.sigmas, rtol=1e-4, atol=0)


def ode_error(sampler, steps, low=0.05, high=20.0):
    """Return the error against the exact solution, on a schedule without the final zero."""
    levels = karras_levels(steps + 1, low, high, 7.0)[:-1]
    start = MEAN + torch.linspace(-30, 30, 64, dtype=torch.float64).reshape(64, 1, 1, 1)
    # Of dx/dsigma = (x - D) / sigma: the distance to the mean shrinks as the standard deviation does.
    exact = MEAN + (start - MEAN) * math.sqrt((STD**2 + low**2) / (STD**2 + high**2))
    return (sampler(gaussian, start, levels) - exact).abs().max().item()


def reference(denoise, start, low, high):
    """Return the solution of the ODE in ln sigma by the classical fourth-order method, in many steps."""
    x, levels = start, torch.linspace(math.log(high), math.log(low), 4001, dtype=torch.float64).tolist()

    def slope(x, level):
        return x - denoise(x, torch.full((len(x),), math.exp(level), dtype=x.dtype))

    for a, b in pairwise(levels):
        h = b - a
        k1 = slope(x, a)
        k2 = slope(x + h / 2 * k1, a + h / 2)
        k3 = slope(x + h / 2 * k2, a + h / 2)
        x = x + h / 6 * (k1 + 2 * k2 + 2 * k3 + slope(x + h * k3, b))
    return x


ORDERS = [(euler, 1), (heun, 2), (dpm_solver_2m, 2)]


@pytest.mark.parametrize(("sampler", "order"), ORDERS)
def test_order_of_convergence_on_a_gaussian(sampler, order):
    errors = [ode_error(sampler, steps) for steps in (64, 128, 256, 512)]
    ratios = [a / b for a, b in pairwise(errors)]
    assert ratios[-1] == pytest.approx(2**order, rel=0.08)
    assert errors[-1] < (0.2 if order == 1 else 1e-3)


@pytest.fixture(scope="module")
def on_a_mixture():
    """Where trajectories start, and where they end by the reference."""
    start = torch.linspace(-20, 20, 40, dtype=torch.float64).reshape(40, 1, 1, 1)
    return start, reference(mixture, start, 0.1, 20.0)


@pytest.mark.parametrize(("sampler", "order"), ORDERS)
def test_order_of_convergence_on_a_mixture(sampler, order, on_a_mixture):
    start, exact = on_a_mixture
    errors = []
    for steps in (512, 1024):
        found = sampler(mixture, start, karras_levels(steps + 1, 0.1, 20.0, 7.0)[:-1])
        errors.append((found - exact).abs().max().item())
    assert errors[-2] / errors[-1] == pytest.approx(2**order, rel=0.15)


@pytest.mark.parametrize(
    ("sampler", "steps", "tolerance"),
    [
        (dpm_solver_2m, 24, 0.05),
        (dpm_solver_2m, 96, 0.015),
        (heun, 24, 0.03),
        (euler, 400, 0.03),
    ],
)
def test_mean_and_covariance_of_a_gaussian(sampler, steps, tolerance):
    """Two correlated channels: the exact denoiser is a matrix."""
    covariance = torch.tensor([[0.36, 0.18], [0.18, 0.25]], dtype=torch.float64)
    mean = torch.tensor([0.3, -0.4], dtype=torch.float64)

    def exact(x, sigma):
        gain = covariance @ torch.linalg.inv(covariance + sigma[0] ** 2 * torch.eye(2, dtype=torch.float64))
        return ((x.flatten(1) - mean) @ gain.T + mean).reshape(x.shape)

    start = 80 * torch.randn(40_000, 2, 1, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = sampler(exact, start, karras_levels(steps, 0.02, 80.0, 7.0)).flatten(1)
    torch.testing.assert_close(found.mean(0), mean, rtol=0, atol=0.02)
    torch.testing.assert_close(found.T.cov(), covariance, rtol=2 * tolerance, atol=0.005)


def noise_like(start, seed=1):
    random = torch.Generator().manual_seed(seed)
    return lambda: torch.randn(start.shape, generator=random, dtype=start.dtype)


@pytest.mark.parametrize(("sampler", "steps"), [(ddpm_ancestral, 300), (dpm_solver_2m_sde, 60)])
def test_sampling_with_new_noise_gives_mean_and_variance(sampler, steps):
    levels = karras_levels(steps, 0.02, 80.0, 7.0)
    start = 80 * torch.randn(20_000, 1, 1, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = sampler(gaussian, start, levels, noise_like(start))
    assert found.mean().item() == pytest.approx(MEAN, abs=0.02)
    assert found.std().item() == pytest.approx(STD, rel=0.04)


def test_the_second_order_needs_fewer_steps_than_ancestral_sampling():
    """Error of the standard deviation of a Gaussian, whose samples are exactly normal, so it follows a recursion."""

    def around_zero(x, sigma):
        return STD**2 / (STD**2 + sigma[:, None, None, None] ** 2) * x

    def std_error(sampler, steps):
        levels = karras_levels(steps + 1, 0.05, 20.0, 7.0)[:-1]
        # Unit vectors give the matrix of a linear recursion: the response to the start, and to each step's noise.
        units = torch.eye(len(levels), dtype=torch.float64)[..., None, None, None]
        start = units[0] * math.sqrt(20.0**2 + STD**2)
        responses = sampler(around_zero, start, levels, iter(units[1:]).__next__)
        return abs(responses.norm().item() - math.sqrt(STD**2 + 0.05**2))

    # Of second order in the steps' drift only: the noise enters to first order, with a far smaller constant.
    assert std_error(ddpm_ancestral, 60) / std_error(ddpm_ancestral, 120) == pytest.approx(2, rel=0.1)
    assert std_error(dpm_solver_2m_sde, 40) < 0.2 * std_error(ddpm_ancestral, 40)
    assert std_error(dpm_solver_2m_sde, 120) < 1e-3


@pytest.mark.parametrize("sampler", [euler, heun, dpm_solver_2m, dpm_solver_2m_sde, ddpm_ancestral])
def test_shares_of_a_mixture(sampler):
    start = 80 * torch.randn(20_000, 1, 1, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    levels = karras_levels(200, 0.02, 80.0, 7.0)
    more = [noise_like(start)] if sampler in (dpm_solver_2m_sde, ddpm_ancestral) else []
    found = sampler(mixture, start, levels, *more)
    for (share, centre), tolerance in zip(PEAKS, (0.02, 0.02, 0.02), strict=True):
        near = (found - centre).abs() < 0.35
        assert near.double().mean().item() == pytest.approx(share, abs=tolerance)
        assert found[near].mean().item() == pytest.approx(centre, abs=0.02)
        assert found[near].std().item() == pytest.approx(WIDTH, rel=0.08)


def test_ancestral_steps_have_the_posterior_of_a_known_clean_value():
    """One step from x at sigma to s: N(c + (x - c) s^2 / sigma^2, s^2 (sigma^2 - s^2) / sigma^2)."""
    start = torch.full((50_000, 1, 1, 1), 3.0, dtype=torch.float64)
    levels = torch.tensor([2.0, 1.5], dtype=torch.float64)
    found = ddpm_ancestral(lambda x, sigma: torch.full_like(x, 0.5), start, levels, noise_like(start))
    assert found.mean().item() == pytest.approx(0.5 + 2.5 * 2.25 / 4, abs=0.02)
    assert found.var().item() == pytest.approx(2.25 * (4 - 2.25) / 4, rel=0.02)


def test_levels_of_ddpm():
    levels = ddpm_levels(1000)
    assert levels.shape == (1001,)
    assert (levels.diff() < 0).all()
    torch.testing.assert_close(levels[:-1].flip(0), ddpm_sigmas())
    few = ddpm_levels(7)
    assert few[0] == levels[0]
    assert few[-2] == levels[-2]
    assert few[-1] == 0


def test_euler_equals_ddim_of_diffusers():
    scheduler = DDIMScheduler(beta_start=1e-4, beta_end=0.02, beta_schedule="linear", clip_sample=False)
    scheduler.set_timesteps(50)
    kept = scheduler.alphas_cumprod
    sigmas = torch.cat([((1 - kept) / kept).sqrt()[scheduler.timesteps], torch.zeros(1)])
    theirs = torch.randn(6, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    start = theirs / kept[scheduler.timesteps[0]].sqrt()
    for time, sigma in zip(scheduler.timesteps, sigmas[:-1], strict=True):
        x = theirs / kept[time].sqrt()
        noise = (x - two_points(x, sigma.expand(6))) / sigma
        theirs = scheduler.step(noise, time, theirs).prev_sample
    torch.testing.assert_close(euler(two_points, start, sigmas), theirs, rtol=1e-3, atol=1e-3)


@given(st.floats(-5, 5), st.integers(2, 12))
def test_exact_for_a_constant_estimate(value, steps):
    levels = karras_levels(steps, 0.1, 10.0, 3.0)[:-1]
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
    kept, levels = start.clone(), karras_levels(8, 0.1, 10.0, 7.0)
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


def test_with_new_noise_equals_diffusers():
    scheduler = EDMDPMSolverMultistepScheduler(
        sigma_min=0.05, sigma_max=40.0, sigma_data=0.5, rho=7.0, algorithm_type="sde-dpmsolver++"
    )
    scheduler.set_timesteps(20)
    theirs = start = 40 * torch.randn(6, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    random = torch.Generator().manual_seed(5)
    for i, time in enumerate(scheduler.timesteps):
        sigma = scheduler.sigmas[i].expand(6)
        skip, out, _, _ = (value[:, None, None, None] for value in EDMPreconditioning().coefficients(sigma))
        estimate = (two_points(theirs, sigma + 0.3) - skip * theirs) / out
        theirs = scheduler.step(estimate, time, theirs, generator=random).prev_sample
    random = torch.Generator().manual_seed(5)
    ours = dpm_solver_2m_sde(
        lambda x, sigma: two_points(x, sigma + 0.3),
        start,
        scheduler.sigmas,
        lambda: torch.randn(start.shape, generator=random),
    )
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3)
