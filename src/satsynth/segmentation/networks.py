"""Networks from their settings."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import torch
from safetensors.torch import load_file
from torch import nn

from satsynth.segmentation.architectures.registry import ARCHITECTURES
from satsynth.segmentation.beforehand import weights_file
from satsynth.segmentation.settings import SegmentationNetwork
from satsynth.work.errors import ResourceError


def build_network(settings: SegmentationNetwork, classes: int) -> nn.Module:
    """Build a network that maps images ``(B, 3, H, W)`` to logits ``(B, K, H, W)``.

    Args:
        settings: Which network.
        classes: Number of classes K.

    Raises:
        ResourceError: Its weights cannot be downloaded or read, or a library is missing.
        SatSynthError: There is no such encoder or option.
    """
    architecture, file = ARCHITECTURES[settings.architecture], weights_file(settings)
    network = architecture.build(settings.model_copy(update={"weights": None}) if file else settings, classes)
    if file:
        _load_encoder(architecture.encoder(network), file)
    return network


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
            "Give a file of this encoder's own `state_dict()`, or set `weights: null`.",
        ) from error
