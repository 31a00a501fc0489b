"""FarSeg, from torchgeo."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, cast

from satsynth.segmentation.architectures.architecture import Architecture
from satsynth.work.errors import ResourceError, SatSynthError

if TYPE_CHECKING:
    from torch import nn

    from satsynth.segmentation.settings import SegmentationNetwork

ENCODERS = ("resnet18", "resnet34", "resnet50", "resnet101")


class FarSeg(Architecture):
    """The foreground-aware relation network of Zheng et al. (CVPR 2020); it needs the extra `farseg`.

    Its encoder is a classifier of torchvision, which returns no feature maps.
    """

    can_judge = False

    def require_ready(self, settings: SegmentationNetwork) -> None:
        """Refuse encoders and options that it does not have, and a missing torchgeo."""
        _require_encoder(settings)
        if find_spec("torchgeo") is None:
            raise _no_library("there is no such module")

    def build(self, settings: SegmentationNetwork, classes: int) -> nn.Module:
        """Build the network by torchgeo."""
        try:
            from torchgeo.models import FarSeg as Network
        except ImportError as error:
            raise _no_library(error) from error
        _require_encoder(settings)
        return cast("nn.Module", Network(settings.encoder, classes, backbone_pretrained=settings.weights is not None))

    def encoder(self, network: nn.Module) -> nn.Module:
        """Return the backbone, a submodule."""
        return network.get_submodule("backbone")

    def side_multiple(self, settings: SegmentationNetwork) -> int:
        """Return 32: the decoder doubles maps of 1/8, 1/16 and 1/32 of the side and adds them up."""
        return 32


def _require_encoder(settings: SegmentationNetwork) -> None:
    if settings.encoder not in ENCODERS or settings.options:
        raise SatSynthError(
            f"FarSeg has no encoder {settings.encoder!r} with options {settings.options}.",
            f"Choose {', '.join(ENCODERS[:-1])} or {ENCODERS[-1]} and no options in `segmentation.networks`.",
        )


def _no_library(why: object) -> ResourceError:
    return ResourceError(
        f"The network 'farseg' needs torchgeo, which cannot be imported: {why}.",
        'Install it with: pip install "satsynth[farseg]"',
    )
