"""The paper's own model against diffusers' implementation of DDPM."""

import pytest
import torch
from diffusers import DDPMScheduler

from satsynth.diffusion.generator import Generator
from satsynth.diffusion.losses import draw_sigmas, joint_loss
from satsynth.diffusion.model_settings import GeneratorSettings, NetworkSettings
from satsynth.diffusion.preconditionings import DDPMPreconditioning, ddpm_sigmas
from satsynth.diffusion.samplers import ddpm_ancestral, ddpm_levels
from satsynth.diffusion.settings import NoiseSettings

TIMES = [0, 1, 17, 500, 998, 999]
KINDS = {"ddpm_epsilon": "epsilon", "ddpm_clean": "sample"}


def scheduler_of(kind):
    """Return diffusers' scheduler; its table in float64, since float32 rounding adds up to 1e-4 in 1000 steps."""
    scheduler = DDPMScheduler(
        num_train_timesteps=1000,
        beta_start=1e-4,
        beta_end=0.02,
        beta_schedule="linear",
        variance_type="fixed_small",
        clip_sample=True,
        prediction_type=KINDS[kind],
    )
    scheduler.alphas = 1 - torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)
    torch.testing.assert_close(1 - scheduler.alphas, scheduler.betas.double(), rtol=1e-5, atol=0)
    scheduler.alphas_cumprod = scheduler.alphas.cumprod(0)
    return scheduler


@pytest.fixture(params=[(kind, code) for kind in KINDS for code in ("bits", "one_hot")], ids=str)
def model(request):
    """A generator of the paper's kind with random weights, its name, and what its network was given."""
    kind, code = request.param
    torch.manual_seed(0)
    network = NetworkSettings(stem=1, widths=(8, 16), layers=1, patch_kernel=3, head=0)
    settings = GeneratorSettings(network=network, label_code=code, label_scale=1.0, preconditioning=kind)
    generator = Generator(settings, 5)
    torch.nn.init.normal_(generator.denoiser.network.unet.conv_out.weight, std=0.05)
    generator.denoiser.double().eval()
    seen = []
    forward = generator.denoiser.network.forward

    def recorded(pairs, time):
        # The embedding of time is computed in float32 whatever the network; the estimate is cast to float32 by ours.
        seen.append((pairs, time, forward(pairs, time)))
        return seen[-1][2]

    generator.denoiser.network.forward = recorded
    return kind, generator, seen


def test_table_equals_diffusers():
    kept = DDPMScheduler(beta_start=1e-4, beta_end=0.02, beta_schedule="linear").alphas_cumprod.double()
    torch.testing.assert_close(ddpm_sigmas(), ((1 - kept) / kept).sqrt(), rtol=1e-4, atol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_noise_condition_is_the_time_of_the_table(dtype):
    for sigmas, times in ((ddpm_sigmas(), torch.arange(1000.0)), (ddpm_levels(1000)[:-1], torch.arange(999.0, -1, -1))):
        found = DDPMPreconditioning(epsilon=True).coefficients(sigmas.to(dtype))[3]
        torch.testing.assert_close(found, times.to(dtype), rtol=0, atol=1e-3)
    between = (ddpm_sigmas()[400].log() + ddpm_sigmas()[401].log()).div(2).exp()
    assert DDPMPreconditioning(epsilon=True).coefficients(between[None])[3].item() == pytest.approx(400.5)
    outside = DDPMPreconditioning(epsilon=True).coefficients(torch.tensor([1e-4, 1e4]))[3]
    assert outside.tolist() == [0, 999]


def test_training_targets_equal_diffusers(model):
    """Same noise, same times: what the network is given, and the loss against the scheduler's own target."""
    kind, generator, seen = model
    random = torch.Generator().manual_seed(1)
    images = (torch.rand(6, 3, 16, 16, generator=random) * 2 - 1).double()
    masks = torch.randint(0, 5, (6, 16, 16), generator=random)
    noise = torch.randn(6, generator.channels, 16, 16, generator=random).double()
    time = torch.tensor(TIMES)
    loss, _ = joint_loss(generator, images, masks, ddpm_sigmas()[time], noise)
    given, condition, estimate = seen[-1]
    clean = generator.join(images, masks)
    noised = scheduler_of(kind).add_noise(clean, noise, time)
    torch.testing.assert_close(given, noised, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(condition, time.double()[:, None].expand(-1, 2), rtol=0, atol=1e-3)
    # In x0 mode the target is the clean pair, not the noised one.
    target = noise if kind == "ddpm_epsilon" else clean
    assert loss.item() == pytest.approx((estimate - target).square().mean().item(), rel=1e-3)


# Each kind and each code once: a trajectory takes a while.
@pytest.mark.parametrize("model", [("ddpm_epsilon", "one_hot"), ("ddpm_clean", "bits")], indirect=True, ids=str)
def test_whole_trajectory_equals_diffusers(model):
    """All 1000 steps of ancestral sampling with the same draws, the smaller variance and the same clipping."""
    kind, generator, _ = model
    scheduler = scheduler_of(kind)
    scheduler.set_timesteps(1000)
    shape = (2, generator.channels, 8, 8)
    theirs = torch.randn(shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    kept = scheduler.alphas_cumprod.double()
    start = theirs / kept[999].sqrt()
    random = torch.Generator().manual_seed(3)
    with torch.inference_mode():
        for time in scheduler.timesteps:
            output = generator.denoiser.network(theirs, time.double().expand(2, 2))
            theirs = scheduler.step(output, time, theirs, generator=random).prev_sample
        random = torch.Generator().manual_seed(3)
        ours = ddpm_ancestral(
            generator.denoise(clip=True),
            start,
            ddpm_levels(1000),
            lambda: torch.randn(shape, generator=random, dtype=torch.float64),
        )
    assert (ours - theirs).abs().max() <= 1e-4 * theirs.abs().max()


def test_levels_in_training_are_those_of_the_table_equally_often():
    table = ddpm_sigmas().float()
    drawn = torch.cat(
        [draw_sigmas(NoiseSettings(kind="ddpm"), 100, torch.Generator().manual_seed(seed)) for seed in range(500)]
    )
    times = torch.searchsorted(table, drawn)
    assert torch.equal(table[times], drawn)
    counts = times.bincount(minlength=1000)
    # 50 each by strata of ten levels: the spread within a stratum is binomial, standard deviation 6.7.
    assert counts.min() > 50 - 5 * 6.7
    assert counts.max() < 50 + 5 * 6.7
