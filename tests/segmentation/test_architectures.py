from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import torch

from satsynth.segmentation.architectures.registry import ARCHITECTURES
from satsynth.segmentation.features import encoder_features
from satsynth.segmentation.networks import build_network
from satsynth.segmentation.settings import SegmentationNetwork
from satsynth.segmentation.sizes import check_tile_size
from satsynth.work.errors import SatSynthError

CASES: list[tuple[str, dict[str, Any]]] = [
    # Of `segdiff`, which has no encoder of a library, its own tests say the same.
    *((name, {}) for name in ARCHITECTURES if name not in ("farseg", "segdiff")),
    ("fpn", {"encoder_depth": 4, "upsampling": 2}),
    ("pspnet", {"encoder_depth": 4, "upsampling": 16}),
    ("deeplabv3plus", {"encoder_output_stride": 8}),
]


def settings(architecture: str, **options: Any) -> SegmentationNetwork:
    return SegmentationNetwork(architecture=architecture, encoder="resnet18", options=options)


@pytest.mark.parametrize(("name", "options"), CASES)
def test_the_multiple_is_the_least_that_a_network_takes(name: str, options: dict[str, Any]) -> None:
    """Every multiple is taken, half of it is not: what is said of an architecture is what its library does."""
    given = settings(name, **options)
    multiple, network = ARCHITECTURES[name].side_multiple(given), build_network(given, 3)
    for side in (5 * multiple, 7 * multiple) if multiple > 1 else (33, 40):
        assert network(torch.zeros(2, 3, side, side)).shape == (2, 3, side, side)
    if multiple > 1:
        with pytest.raises(RuntimeError, match="Wrong input shape"):
            network(torch.zeros(2, 3, 11 * multiple // 2, 11 * multiple // 2))


def test_tiles_that_do_not_fit_are_refused_with_the_sizes_that_do() -> None:
    networks = {"coarse": settings("fpn"), "fine": settings("pspnet"), "any": settings("unet")}
    check_tile_size(networks, 64)
    check_tile_size({"any": networks["any"]}, 40)
    check_tile_size({"fine": networks["fine"]}, 40)
    with pytest.raises(SatSynthError, match=r"`tiling.tile_size` is 40, .* 'coarse' \(fpn\): 32\.") as caught:
        check_tile_size(networks, 40)
    assert "to 32 or 64," in caught.value.remedy
    with pytest.raises(SatSynthError) as caught:
        check_tile_size(networks, 24)
    assert "to 32," in caught.value.remedy


def test_an_option_of_the_wrong_type_is_left_to_the_library() -> None:
    given = settings("fpn", encoder_depth="deep")
    check_tile_size({"a": given}, 40)
    with pytest.raises(SatSynthError, match="cannot build fpn"):
        build_network(given, 3)


@pytest.mark.parametrize("name", [name for name, of in ARCHITECTURES.items() if of.can_judge])
def test_every_architecture_that_can_judge_has_features(name: str) -> None:
    network = build_network(settings(name), 3).eval()
    features = encoder_features(ARCHITECTURES[name], network, torch.rand(2, 3, 64, 64))
    assert features.dtype == torch.float32 and features.shape[0] == 2 and features.shape[1] > 100


def test_settings_and_sizes_are_checked_without_pytorch() -> None:
    code = (
        "import sys; from satsynth.segmentation.settings import SegmentationSettings; "
        "from satsynth.segmentation.sizes import check_tile_size; "
        "check_tile_size(SegmentationSettings().networks, 128); "
        "print([name for name in ('torch', 'segmentation_models_pytorch') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
