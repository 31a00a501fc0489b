"""Weights of finished networks in files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file

from satsynth.work.files import atomic


def save_weights(path: Path, weights: Mapping[str, torch.Tensor]) -> None:
    """Write weights atomically as safetensors, on the CPU and contiguous.

    Raises:
        ResourceError: The disk is full or not writable.
    """
    with atomic(path) as temporary:
        save_file({key: value.cpu().contiguous() for key, value in weights.items()}, temporary)
