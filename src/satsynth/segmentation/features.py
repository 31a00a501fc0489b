"""Features of images in a trained segmentation network."""

from __future__ import annotations

import numpy as np
import torch
from safetensors.torch import load_file
from torch import nn

from satsynth.pairs.stream import to_tensors
from satsynth.segmentation.architectures.architecture import Architecture
from satsynth.segmentation.architectures.registry import ARCHITECTURES
from satsynth.segmentation.networks import build_network
from satsynth.segmentation.saved import WEIGHTS, SavedNetwork
from satsynth.training.device import choose_device
from satsynth.training.seeds import shared_random_state
from satsynth.training.settings import ComputeSettings


def load_network(saved: SavedNetwork, device: torch.device) -> nn.Module:
    """Build a saved network on a device, ready to be evaluated."""
    with shared_random_state(0):
        network = build_network(saved.network, len(saved.class_names))
    network.load_state_dict(load_file(saved.file(WEIGHTS)))
    return network.eval().to(device).to(memory_format=torch.channels_last)


@torch.no_grad()
def encoder_features(architecture: Architecture, network: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """Return the two deepest feature maps of a network's encoder, averaged over space and joined.

    Args:
        architecture: Architecture of the network; it must be one that can judge.
        network: The network.
        images: ``(B, 3, H, W)`` float32 in [-1, 1].

    Returns:
        ``(B, F)`` float32.
    """
    maps = architecture.feature_maps(network, images)[-2:]
    return torch.cat([feature.float().mean((2, 3)) for feature in maps], 1)


def image_features(
    saved: SavedNetwork, images: np.ndarray, compute: ComputeSettings, batch_size: int = 32
) -> np.ndarray:
    """Return the encoder's features ``(N, F)`` float32 of images ``(N, H, W, 3)`` uint8."""
    device = choose_device(compute)
    network, architecture = load_network(saved, device), ARCHITECTURES[saved.network.architecture]
    empty = np.zeros(images.shape[1:3], np.uint8)
    found = []
    for first in range(0, len(images), batch_size):
        batch = torch.stack([to_tensors(image, empty)[0] for image in images[first : first + batch_size]])
        batch = batch.to(device, memory_format=torch.channels_last)
        found.append(encoder_features(architecture, network, batch).cpu().numpy())
    return np.concatenate(found)
