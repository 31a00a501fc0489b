"""Networks from their settings."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn

from satsynth.segmentation.architectures.registry import ARCHITECTURES
from satsynth.segmentation.beforehand import weights_file
from satsynth.segmentation.settings import PACKAGED, SegmentationNetwork
from satsynth.training.imagenet import encoder_state
from satsynth.work.errors import ResourceError


def build_network(settings: SegmentationNetwork, classes: int) -> nn.Module:
    """Build a network that maps images ``(B, 3, H, W)`` to logits ``(B, K, H, W)``.

    Args:
        settings: Which network.
        classes: Number of classes K.

    Raises:
        ResourceError: Its weights cannot be downloaded or read, or a library is missing.
        SatSynthError: There is no such encoder or option, or the weights are those of another encoder.
    """
    architecture, file = ARCHITECTURES[settings.architecture], weights_file(settings)
    network = architecture.build(settings.model_copy(update={"weights": None}) if file else settings, classes)
    if file:
        _load_encoder(architecture.encoder(network), file, packaged=settings.weights == PACKAGED)
    return network


def _load_encoder(encoder: nn.Module, file: Path, packaged: bool) -> None:
    """Load an encoder's state from a file, in which a package has names of its own for the tensors.

    Raises:
        ResourceError: The file is damaged, or holds the state of another network.
    """
    if packaged:
        encoder.load_state_dict(encoder_state(file))
        return
    try:
        state = load_file(file) if file.suffix == ".safetensors" else torch.load(file, "cpu", weights_only=True)
        encoder.load_state_dict(state)
    except Exception as error:  # each format has errors of its own
        raise ResourceError(
            f"The weights {file} cannot be loaded into the encoder: {str(error)[:500]}",
            "Give a file of this encoder's own `state_dict()`, or set `weights: null`.",
        ) from error
