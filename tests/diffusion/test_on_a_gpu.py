"""A training step and a drawing on tensors that claim to be on a GPU: no value is looked at, none is left elsewhere."""

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from satsynth.diffusion.generator import Generator
from satsynth.diffusion.losses import joint_loss
from satsynth.diffusion.model_settings import GeneratorSettings, NetworkSettings
from satsynth.diffusion.preconditionings import ddpm_sigmas
from satsynth.diffusion.samplers import karras_levels, sampler_of
from satsynth.training.muon import Muon

GPU = torch.device("cuda", 0)
NAMES = ("clean", "edm", "ddpm_epsilon", "ddpm_clean")


@pytest.fixture(autouse=True)
def _made_up_tensors_are_not_kept():
    ddpm_sigmas.cache_clear()
    yield
    ddpm_sigmas.cache_clear()


def generator_on_a_gpu(preconditioning):
    network = NetworkSettings(stem=4, widths=(16, 32), layers=1, attention=True, patch_kernel=3, head=0)
    settings = GeneratorSettings(network=network, preconditioning=preconditioning)
    with GPU:
        denoiser = Generator(settings, 5).denoiser
    # Its label code is made on the CPU, as in a run.
    return Generator(settings, 5).with_denoiser(denoiser)


def everything(state):
    if isinstance(state, torch.Tensor):
        return [state]
    return [tensor for value in state.values() for tensor in everything(value)] if isinstance(state, dict) else []


@pytest.mark.parametrize("preconditioning", NAMES)
def test_a_training_step_stays_on_the_device_and_looks_at_no_value(preconditioning):
    with FakeTensorMode():
        generator = generator_on_a_gpu(preconditioning)
        network = generator.denoiser
        optimizer = Muon(network.parameters(), 0.1)
        images, masks = torch.rand(2, 3, 32, 32, device=GPU), torch.zeros(2, 32, 32, dtype=torch.int64, device=GPU)
        noise = torch.randn(2, generator.channels, 32, 32, device=GPU)
        loss, details = joint_loss(generator, images, masks, torch.ones(2, device=GPU), noise)
        assert {loss.device, *(value.device for value in details.values())} == {GPU}
        for parameter in network.parameters():
            parameter.grad = torch.zeros_like(parameter)
        norm = torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.found_inf = torch.isfinite(norm).logical_not().float()
        optimizer.step()
        state = everything(optimizer.state_dict()["state"])
    assert state
    assert {tensor.device for tensor in state} == {GPU}


@pytest.mark.parametrize("sampler", ["dpm_solver_2m_sde", "heun"])
def test_a_drawing_stays_on_the_device_and_looks_at_no_value(sampler):
    levels = karras_levels(3, 0.02, 80.0, 7.0)
    with FakeTensorMode(allow_non_fake_inputs=True), torch.no_grad():
        generator = generator_on_a_gpu("ddpm_epsilon")

        def noise():
            return torch.randn(2, generator.channels, 32, 32, device=GPU)

        joint = sampler_of(sampler, noise)(generator.denoise(clip=True), noise(), levels.tolist())
        images, masks = generator.split(joint)
    assert (joint.dtype, images.device, masks.device) == (torch.float32, GPU, GPU)
