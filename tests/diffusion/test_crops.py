"""Training on quarters of tiles: what is cut, in which steps, and that nothing else changes."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from losses_made import BATCH, CLASSES, COMPUTE, CPU, SIDE, joint

import tiny
from satsynth.diffusion.beforehand import check_size
from satsynth.diffusion.cascade.settings import EnlargerSettings
from satsynth.diffusion.losses import LOSS, batch_levels, denoising_step, in_quarters, joint_loss, quarters
from satsynth.diffusion.model_settings import NetworkSettings
from satsynth.diffusion.settings import DiffusionSettings, TaskSettings
from satsynth.training.seeds import generator as seeded
from satsynth.work.errors import SatSynthError


@given(share=st.floats(0, 0.9), steps=st.integers(1, 500), start=st.integers(0, 10_000))
def test_any_range_of_steps_has_its_share_to_within_one(share: float, steps: int, start: int) -> None:
    cut = sum(in_quarters(step, share) for step in range(start, start + steps))
    assert abs(cut - share * steps) <= 1 + 1e-6


def test_the_share_is_none_or_every_other_step() -> None:
    assert not any(in_quarters(step, 0) for step in range(100))
    assert [in_quarters(step, 0.5) for step in range(4)] == [False, True, False, True]


@pytest.mark.parametrize("shape", [(3, 5, 8, 6), (3, 8, 6)])
def test_quarters_are_the_four_corners_of_each_tile_in_turn(shape: tuple[int, ...]) -> None:
    batch = torch.randn(shape)
    cut = quarters(batch)
    assert cut.shape == (12, *shape[1:-2], 4, 3)
    for number, tile in enumerate(batch):
        corners = [tile[..., rows, columns] for rows in (slice(4), slice(4, 8)) for columns in (slice(3), slice(3, 6))]
        assert torch.equal(cut[4 * number : 4 * number + 4], torch.stack(corners))


def test_a_step_in_quarters_is_the_loss_of_a_batch_of_these_crops(batch: tuple[torch.Tensor, torch.Tensor]) -> None:
    images, masks = batch
    half = SIDE // 2
    corners = [(slice(r, r + half), slice(c, c + half)) for r in (0, half) for c in (0, half)]
    small = torch.stack([image[:, rows, columns] for image in images for rows, columns in corners])
    their_masks = torch.stack([mask[rows, columns] for mask in masks for rows, columns in corners])
    settings = DiffusionSettings(model=tiny.SEPARATE, tasks=TaskSettings(joint=0.4, image=0.6), crops=0.5)
    for step, their_images, of_them in ((0, images, masks), (1, small, their_masks), (2, images, masks)):
        generator, seen = tiny.random_generator(CLASSES, tiny.SEPARATE), step * BATCH
        ((loss, _),) = denoising_step(generator, settings, CPU, COMPUTE)(*batch, seen)
        random = seeded(settings.seed, LOSS, seen, device=CPU)
        levels = batch_levels(settings, of_them, False, random, shuffled=step == 1)
        noise = torch.randn((len(of_them), generator.channels, *their_images.shape[2:]), generator=random)
        assert len(levels) == (4 * BATCH if step == 1 else BATCH)
        expected, _ = joint_loss(generator, their_images, of_them, levels, noise)
        torch.testing.assert_close(loss, expected)


def test_the_quarters_of_a_tile_have_levels_from_all_of_their_range(batch: tuple[torch.Tensor, torch.Tensor]) -> None:
    """Levels rise along a batch of tiles; four neighbours would all be of one sixth of their distribution."""
    settings, masks = DiffusionSettings(model=tiny.SEPARATE, tasks=TaskSettings()), quarters(batch[1])
    levels = [batch_levels(settings, masks, False, seeded(0, 1), shuffled=shuffled)[:, 0] for shuffled in (False, True)]
    assert torch.equal(levels[0], levels[0].sort().values) and torch.equal(levels[0], levels[1].sort().values)
    ranks = levels[1].argsort().argsort().view(BATCH, 4)
    assert (ranks.max(1).values - ranks.min(1).values).float().mean() > 2 * 3


def test_other_steps_are_those_without_crops(batch: tuple[torch.Tensor, torch.Tensor]) -> None:
    losses = [[loss.item() for loss, _ in joint(None, crops=crops)[1](*batch, 0)] for crops in (0.0, 0.5)]
    assert losses[0] == losses[1]


def test_half_a_tile_must_fit_the_network_too() -> None:
    network = NetworkSettings(stem=4, widths=(32, 64, 128))
    check_size(network, 48)
    check_size(network, 32, cuts=2)
    with pytest.raises(SatSynthError, match=r"48 is not a multiple of 32, .* with `diffusion.crops` asks") as caught:
        check_size(network, 48, cuts=2)
    assert "`tiling.tile_size` to 32" in caught.value.remedy and "or no crops" in caught.value.remedy


def test_an_enlarger_has_crops_of_its_own() -> None:
    with pytest.raises(ValueError, match="its `crop` is the side"):
        EnlargerSettings(crops=0.5)
