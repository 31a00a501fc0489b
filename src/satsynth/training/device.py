"""Devices."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import replace
from typing import Any

import torch

from satsynth.training.settings import ComputeSettings
from satsynth.work.errors import ResourceError
from satsynth.work.placement import Placement, Resources


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
    device = torch.device("cuda" if compute.device != "cpu" and torch.cuda.is_available() else "cpu")
    if device.type == "cuda":
        # A training that was interrupted and continued equals one that was not.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True, warn_only=True)
        # These compute gradients in an order that varies, and only warn of it.
        torch.backends.cuda.enable_flash_sdp(False)
        torch.backends.cuda.enable_mem_efficient_sdp(False)
        torch.backends.cuda.enable_cudnn_sdp(False)
        # Each new tensor would else be filled before it is written to.
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # made at import
    return device


def require_gpus(compute: ComputeSettings) -> None:
    """Refuse more processes of a training than there are GPUs, if it computes on them.

    Raises:
        ResourceError: There are fewer, or none where CUDA is asked for.
    """
    if choose_device(compute).type == "cuda" and compute.processes > torch.cuda.device_count():
        raise ResourceError(
            f"`compute.processes` is {compute.processes}, but PyTorch finds {torch.cuda.device_count()} CUDA GPU(s) "
            "here, and each process of a training needs one of its own.",
            "Set `compute.processes` to the number of GPUs or less, or check `CUDA_VISIBLE_DEVICES`.",
        )


def autocast(device: torch.device, compute: ComputeSettings) -> AbstractContextManager[object]:
    """Return the context in which networks run."""
    if compute.precision == "bf16":
        return torch.autocast(device.type, dtype=torch.bfloat16)
    return nullcontext()


def arithmetic(compute: ComputeSettings) -> dict[str, Any]:
    """Return what decides the last digits of whatever networks compute, as a part of what identifies a step.

    Kinds of device differ, and so do numbers of threads on a CPU, among which sums are shared out.
    """
    device = choose_device(compute).type
    return {
        "precision": compute.precision,
        "device": device,
        "threads": torch.get_num_threads() if device == "cpu" else None,
    }


def decided(compute: ComputeSettings) -> ComputeSettings:
    """Return settings that name the kind of device that is chosen here, for units that may run elsewhere."""
    return compute.model_copy(update={"device": choose_device(compute).type})


def placement(compute: ComputeSettings) -> Placement:
    """Return where units run whose networks compute on the device that is chosen here."""
    gpu = choose_device(compute).type == "cuda"
    usual = compute.loader_workers + 1 if gpu else torch.get_num_threads()
    resources = Resources(compute.ray.cores or usual, compute.ray.gpus if gpu else 0, compute.ray.memory_gb)
    return replace(compute.placement, resources=resources)


@contextmanager
def threads(number: int | None) -> Iterator[None]:
    """Compute with a number of threads on the CPU: what identifies a step names it, whatever this process would take.

    Args:
        number: The number; None leaves it as it is.
    """
    before = torch.get_num_threads()
    if number is None or number == before:
        yield
        return
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def memory_errors(remedy: str) -> Iterator[None]:
    """Say what to do when a GPU runs out of memory.

    Args:
        remedy: What needs less of it.

    Raises:
        ResourceError: It ran out of memory.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        found = ". ".join(str(error).split(". ")[:2])
        raise ResourceError(f"The GPU is out of memory: {found}.", remedy) from error


def seconds_a_step(step: Callable[[int], object], device: torch.device, steps: int) -> float:
    """Return how long a step takes, from ``steps`` of them after one that is not timed; see `memory_in_words`.

    Args:
        step: Takes the number of the step.
        device: Where it computes.
        steps: How many are timed.
    """
    began = 0.0
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    for number in range(steps + 1):
        if number == 1:
            _wait(device)
            began = time.perf_counter()
        step(number)
    _wait(device)
    return (time.perf_counter() - began) / steps


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def memory_in_words(device: torch.device) -> str:
    """Return how much memory was needed at most: of a GPU since `seconds_a_step`, else by this process so far."""
    if device.type == "cuda":
        _, whole = torch.cuda.mem_get_info(device)
        return f"{torch.cuda.max_memory_reserved(device) / 2**30:.1f} of {whole / 2**30:.1f} GiB of GPU memory"
    used, whole = _memory()
    return f"{used / 2**30:.1f} of {whole / 2**30:.1f} GiB of memory"


def _memory() -> tuple[int, int]:
    """Return the most memory that this process has used, and that of the machine, in bytes."""
    with suppress(ImportError):
        # There is no such module on Windows.
        import resource

        unit = 1 if sys.platform == "darwin" else 1024
        whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit, whole
    import psutil

    return int(psutil.Process().memory_info().rss), int(psutil.virtual_memory().total)


def describe_device(device: torch.device) -> str:
    """Return the device in words."""
    if device.type == "cuda":
        return f"GPU {torch.cuda.get_device_name(device)}"
    return f"CPU, {torch.get_num_threads()} threads"
