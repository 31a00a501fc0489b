from typing import get_args

import pytest
import torch
from diffusers import EDMDPMSolverMultistepScheduler

from satsynth.diffusion.denoiser import Denoiser, by_channel
from satsynth.diffusion.model_settings import GeneratorSettings
from satsynth.diffusion.preconditionings import (
    SIGMA_DATA,
    CleanPreconditioning,
    EDMPreconditioning,
    preconditioning_of,
)

SIGMAS = torch.logspace(-3, 3, 25, dtype=torch.float64)
CONTINUOUS = ["clean", "edm"]
PRECONDITIONINGS = get_args(GeneratorSettings.model_fields["preconditioning"].annotation)


class Recorder(torch.nn.Module):
    """A network that keeps what it was given."""

    def forward(self, pairs, noise):
        self.pairs, self.noise = pairs, noise
        return torch.tanh(pairs) + 0.001 * by_channel(noise, pairs.shape[1])


@pytest.mark.parametrize("name", CONTINUOUS)
def test_input_has_unit_variance(name):
    c_in = preconditioning_of(name).coefficients(SIGMAS)[2]
    torch.testing.assert_close(c_in**2 * (SIGMA_DATA**2 + SIGMAS**2), torch.ones_like(SIGMAS))


def test_edm_target_has_unit_variance_and_its_loss_unit_weight():
    skip, out, _, _ = EDMPreconditioning().coefficients(SIGMAS)
    # target = (clean - c_skip (clean + sigma noise)) / c_out
    variance = ((1 - skip) ** 2 * SIGMA_DATA**2 + skip**2 * SIGMAS**2) / out**2
    torch.testing.assert_close(variance, torch.ones_like(SIGMAS))
    torch.testing.assert_close(EDMPreconditioning().weight(SIGMAS) * out**2, torch.ones_like(SIGMAS))


@pytest.mark.parametrize("sigma", [0.01, 0.5, 40.0])
def test_edm_by_monte_carlo(sigma):
    random = torch.Generator().manual_seed(0)
    clean = SIGMA_DATA * torch.randn(200_000, generator=random, dtype=torch.float64)
    noisy = clean + sigma * torch.randn(200_000, generator=random, dtype=torch.float64)
    skip, out, scale, _ = EDMPreconditioning().coefficients(torch.tensor(sigma, dtype=torch.float64))
    assert (scale * noisy).std().item() == pytest.approx(1, abs=0.01)
    assert ((clean - skip * noisy) / out).std().item() == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("sigma", [0.01, 0.5, 40.0])
def test_edm_equals_diffusers(sigma):
    scheduler = EDMDPMSolverMultistepScheduler(sigma_data=SIGMA_DATA)
    noisy, estimate = torch.randn(2, 1, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    scheduler_input = scheduler.precondition_inputs(noisy, torch.tensor(sigma))
    denoiser = Denoiser(Recorder(), EDMPreconditioning())
    denoiser.network.forward = lambda pairs, noise: setattr(denoiser, "seen", pairs) or estimate
    ours = denoiser(noisy, torch.tensor([sigma]))
    torch.testing.assert_close(denoiser.seen, scheduler_input)
    torch.testing.assert_close(ours, scheduler.precondition_outputs(noisy, estimate, torch.tensor(sigma)))


def test_clean_denoiser_is_the_network():
    network = Recorder()
    denoiser = Denoiser(network, CleanPreconditioning())
    noisy, sigma = torch.randn(3, 5, 4, 4), torch.tensor([0.1, 1.0, 30.0])
    estimate = denoiser(noisy, sigma)
    assert torch.equal(estimate, network(network.pairs, network.noise))


@pytest.mark.parametrize("name", PRECONDITIONINGS)
def test_denoiser_formula_holds_for_each_row(name):
    network, preconditioning = Recorder(), preconditioning_of(name)
    denoiser = Denoiser(network, preconditioning)
    noisy, sigma = torch.randn(3, 5, 4, 4), torch.tensor([0.1, 1.0, 30.0])
    together = denoiser(noisy, sigma)
    for i in range(3):
        skip, out, scale, noise = preconditioning.coefficients(sigma[i])
        expected = skip * noisy[i] + out * (torch.tanh(scale * noisy[i]) + 0.001 * noise)
        torch.testing.assert_close(together[i], expected)


@pytest.mark.parametrize("name", CONTINUOUS)
def test_noise_condition_and_weight(name):
    preconditioning = preconditioning_of(name)
    condition, weight = preconditioning.coefficients(SIGMAS)[3], preconditioning.weight(SIGMAS)
    assert (condition.diff() > 0).all()
    assert (weight > 0).all()
    assert (weight.diff() <= 0).all()


def test_weight_of_the_clean_pair_is_bounded_at_low_noise():
    weight = CleanPreconditioning().weight(torch.tensor([1e-6, 1e-3, 0.1]))
    assert weight[0] == weight[1] == weight[2]
    assert CleanPreconditioning().weight(torch.tensor(1e4)).item() == pytest.approx(1)


def test_estimate_is_float32_whatever_the_network_gives():
    class Half(torch.nn.Module):
        def forward(self, pairs, noise):
            return pairs.bfloat16()

    assert Denoiser(Half(), EDMPreconditioning())(torch.randn(1, 5, 4, 4), torch.ones(1)).dtype == torch.float32
