"""Networks by name, from segmentation-models-pytorch."""

from __future__ import annotations

import inspect
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
    arguments: dict[str, Any] = {
        "encoder_name": settings.encoder,
        "encoder_weights": settings.weights,
        "classes": classes,
    }
    _check_options(settings)
    try:
        return smp.create_model(settings.architecture, **arguments, **settings.options)
    except Exception as error:
        # Some releases of huggingface_hub say that they are offline by an error that is a ValueError too.
        wrong = isinstance(error, KeyError | TypeError | ValueError) and not isinstance(error, OSError)
        if wrong or "Unknown model" in str(error):
            raise SatSynthError(
                f"segmentation-models-pytorch cannot build {settings.architecture} with the encoder "
                f"{settings.encoder!r}: {error}",
                "Correct `segmentation.networks`.",
            ) from error
        if settings.weights is None:
            raise
        raise ResourceError(
            f"The weights {settings.weights!r} of the encoder {settings.encoder} cannot be downloaded: {error}",
            "Connect to the internet once (they are kept), or set `weights: null`.",
        ) from error


def _check_options(settings: SegmentationNetwork) -> None:
    """Refuse options that would be passed over in silence, or that are not the user's to set."""
    known = set(inspect.signature(smp.MODEL_ARCHITECTURES_MAPPING[settings.architecture]).parameters)
    known -= {"encoder_name", "encoder_weights", "in_channels", "classes", "activation", "aux_params", "kwargs"}
    unknown = sorted(set(settings.options) - known)
    # Encoders of timm take options of their own, and refuse those that they do not know.
    if unknown and not settings.encoder.startswith("tu-"):
        raise SatSynthError(
            f"{settings.architecture} has no option {', '.join(unknown)}; it has {', '.join(sorted(known))}.",
            "Correct `options` in `segmentation.networks`.",
        )


@torch.no_grad()
def encoder_features(network: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """Return the two deepest feature maps of the encoder, averaged over space and joined, ``(B, F)`` float32."""
    maps = network.get_submodule("encoder")(images)[-2:]
    return torch.cat([feature.float().mean((2, 3)) for feature in maps], 1)
