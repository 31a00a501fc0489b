from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from satsynth.rivals.gan import losses
from satsynth.rivals.gan.discriminators import ImageDiscriminator, PairDiscriminator, spread
from satsynth.rivals.gan.generator import GanGenerator
from satsynth.rivals.gan.settings import GanNetwork
from satsynth.rivals.gan.step import AdversarialTraining, pair_loss
from satsynth.work.ignore import IGNORE_INDEX

TINY = GanNetwork(stem=1, width=4, widest=4, latent=4, mapping=1, pair_width=4, pair_layers=2, pair_scales=1)
SIDE, CLASSES, STEP = 8, 3, 1e-5


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def test_the_gradient_penalty_against_differences() -> None:
    network = ImageDiscriminator(TINY, SIDE).double()
    images = torch.randn(2, 3, SIDE, SIDE, dtype=torch.float64)
    gradient = torch.zeros_like(images)
    for place in range(images.numel()):
        moved = [images.clone(), images.clone()]
        for sign, one in zip((1, -1), moved, strict=True):
            one.view(-1)[place] += sign * STEP
        gradient.view(-1)[place] = ((network(moved[0]) - network(moved[1])).sum() / (2 * STEP)).detach()
    expected = gradient.square().sum((1, 2, 3)).mean().item()
    images.requires_grad_()
    assert losses.gradient_penalty(network(images), images).item() == pytest.approx(expected, rel=1e-5)


def test_the_gradient_penalty_of_a_known_slope_and_its_gradient() -> None:
    """The score of a linear network has its weights as its gradient, so the penalty is their squared norm."""
    network = nn.Linear(12, 1).double()
    images = torch.randn(5, 3, 2, 2, dtype=torch.float64, requires_grad=True)
    penalty = losses.gradient_penalty(network(images.flatten(1))[:, 0], images)
    penalty.backward()
    torch.testing.assert_close(penalty, network.weight.square().sum())
    torch.testing.assert_close(network.weight.grad, 2 * network.weight.detach())


def test_path_lengths_against_differences() -> None:
    network = GanGenerator(TINY, SIDE, CLASSES).double()
    noise = torch.randn(2, network.noise_size, dtype=torch.float64)
    styles = network.styles(noise[:, : network.latent]).detach().clone()
    directions = torch.randn(2, 3, SIDE, SIDE, dtype=torch.float64)

    def along(given: torch.Tensor) -> torch.Tensor:
        return (network(given, noise)[0] * directions).sum((1, 2, 3)).detach() / math.sqrt(SIDE * SIDE)

    gradient = torch.zeros_like(styles)
    for layer in range(network.layers):
        for dimension in range(network.latent):
            ends = []
            for sign in (1, -1):
                moved = styles.clone()
                moved[:, layer, dimension] += sign * STEP
                ends.append(along(moved))
            gradient[:, layer, dimension] = (ends[0] - ends[1]) / (2 * STEP)
    expected = gradient.square().sum(2).mean(1).sqrt()
    styles.requires_grad_()
    found = losses.path_lengths(network(styles, noise)[0], styles, directions)
    torch.testing.assert_close(found.detach(), expected, rtol=1e-5, atol=1e-8)
    # The penalty teaches the trunk, and it does not reach the branch of masks.
    (found - 1).square().mean().backward()
    learns = {name for name, p in network.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
    assert any("convolutions" in name for name in learns) and any("to_image" in name for name in learns)
    assert not any("to_label" in name for name in learns)


def test_no_gradient_reaches_the_branch_of_images_from_the_pair_discriminator(course: AdversarialTraining) -> None:
    generator, discriminator = course.networks.generator, course.networks.of_pairs
    noise = torch.randn(4, generator.noise_size)
    images, logits = generator(generator.styles(noise[:, : generator.latent]), noise)
    images.retain_grad()
    real = discriminator(torch.randn(4, 3, SIDE, SIDE), torch.rand(4, 2, SIDE, SIDE))
    pair_loss(discriminator, real, images, logits.softmax(1), course.settings).backward()
    assert images.grad is None
    for name, parameter in generator.named_parameters():
        reached = parameter.grad is not None and bool(parameter.grad.any())
        if "to_image" in name:
            assert not reached, name
        elif "to_label" in name:
            assert reached, name


def test_logistic_and_hinge_losses_against_their_formulas() -> None:
    real, drawn = torch.tensor([2.0, -1.0]), torch.tensor([0.5, -3.0])
    logistic = sum(math.log1p(math.exp(-r)) / 2 + math.log1p(math.exp(d)) / 2 for r, d in ((2, 0.5), (-1, -3)))
    assert losses.logistic_discriminator(real, drawn).item() == pytest.approx(logistic)
    assert losses.logistic_generator(drawn).item() == pytest.approx(
        (math.log1p(math.exp(-0.5)) + math.log1p(math.exp(3))) / 2
    )
    maps = [[[torch.tensor([1.0, 2.0]), real]], [[torch.tensor([0.0, 4.0]), drawn]]]
    assert losses.hinge_discriminator(*maps).item() == pytest.approx((0 + 2) / 2 + (1.5 + 0) / 2)
    assert losses.hinge_generator(maps[1]).item() == pytest.approx(1.25)
    assert losses.feature_matching(*maps).item() == pytest.approx(1.5)


def test_soft_masks_say_nothing_where_pixels_are_ignored() -> None:
    masks = torch.tensor([[[0, 2], [IGNORE_INDEX, 1]]])
    expected = torch.tensor([[[[1, 0], [0, 0]], [[0, 0], [0, 1]], [[0, 1], [0, 0]]]]).float()
    assert torch.equal(losses.soft_masks(masks, 3), expected)


def test_patches_of_the_pair_discriminator_see_image_and_mask() -> None:
    network = PairDiscriminator(TINY.model_copy(update={"pair_scales": 2}), CLASSES)
    images, labels = torch.randn(2, 3, 16, 16), torch.rand(2, CLASSES, 16, 16)
    found = network(images, labels)
    assert [[tuple(m.shape[1:]) for m in maps] for maps in found] == [
        [(4, 8, 8), (8, 4, 4), (1, 4, 4)],
        [(4, 4, 4), (8, 2, 2), (1, 2, 2)],
    ]
    for other in (network(images + 1, labels), network(images, labels.flip(1))):
        assert all(not torch.equal(a[-1], b[-1]) for a, b in zip(found, other, strict=True))


def test_spread_is_that_of_a_group() -> None:
    x = torch.randn(6, 3, 2, 2)
    found = spread(x)
    assert found.shape == (6, 1, 2, 2)
    # Six images make three groups of two: 0 and 3, 1 and 4, 2 and 5.
    for a, b in ((0, 3), (1, 4), (2, 5)):
        expected = ((x[a] - x[b]).abs() / 2).mean()
        torch.testing.assert_close(found[a], found[b])
        torch.testing.assert_close(found[a, 0, 0, 0], expected, rtol=1e-4, atol=1e-5)
    assert not spread(x[:1].expand(4, -1, -1, -1)).gt(1e-3).any()
