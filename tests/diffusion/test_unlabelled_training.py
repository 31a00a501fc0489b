"""Images without masks in the training of a denoiser: they teach its image channels only."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import tiny
from satsynth.diffusion.denoiser import IMAGE_CHANNELS, by_channel
from satsynth.diffusion.generator import CLEAN, UNKNOWN
from satsynth.diffusion.losses import denoising_step, draw_levels, joint_loss, unknown_masks
from satsynth.diffusion.settings import (
    DenoiserSettings,
    DiffusionSettings,
    ImageDiffusionSettings,
    NoiseSettings,
    TaskSettings,
)
from satsynth.generation.saved import SavedGenerator
from satsynth.pairs.cache import DecodedPairs
from satsynth.pairs.stream import PairStream, training_stream
from satsynth.training.seeds import generator as seeded
from satsynth.training.settings import ComputeSettings
from satsynth.work.errors import SatSynthError
from satsynth.work.ignore import IGNORE_INDEX

CLASSES, SIDE = 4, 8
MIXED = TaskSettings(joint=0.25, image=0.25, mask=0.25, independent=0.25)
RESULTS = ("model.safetensors", "ema.safetensors", "history.json", "manifest.json")
Train = Callable[..., SavedGenerator]


@pytest.fixture(scope="module")
def images_alone() -> DecodedPairs:
    images = np.random.default_rng(9).integers(0, 256, (5, 32, 32, 3), np.uint8)
    return DecodedPairs(images, np.full((5, 32, 32), IGNORE_INDEX, np.uint8))


class Given(torch.nn.Module):
    """A denoiser that gives what it was told to give, and keeps what it was given."""

    def __init__(self, preconditioning: Any, estimate: torch.Tensor) -> None:
        super().__init__()
        self.preconditioning, self.estimate = preconditioning, estimate

    def forward(self, noisy: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        self.noisy, self.sigma = noisy, sigma
        return self.estimate


@pytest.mark.parametrize("tasks", [TaskSettings(), MIXED])
def test_masks_are_unknown_and_images_at_all_levels_where_there_is_no_mask(tasks: TaskSettings) -> None:
    """Also where images without masks always have the same places in a batch."""
    noise, unlabelled = NoiseSettings(), torch.arange(8) % 4 == 3
    found = torch.stack(
        [unknown_masks(draw_levels(noise, tasks, 8, random), unlabelled, random)
         for random in (seeded(1, i) for i in range(600))]
    )  # fmt: skip
    alone, others = found[:, unlabelled].flatten(0, 1), found[:, ~unlabelled].flatten(0, 1)
    assert (alone[:, 1] == UNKNOWN).all() and not (alone[:, 0] == UNKNOWN).any()
    assert alone[:, 0].log().mean().item() == pytest.approx(noise.mean, abs=0.15)
    assert alone[:, 0].log().std().item() == pytest.approx(noise.std, abs=0.15)
    # The others keep the shares of their tasks.
    shares = [(others[:, 0] == others[:, 1]).float().mean(), (others[:, 1] == CLEAN).float().mean()]
    assert shares == pytest.approx([tasks.joint, tasks.image], abs=0.03)


def test_the_gradient_of_an_image_without_a_mask_is_that_of_its_image_channels_alone() -> None:
    generator = tiny.random_generator(CLASSES, tiny.SEPARATE)
    random = torch.Generator().manual_seed(2)
    images = torch.rand(3, 3, SIDE, SIDE, generator=random) * 2 - 1
    masks = torch.randint(0, CLASSES, (3, SIDE, SIDE), generator=random)
    masks[1] = IGNORE_INDEX
    levels = torch.tensor([[0.5, 0.5], [2.0, UNKNOWN], [0.3, 4.0]])
    shape = (3, generator.channels, SIDE, SIDE)
    noise, estimate = torch.randn(shape, generator=random), torch.randn(shape, generator=random).requires_grad_()
    weight = generator.denoiser.preconditioning.weight(levels)
    given = generator.with_denoiser(Given(generator.denoiser.preconditioning, estimate))
    loss, _ = joint_loss(given, images, masks, levels, noise)
    (gradient,) = torch.autograd.grad(loss, estimate)
    expected = (
        2 * by_channel(weight, generator.channels) * (estimate - generator.join(images, masks)) / estimate.numel()
    )
    expected[1, IMAGE_CHANNELS:] = 0
    torch.testing.assert_close(gradient, expected.detach())
    assert gradient[1, :IMAGE_CHANNELS].abs().min() > 0


def test_label_channels_carry_nothing_where_there_is_no_mask() -> None:
    """What the network is given there is noise at the highest level, whatever the image."""
    generator = tiny.random_generator(CLASSES, tiny.SEPARATE)
    given = Given(generator.denoiser.preconditioning, torch.zeros(4, generator.channels, 32, 32))
    settings = DiffusionSettings(model=tiny.SEPARATE, tasks=MIXED, batch_size=4, seed=3)
    masks = torch.randint(0, CLASSES, (4, 32, 32))
    masks[1] = masks[3] = IGNORE_INDEX
    cpu = torch.device("cpu")
    seen = []
    for brightness in (-1.0, 1.0):
        step = denoising_step(generator.with_denoiser(given), settings, cpu, ComputeSettings(device="cpu"), True)
        next(step(torch.full((4, 3, 32, 32), brightness), masks, 12))
        assert (given.sigma[[1, 3], 1] == UNKNOWN).all() and not (given.sigma[[0, 2], 1] == UNKNOWN).any()
        seen.append(given.noisy[[1, 3], IMAGE_CHANNELS:])
    assert torch.equal(*seen)
    assert (seen[0] / UNKNOWN).std().item() == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("share", [0.25, 0.5])
def test_images_without_masks_have_their_share_in_an_order_of_the_seed(
    training_pairs: DecodedPairs, images_alone: DecodedPairs, share: float
) -> None:
    stream = training_stream(training_pairs, images_alone, share, 5)
    found = [stream[position] for position in range(40)]
    alone = [image for image, mask in found if (mask == IGNORE_INDEX).all()]
    assert len(alone) == 40 * share
    for image, expected in zip(alone, (PairStream([images_alone], 5)[i][0] for i in range(40)), strict=False):
        assert torch.equal(image, expected)
    labelled = [image for image, mask in found if not (mask == IGNORE_INDEX).all()]
    for image, expected in zip(labelled, (PairStream([training_pairs], 5)[i][0] for i in range(40)), strict=False):
        assert torch.equal(image, expected)


def test_without_such_images_the_stream_is_that_of_the_pairs(training_pairs: DecodedPairs) -> None:
    stream, plain = training_stream(training_pairs, None, 0.25, 5), PairStream([training_pairs], 5)
    assert all(torch.equal(a, b) for i in range(12) for a, b in zip(stream[i], plain[i], strict=True))


def test_a_training_with_them_continues_as_if_uninterrupted(
    train_tiny: Train, images_alone: DecodedPairs, tmp_path: Path
) -> None:
    how: dict[str, Any] = {
        "model": tiny.SEPARATE, "tasks": MIXED, "images": 12, "looks": 2, "unlabelled_share": 0.5,
    }  # fmt: skip

    def stop(step: int, metrics: Any) -> None:
        # The first look, halfway.
        raise KeyboardInterrupt

    whole = train_tiny(tmp_path / "whole", unlabelled=images_alone, **how)
    with pytest.raises(KeyboardInterrupt):
        train_tiny(tmp_path / "stopped", unlabelled=images_alone, on_metrics=stop, **how)
    again = train_tiny(tmp_path / "stopped", unlabelled=images_alone, **how)
    for name in RESULTS:
        assert (again.path / name).read_bytes() == (whole.path / name).read_bytes()


@pytest.mark.parametrize(
    "settings",
    [
        DiffusionSettings(model={"noise_levels": "common"}, unlabelled_share=0),
        DiffusionSettings(),
        ImageDiffusionSettings(),
    ],
)
def test_generators_that_can_learn_from_images_alone(settings: DenoiserSettings) -> None:
    settings.require_unlabelled()


def test_one_noise_level_in_common_is_refused() -> None:
    with pytest.raises(SatSynthError, match=r"`model\.noise_levels` is `common`, so it cannot learn") as caught:
        DiffusionSettings(model={"noise_levels": "common"}).require_unlabelled()
    assert "noise_levels: separate" in caught.value.remedy and "unlabelled_share: 0" in caught.value.remedy
