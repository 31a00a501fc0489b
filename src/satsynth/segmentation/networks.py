"""Networks by name, from segmentation-models-pytorch."""

from __future__ import annotations

from typing import Any

import segmentation_models_pytorch as smp
import torch
from torch import nn

from satsynth.segmentation.settings import SegmentationNetwork
from satsynth.work.errors import ResourceError, SatSynthError


def build_network(settings: SegmentationNetwork, classes: int) -> nn.Module:
    """Build a network that maps images ``(B, 3, H, W)`` to logits ``(B, K, H, W)``.

    Args:
        settings: Which network.
        classes: Number of classes K.

    Raises:
        ResourceError: Its weights cannot be downloaded.
        SatSynthError: There is no such encoder or option.
    """
    arguments: dict[str, Any] = {"encoder_name": settings.encoder, "encoder_weights": settings.weights, "classes": classes}
    try:
        return smp.create_model(settings.architecture, **arguments, **settings.options)
    except (KeyError, TypeError, ValueError) as error:
        raise SatSynthError(
            f"segmentation-models-pytorch cannot build {settings.architecture} with the encoder {settings.encoder!r}: {error}",
            "Correct `segmentation.networks`.",
        ) from error
    except Exception as error:
        if settings.weights is None:
            raise
        raise ResourceError(
            f"The weights {settings.weights!r} of the encoder {settings.encoder} cannot be downloaded: {error}",
            "Connect to the internet once (they are kept), or set `weights: null`.",
        ) from error


@torch.no_grad()
def encoder_features(network: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """Return the two deepest feature maps of the encoder, averaged over space and joined, ``(B, F)`` float32."""
    maps = network.encoder(images)[-2:]
    return torch.cat([feature.float().mean((2, 3)) for feature in maps], 1)
