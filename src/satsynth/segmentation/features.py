"""Features of images in a trained segmentation network."""

from __future__ import annotations

import numpy as np
import torch
from safetensors.torch import load_file
from torch import nn

from satsynth.pairs.stream import to_tensors
from satsynth.segmentation.networks import build_network, encoder_features
from satsynth.segmentation.saved import WEIGHTS, SavedNetwork
from satsynth.segmentation.settings import SegmentationNetwork
from satsynth.training.device import choose_device
from satsynth.training.settings import ComputeSettings


def load_network(saved: SavedNetwork, device: torch.device) -> nn.Module:
    """Build a saved network on a device, ready to be evaluated."""
    settings = SegmentationNetwork(**{**saved.manifest["network"], "weights": None})
    network = build_network(settings, len(saved.manifest["classes"]))
    network.load_state_dict(load_file(saved.path / WEIGHTS))
    return network.eval().to(device).to(memory_format=torch.channels_last)


def image_features(
    saved: SavedNetwork, images: np.ndarray, compute: ComputeSettings, batch_size: int = 32
) -> np.ndarray:
    """Return the encoder's features ``(N, F)`` float32 of images ``(N, H, W, 3)`` uint8."""
    device = choose_device(compute)
    network = load_network(saved, device)
    empty = np.zeros(images.shape[1:3], np.uint8)
    found = []
    for first in range(0, len(images), batch_size):
        batch = torch.stack([to_tensors(image, empty)[0] for image in images[first : first + batch_size]])
        found.append(encoder_features(network, batch.to(device, memory_format=torch.channels_last)).cpu().numpy())
    return np.concatenate(found)
