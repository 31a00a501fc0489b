from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError
from torch.nn import functional as F

from satsynth.rivals.gan.generator import GanGenerator
from satsynth.rivals.gan.layers import ModulatedConvolution
from satsynth.rivals.gan.settings import GanNetwork, GanSettings
from satsynth.rivals.gan.step import AdversarialTraining
from satsynth.work.errors import SatSynthError

PLAIN = {"pair_layers": 1, "pair_scales": 1}


@pytest.mark.parametrize(
    ("side", "stem", "sides"),
    [(128, 4, (4, 8, 16, 32)), (128, 1, (4, 8, 16, 32, 64, 128)), (96, 4, (6, 12, 24)), (20, 2, (5, 10)), (6, 1, (6,))],
)
def test_sides_double_up_to_the_tile(side: int, stem: int, sides: tuple[int, ...]) -> None:
    network = GanNetwork(stem=stem, width=4, widest=8, latent=4, **PLAIN)
    assert network.sides(side) == sides
    assert network.widths(side)[-1] == 4 and set(network.widths(side)[:-1]) <= {8}
    images, logits = (generator := GanGenerator(network, side, 3))(
        generator.styles(torch.randn(2, 4)), torch.randn(2, generator.noise_size)
    )
    assert images.shape == (2, 3, side, side) and logits.shape == (2, 3, side, side)


@pytest.mark.parametrize(
    ("side", "given"), [(126, {"stem": 4}), (62, {"stem": 1}), (4, {"stem": 4}), (16, {"stem": 4, "pair_layers": 3})]
)
def test_tiles_that_do_not_fit_are_refused(side: int, given: dict[str, int]) -> None:
    with pytest.raises(SatSynthError, match=rf"`tiling.tile_size` is {side}.*`gan.network.stem` is {given['stem']}"):
        GanNetwork(**{**PLAIN, **given}).sides(side)


def test_bad_settings_are_refused() -> None:
    with pytest.raises(ValidationError, match="`widest` 8 must not be below `width` 16"):
        GanNetwork(width=16, widest=8)
    for wrong in ({"mixing": 1.5}, {"gradient_every": 0}, {"drawing": {"truncation": 2}}, {"ema": 1.0}):
        with pytest.raises(ValidationError):
            GanSettings.model_validate(wrong)


def test_a_modulated_convolution_is_one_whose_weights_are_scaled() -> None:
    torch.manual_seed(0)
    layer = ModulatedConvolution(4, 5, 3, styles=6).double()
    x, style = torch.randn(2, 4, 7, 7).double(), torch.randn(2, 6).double()
    factors = layer.style(style)
    for b in range(2):
        weight = layer.weight / 6 * factors[b][None, :, None, None]
        weight = weight / (weight.square().sum((1, 2, 3), keepdim=True) + 1e-8).sqrt()
        torch.testing.assert_close(layer(x, style)[b : b + 1], F.conv2d(x[b : b + 1], weight, padding=1))


def test_styles_mix_in_their_share_of_batches(course: AdversarialTraining) -> None:
    def mixed(chance: float) -> list[int]:
        course.settings = course.settings.model_copy(update={"mixing": chance})
        firsts = []
        for seed in range(40):
            styles, _ = course._styles(2, torch.Generator().manual_seed(seed))
            same = (styles == styles[:, :1]).all(2).all(0).tolist()
            firsts.append(same.index(False) if False in same else 0)
        return firsts

    assert set(mixed(0.0)) == {0}
    # Every crossing between layers comes up, and the layers before it keep the first style.
    assert set(mixed(1.0)) == {1, 2}


def test_a_step_changes_each_network_in_its_turn(course: AdversarialTraining, monkeypatch: pytest.MonkeyPatch) -> None:
    order = []
    take = AdversarialTraining._take
    monkeypatch.setattr(
        AdversarialTraining, "_take", lambda self, name, loss: order.append(name) or take(self, name, loss)
    )
    images, masks = torch.randn(4, 3, 8, 8), torch.randint(0, 2, (4, 8, 8))
    taken = {}
    for done in (0, 1, 4, 16):
        before = {name: value.clone() for name, value in course.networks.named_parameters()}
        found = course.step(images, masks, done)
        taken[done], order = order, []
        changed = {name for name, value in course.networks.named_parameters() if not torch.equal(value, before[name])}
        assert len(changed) > 0.8 * len(before)
        assert all(torch.isfinite(value) for value in found.values())
    plain = ["of_images", "of_pairs", "generator"]
    both = ["of_images", "of_images", "of_pairs", "generator", "generator"]
    assert taken == {0: both, 1: plain, 4: [*plain, "generator"], 16: both}


def test_a_gradient_that_is_not_finite_changes_nothing(course: AdversarialTraining) -> None:
    images, masks = torch.full((4, 3, 8, 8), torch.nan), torch.zeros(4, 8, 8, dtype=torch.int64)
    before = {name: value.clone() for name, value in course.networks.of_images.named_parameters()}
    course.step(images, masks, 0)
    assert all(torch.equal(value, before[name]) for name, value in course.networks.of_images.named_parameters())
    assert torch.isfinite(course.networks.path_length)
