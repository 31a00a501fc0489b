"""Devices."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch

from satsynth.training.settings import ComputeSettings
from satsynth.work.errors import ResourceError


def choose_device(compute: ComputeSettings) -> torch.device:
    """Return the device to compute on.

    Raises:
        ResourceError: CUDA is asked for and there is none.
    """
    if compute.device == "cuda" and not torch.cuda.is_available():
        raise ResourceError(
            "`compute.device` is 'cuda', but PyTorch finds no CUDA GPU here.",
            "Check `nvidia-smi` and that PyTorch is a CUDA build, or run without --env=gpu, "
            "or set --params=compute.device=cpu.",
        )
    if compute.device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(compute.device)


def autocast(device: torch.device, compute: ComputeSettings) -> AbstractContextManager[object]:
    """Return the context in which networks run."""
    if compute.precision == "bf16":
        return torch.autocast(device.type, dtype=torch.bfloat16)
    return nullcontext()


def describe_device(device: torch.device) -> str:
    """Return the device in words."""
    if device.type == "cuda":
        return f"GPU {torch.cuda.get_device_name(device)}"
    return f"CPU, {torch.get_num_threads()} threads"
