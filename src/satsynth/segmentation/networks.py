"""Networks by name, from segmentation-models-pytorch and torchgeo."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any, cast

import segmentation_models_pytorch as smp
import torch
from safetensors.torch import load_file
from torch import nn

from satsynth.segmentation.settings import SegmentationNetwork
from satsynth.work.errors import ResourceError, SatSynthError


def build_network(settings: SegmentationNetwork, classes: int) -> nn.Module:
    """Build a network that maps images ``(B, 3, H, W)`` to logits ``(B, K, H, W)``.

    Args:
        settings: Which network.
        classes: Number of classes K.

    Raises:
        ResourceError: Its weights cannot be downloaded or read, or torchgeo is missing.
        SatSynthError: There is no such encoder or option.
    """
    file = _weights_file(settings)
    network = _built(settings.model_copy(update={"weights": None}) if file else settings, classes)
    if file:
        _load_encoder(network.get_submodule("backbone" if settings.architecture == "farseg" else "encoder"), file)
    return network


def _weights_file(settings: SegmentationNetwork) -> Path | None:
    """Return the local file that the weights name, if they do.

    Raises:
        ResourceError: There is no such file.
    """
    if settings.weights is None or not settings.weights.endswith((".safetensors", ".pth", ".pt")):
        return None
    file = Path(settings.weights)
    if not file.exists():
        raise ResourceError(
            f"The weights {settings.weights} of the encoder {settings.encoder} do not exist ({file.resolve()}).",
            "Correct `weights` in `segmentation.networks`; a path is relative to the project.",
        )
    return file


def _load_encoder(encoder: nn.Module, file: Path) -> None:
    """Load an encoder's state from a file.

    Raises:
        ResourceError: The file is damaged, or holds the state of another network.
    """
    try:
        state = load_file(file) if file.suffix == ".safetensors" else torch.load(file, "cpu", weights_only=True)
        encoder.load_state_dict(cast(dict[str, torch.Tensor], state))
    except Exception as error:  # each format has errors of its own
        raise ResourceError(
            f"The weights {file} cannot be loaded into the encoder: {str(error)[:500]}",
            "Give the state of this very encoder, as its `state_dict()` gives it, or set `weights: null`.",
        ) from error


def _farseg(settings: SegmentationNetwork, classes: int) -> nn.Module:
    try:
        from torchgeo.models import FarSeg
    except ImportError as error:
        raise ResourceError(
            f"The network 'farseg' needs torchgeo, which cannot be imported: {error}.",
            'Install it with: pip install "satsynth[farseg]"',
        ) from error
    if settings.encoder not in ("resnet18", "resnet34", "resnet50", "resnet101") or settings.options:
        raise SatSynthError(
            f"FarSeg has no encoder {settings.encoder!r} with options {settings.options}.",
            "Choose resnet18, resnet34, resnet50 or resnet101 and no options in `segmentation.networks`.",
        )
    return cast(nn.Module, FarSeg(settings.encoder, classes, backbone_pretrained=settings.weights is not None))


def _built(settings: SegmentationNetwork, classes: int) -> nn.Module:
    arguments: dict[str, Any] = {
        "encoder_name": settings.encoder,
        "encoder_weights": settings.weights,
        "classes": classes,
    }
    if settings.architecture != "farseg":
        _check_options(settings)
    try:
        if settings.architecture == "farseg":
            return _farseg(settings, classes)
        return smp.create_model(settings.architecture, **arguments, **settings.options)
    except SatSynthError:
        raise
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
