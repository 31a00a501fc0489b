"""Features of images in an ImageNet network, EfficientNet-Lite0, which never saw the data that it judges.

A network that was trained on a data set knows what tells its classes apart and is blind to all else: soft grain in the
right colours looks real to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from satsynth.training.imagenet import ENCODER
from satsynth.training.settings import ComputeSettings

if TYPE_CHECKING:
    import torch

# Raised by a change of code that changes features.
VERSION = 1


def imagenet_features(
    images: np.ndarray, state: Mapping[str, torch.Tensor], compute: ComputeSettings, batch_size: int = 64
) -> np.ndarray:
    """Return features ``(N, F)`` float32: the two deepest maps, averaged over space and joined.

    Args:
        images: ``(N, H, W, 3)`` uint8, at their own size.
        state: Weights of `encoder_state`.
        compute: Where.
        batch_size: Images at once.
    """
    import segmentation_models_pytorch as smp
    import torch

    from satsynth.training.device import choose_device

    device = choose_device(compute)
    encoder = smp.encoders.get_encoder(ENCODER, weights=None)
    encoder.load_state_dict(dict(state))
    encoder.eval().to(device)
    found = []
    with torch.inference_mode():
        for first in range(0, len(images), batch_size):
            batch = torch.from_numpy(np.array(images[first : first + batch_size])).to(device).permute(0, 3, 1, 2)
            # These weights were trained on images in [-1, 1].
            maps = encoder(batch.float() / 127.5 - 1)[-2:]
            found.append(torch.cat([part.mean((2, 3)) for part in maps], 1).cpu().numpy())
    return np.concatenate(found)
