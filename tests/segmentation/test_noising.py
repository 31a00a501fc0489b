from __future__ import annotations

import pytest
import torch
from diffusers.schedulers.scheduling_ddpm import DDPMScheduler

from satsynth.segmentation.noising import NoiseLevels


def scheduler(levels: int) -> DDPMScheduler:
    scale = 1000 / levels
    return DDPMScheduler(
        num_train_timesteps=levels,
        beta_start=1e-4 * scale,
        beta_end=0.02 * scale,
        beta_schedule="linear",
        variance_type="fixed_small",
        timestep_spacing="trailing",
    )


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("levels", [50, 100, 1000])
def test_noisy_masks_are_those_of_diffusers(levels: int) -> None:
    clean, noise = normal(5, 2, 3, 3), normal(5, 2, 3, 3, seed=1)
    level = torch.tensor([0, 1, levels // 2, levels - 2, levels - 1])
    own = NoiseLevels(levels)
    found = own.noisy(clean, level, noise)
    torch.testing.assert_close(found, scheduler(levels).add_noise(clean, noise, level))
    torch.testing.assert_close(own.clean(found, level, noise)[:3], clean[:3], rtol=1e-3, atol=1e-3)
    assert found[-1].std() > 0.5 and (found[-1] - noise[-1]).abs().max() < 0.05, "the last level is noise"


@pytest.mark.parametrize("steps", [1, 7, 20, 100])
def test_a_draw_is_that_of_diffusers(steps: int) -> None:
    """With some function of what is noisy for a network, and the same noise."""
    reference, own = scheduler(100), NoiseLevels(100)
    reference.set_timesteps(steps)
    assert own.chosen(steps) == reference.timesteps.tolist()

    def network(x: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
        return torch.tanh(x.roll(1, -1)) * (1 + level.view(-1, 1, 1, 1) / 200)

    x = first = normal(2, 3, 4, 4)
    random = torch.Generator().manual_seed(1)
    for level in reference.timesteps:
        predicted = network(x, level.repeat(2))
        x = reference.step(predicted, level, x, generator=random).prev_sample
    random = torch.Generator().manual_seed(1)
    noises = iter([first])

    def drawn() -> torch.Tensor:
        given = next(noises, None)
        return torch.randn(2, 3, 4, 4, generator=random) if given is None else given

    found = own.draw(lambda x, level: own.clean(x, level, network(x, level)), drawn, steps)
    torch.testing.assert_close(found, x, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("steps", [1, 5, 100])
def test_what_is_known_is_drawn(steps: int) -> None:
    wanted = normal(2, 3, 4, 4).clamp(-1, 1)
    count = iter(range(1000))
    own = NoiseLevels(100)
    found = own.draw(lambda x, level: wanted, lambda: normal(2, 3, 4, 4, seed=next(count)), steps)
    assert torch.equal(found, wanted)
    assert next(count) == steps, "new noise in each step"
