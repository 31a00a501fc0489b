"""What satsynth needs to know of an architecture."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    import torch
    from torch import nn

    from satsynth.segmentation.settings import SegmentationNetwork


class Architecture(ABC):
    """A kind of segmentation network: how it is built, where its encoder is, which tiles fit.

    ``can_judge`` says whether its encoder maps images to feature maps, which the judge needs.

    Args:
        name: Its name in `segmentation.networks.<name>.architecture`.
    """

    can_judge: ClassVar[bool] = True

    def __init__(self, name: str) -> None:
        self.name = name

    def require_ready(self, settings: SegmentationNetwork) -> None:
        """Refuse what cannot be built, as far as that is known without PyTorch.

        Raises:
            ResourceError: A library is missing.
            SatSynthError: There is no such encoder or option.
        """
        return

    @abstractmethod
    def build(self, settings: SegmentationNetwork, classes: int) -> nn.Module:
        """Build a network that maps images ``(B, 3, H, W)`` to logits ``(B, K, H, W)``.

        Args:
            settings: Which network; `weights` is none or a name, never a file.
            classes: Number of classes K.

        Raises:
            ResourceError: The weights cannot be downloaded, or a library is missing.
            SatSynthError: There is no such encoder or option.
        """

    @abstractmethod
    def encoder(self, network: nn.Module) -> nn.Module:
        """Return the encoder of a network that `build` has made; files of weights hold its state."""

    @abstractmethod
    def side_multiple(self, settings: SegmentationNetwork) -> int:
        """Return the number that the side of a tile in pixels must be a multiple of."""

    def feature_maps(self, network: nn.Module, images: torch.Tensor) -> Sequence[torch.Tensor]:
        """Return the encoder's feature maps of images ``(B, 3, H, W)``, the deepest last; only where `can_judge`."""
        maps: Sequence[torch.Tensor] = self.encoder(network)(images)
        return maps

    def loss(self, network: nn.Module, images: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
        """Return the loss of a batch: the mean cross entropy of labelled pixels, unless an architecture has its own.

        Args:
            network: The network, in training.
            images: ``(B, 3, H, W)`` float32 in [-1, 1].
            masks: ``(B, H, W)`` int64 of class indices, 255 = ignore.
        """
        from satsynth.segmentation.losses import cross_entropy

        return cross_entropy(network(images), masks)

    def quick(self, network: nn.Module, settings: SegmentationNetwork) -> nn.Module:
        """Return what predicts val during a training: the network itself, unless a prediction is expensive."""
        return network

    def passes(self, settings: SegmentationNetwork, quick: bool) -> int:
        """Return how many forward passes the prediction of an image takes.

        Args:
            settings: Which network.
            quick: For the prediction by `quick`, not by the network itself.
        """
        return 1
