import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from satsynth.diffusion.beforehand import check_size
from satsynth.diffusion.model_settings import NetworkSettings
from satsynth.diffusion.network import StemUNet
from satsynth.pairs.settings import TilingSettings
from satsynth.work.errors import SatSynthError


def network_of(stem, widths, attention=True, channels=5, **more):
    torch.manual_seed(0)
    return StemUNet(
        channels,
        NetworkSettings(
            **{"stem": stem, "widths": widths, "attention": attention, "patch_kernel": 3, "head": 0} | more
        ),
    )


@pytest.mark.parametrize(
    ("stem", "widths", "attention", "side"),
    [
        (8, (16, 32), True, 32),
        (8, (16, 32), False, 16),
        (4, (16, 24), True, 24),
        (2, (8, 16, 32), True, 16),
        (1, (8, 16), False, 8),
    ],
)
def test_shape(stem, widths, attention, side):
    settings = NetworkSettings(stem=stem, widths=widths, attention=attention, patch_kernel=3, head=0)
    check_size(settings, side)
    network = network_of(stem, widths, attention)
    assert network(torch.randn(2, 5, side, side), torch.tensor([[0.0, 0.0], [100.0, 100.0]])).shape == (
        2,
        5,
        side,
        side,
    )


@pytest.mark.parametrize("head", [0, 8])
@pytest.mark.parametrize("patch_kernel", [1, 3])
def test_first_estimate_is_zero(head, patch_kernel):
    network = network_of(8, (16, 32), head=head, patch_kernel=patch_kernel)
    assert not network(torch.randn(1, 5, 32, 32), torch.zeros(1, 2)).any()


@pytest.mark.parametrize("head", [0, 8])
def test_every_weight_is_used_and_the_noise_condition_matters(head):
    network = network_of(8, (16, 32), head=head)
    torch.nn.init.normal_(network.head[-1].weight if head else network.unet.conv_out.weight)
    pairs = torch.randn(1, 5, 32, 32)
    low, high = network(pairs, torch.full((1, 2), -500.0)), network(pairs, torch.full((1, 2), 500.0))
    assert not torch.allclose(low, high)
    (low.square().mean() + high.square().mean()).backward()
    dead = [name for name, weight in network.named_parameters() if weight.grad is None or not weight.grad.any()]
    # A bias of keys shifts all scores of a query alike, which softmax does not see.
    assert [name for name in dead if not name.endswith("to_k.bias")] == []


def test_stem_loses_nothing():
    class Same(torch.nn.Module):
        def forward(self, patches, noise, of_labels, return_dict):
            assert patches.shape == (2, 5 * 64, 4, 4)
            return (patches,)

    network = network_of(8, (16, 32))
    network.unet = Same()
    pairs = torch.randn(2, 5, 32, 32)
    assert torch.equal(network(pairs, torch.zeros(2, 2)), pairs)


def test_check_size_names_what_to_do():
    with pytest.raises(SatSynthError, match="tile size 100 is not a multiple of 16") as caught:
        check_size(NetworkSettings(stem=8, widths=(16, 32)), 100)
    assert "stem 8, 2 widths" in caught.value.problem
    assert caught.value.remedy.startswith("Set `tiling.tile_size` to 96,")


@given(stem=st.integers(1, 16), levels=st.integers(2, 5), size=st.integers(2, 64).map(lambda n: 8 * n))
def test_check_size_accepts_multiples_and_recommends_one(stem, levels, size):
    settings = NetworkSettings(stem=stem, widths=(8,) * levels)
    factor = stem * 2 ** (levels - 1)
    if size % factor == 0:
        check_size(settings, size)
        return
    with pytest.raises(SatSynthError) as caught:
        check_size(settings, size)
    recommended = int(caught.value.remedy.split("to ")[1].split(",")[0])
    check_size(settings, recommended)
    assert TilingSettings(tile_size=recommended).tile_size == recommended


@pytest.mark.parametrize("widths", [(16,), (16, 20)])
def test_widths_that_cannot_be_built_are_refused(widths):
    with pytest.raises(ValidationError, match="widths"):
        NetworkSettings(widths=widths)


def test_the_head_sees_single_pixels_of_the_noisy_pair():
    """With the U-Net silent, a change of one pixel reaches its 5 x 5 neighbourhood and no further."""
    network = network_of(8, (16, 32), head=8)
    torch.nn.init.normal_(network.head[-1].weight)
    torch.nn.init.zeros_(network.unet.conv_out.weight)
    torch.nn.init.zeros_(network.unet.conv_out.bias)
    pairs = torch.randn(1, 5, 32, 32)
    other = pairs.clone()
    other[0, 1, 10, 20] += 1
    changed = (network(pairs, torch.zeros(1, 2)) != network(other, torch.zeros(1, 2))).any(1)[0].nonzero()
    assert changed.min(0).values.tolist() == [8, 18]
    assert changed.max(0).values.tolist() == [12, 22]


def test_patches_may_be_taken_by_convolutions_of_one_position():
    network = network_of(8, (16, 32), patch_kernel=1)
    assert network.unet.conv_in.weight.shape == (16, 5 * 64, 1, 1)
    assert network.unet.conv_out.weight.shape == (5 * 64, 16, 1, 1)
