"""PFSegNet, written anew."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, cast

from pydantic import Field

from satsynth.segmentation.architectures.architecture import Architecture
from satsynth.segmentation.architectures.options import options_of
from satsynth.segmentation.architectures.smp import smp_errors
from satsynth.work.frozen import Frozen

if TYPE_CHECKING:
    import torch
    from torch import nn

    from satsynth.segmentation.point_flow import PFSegNet as Network
    from satsynth.segmentation.settings import SegmentationNetwork


class PFSegNetOptions(Frozen):
    """Options of the network; the defaults are the paper's."""

    encoder_output_stride: Literal[8, 16, 32] = Field(
        default=8, description="Largest reduction by the encoder; below 32 its last stages are dilated instead."
    )
    decoder_channels: int = Field(default=256, ge=8, le=4096, description="Channels of the feature pyramid.")
    embedding: int = Field(default=64, ge=1, le=4096, description="Dimensions in which points are compared.")
    salient_side: int = Field(default=14, ge=1, le=256, description="Side of the grid of salient points.")
    edge_points: int = Field(default=128, ge=1, le=65536, description="Edge points of each level.")


class PFSegNet(Architecture):
    """The point flow network of Li et al. (CVPR 2021), with any encoder of segmentation-models-pytorch.

    The paper's encoder is a ResNet-50 with a deep stem, `tu-resnet50c`.
    """

    def require_ready(self, settings: SegmentationNetwork) -> None:
        """Refuse options that it does not have."""
        options_of(PFSegNetOptions, settings)

    def build(self, settings: SegmentationNetwork, classes: int) -> nn.Module:
        """Build the encoder by segmentation-models-pytorch, and the decoder on its last four feature maps."""
        import segmentation_models_pytorch as smp

        from satsynth.segmentation.point_flow import PFSegNet as Network

        options = options_of(PFSegNetOptions, settings)
        with smp_errors(self.name, settings):
            encoder = smp.encoders.get_encoder(
                settings.encoder, weights=settings.weights, output_stride=options.encoder_output_stride
            )
        return Network(
            encoder,
            list(encoder.out_channels)[-4:],
            classes,
            options.decoder_channels,
            options.embedding,
            options.salient_side,
            options.edge_points,
        )

    def encoder(self, network: nn.Module) -> nn.Module:
        """Return the encoder, a submodule."""
        return network.get_submodule("encoder")

    def side_multiple(self, settings: SegmentationNetwork) -> int:
        """Return 1: maps of any size are fitted together."""
        return 1

    def loss(self, network: nn.Module, images: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
        """Return the loss of hard pixels and edges."""
        from satsynth.segmentation.losses import point_flow_loss

        return point_flow_loss(*cast("Network", network).with_edges(images), masks)
