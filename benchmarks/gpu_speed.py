"""How fast a CUDA GPU is: its peaks, training steps, drawing, loading, and whether a continued training is the same.

Everything also runs on a CPU, in sizes of `TINY`, to see that it works.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast
from unittest.mock import patch

import torch
import yaml
from packed import SIDE, Packed
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from satsynth.diffusion.averaged import optimizer_for
from satsynth.diffusion.drawing import JointDrawer
from satsynth.diffusion.generator import Generator
from satsynth.diffusion.losses import denoising_step
from satsynth.diffusion.network import StemUNet
from satsynth.diffusion.settings import DiffusionSettings
from satsynth.diffusion.training import train_denoiser
from satsynth.generation.drawers import Request
from satsynth.generation.families import Silence
from satsynth.pairs.stream import PairStream, batches
from satsynth.training.device import choose_device
from satsynth.training.ema import MovingAverage
from satsynth.training.settings import ComputeSettings
from satsynth.work.folder import Step, work_folder

CONF = Path(__file__).resolve().parents[1] / "conf"
VERSION = 1
# A CPU without instructions for bfloat16 takes a hundred times as long with it.
LOW = "bf16" if torch.cuda.is_available() else "fp32"
# Where `memory_format` is looked up.
FORMATS = tuple(f"satsynth.diffusion.{name}.memory_format" for name in ("network", "losses", "training"))
FUSED = ("flash", "mem_efficient", "cudnn")


@dataclass(frozen=True)
class Sizes:
    """How large measurements are.

    Args:
        matrix: Rows and columns of the matrices that are multiplied.
        channels: Channels of the convolutions.
        batch: Images of the convolutions and batch of drawing.
        steps: Steps that are timed.
        changes: Changes of the generator, for all environments.
    """

    matrix: int
    channels: int
    batch: int
    steps: int
    changes: Mapping[str, Any]


FULL = Sizes(8192, 256, 128, 6, {})
TINY = Sizes(256, 16, 2, 1, {"batch_size": 2, "model": {"network": {"stem": 4, "widths": [8, 16], "layers": 1}}})


def configuration(name: str, changes: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the groups `diffusion` and `compute` of an environment; Kedro, which else reads them, is not needed."""
    shared = yaml.safe_load((CONF / "base" / "globals.yml").read_text())
    files = ["base/parameters.yml", "base/parameters_diffusion.yml"]
    files += [f"{name}/parameters.yml"] if name != "base" else []
    found: dict[str, Any] = {}
    for content in (yaml.safe_load((CONF / file).read_text()) for file in files):
        for key in ("diffusion", "compute"):
            found[key] = merged(found.get(key, {}), _resolved(content.get(key, {}), shared))
    # What stands for a parameter of a run's own has its default.
    found["compute"] = {k: v for k, v in found["compute"].items() if not str(v).startswith("${")}
    if not torch.cuda.is_available():
        found["compute"] |= {"device": "cpu", "precision": "fp32", "loader_workers": 0}
    return merged(found["diffusion"], changes), found["compute"]


def _resolved(value: Any, shared: Any) -> Any:
    match = re.fullmatch(r"\$\{globals:([\w.]+)\}", value) if isinstance(value, str) else None
    if match is None:
        return value
    for part in match[1].split("."):
        shared = shared[part]
    return shared


def merged(old: Any, new: Any) -> Any:
    """Return nested settings with changes."""
    both = isinstance(old, dict) and isinstance(new, Mapping)
    return old | {key: merged(old.get(key), value) for key, value in new.items()} if both else new


@contextmanager
def tf32(on: bool) -> Iterator[None]:
    """Let float32 products be computed in TF32, or not."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = on
    yield
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False


@contextmanager
def channels_last() -> Iterator[None]:
    """Let generators compute in channels_last, also on a GPU."""
    with ExitStack() as stack:
        for name in FORMATS:
            stack.enter_context(patch(name, lambda device: torch.channels_last))
        yield


@contextmanager
def free_kernels() -> Iterator[None]:
    """Let PyTorch choose kernels whose results vary, fused attention among them."""
    switches = [getattr(torch.backends.cuda, f"enable_{name}_sdp") for name in FUSED]
    torch.use_deterministic_algorithms(False)
    for switch in switches:
        switch(True)
    yield
    for switch in switches:
        switch(False)
    torch.use_deterministic_algorithms(True, warn_only=True)


def wait() -> None:
    """Wait for a GPU, if there is one."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def peak_gib() -> float:
    """Return the most memory of a GPU that was in use; 0 on a CPU."""
    return round(torch.cuda.max_memory_allocated() / 2**30, 2) if torch.cuda.is_available() else 0.0


def clear() -> None:
    """Forget what was in use on a GPU."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def seconds_of(run: Callable[[], Any], times: int) -> float:
    """Return the mean time of some runs, after three that are not timed."""
    for _ in range(3):
        run()
    wait()
    began = time.perf_counter()
    for _ in range(times):
        run()
    wait()
    return (time.perf_counter() - began) / times


def peaks(sizes: Sizes) -> dict[str, float]:
    """Return the TFLOP/s of square matrix products and of 3 x 3 convolutions."""
    found, device = {}, "cuda" if torch.cuda.is_available() else "cpu"
    types = {"fp32": torch.float32, "tf32": torch.float32}
    for name, dtype in (types | ({"bf16": torch.bfloat16} if LOW == "bf16" else {})).items():
        with tf32(name == "tf32"), torch.no_grad():
            a, b = (torch.randn(sizes.matrix, sizes.matrix, device=device, dtype=dtype) for _ in range(2))
            found[f"matrix_{name}"] = 2 * sizes.matrix**3 / seconds_of(partial(torch.matmul, a, b), 10) / 1e12
            n, side = sizes.channels, 64
            x = torch.randn(sizes.batch // 2, n, side, side, device=device, dtype=dtype)
            layer = nn.Conv2d(n, n, 3, padding=1, device=device, dtype=dtype).to(memory_format=torch.channels_last)
            seconds = seconds_of(partial(layer, x.contiguous(memory_format=torch.channels_last)), 10)
            found[f"convolution_{name}"] = 2 * len(x) * side**2 * n**2 * 9 / seconds / 1e12
    return {name: round(value, 3) for name, value in found.items()}


def training_speed(
    settings: DiffusionSettings, compute: ComputeSettings, classes: int, steps: int, graphs: bool = False
) -> dict[str, Any]:
    """Return rate, parts and peak memory of whole training steps: loss, gradient, clipping, optimizer, average."""
    device = choose_device(compute)
    clear()
    generator = Generator(settings.model, classes)
    network = generator.denoiser.to(device)
    inner, average = cast(StemUNet, network.network), MovingAverage(network, settings.ema)
    images = torch.rand((settings.batch_size, 3, SIDE, SIDE), device=device)
    masks = torch.randint(0, classes, (settings.batch_size, SIDE, SIDE), device=device)
    if settings.gradient_checkpointing:
        inner.unet.enable_gradient_checkpointing()
    if settings.compile:
        inner.compile()
    if graphs:
        shape, half = (settings.batch_size, generator.channels, SIDE, SIDE), compute.precision == "bf16"
        with torch.autocast(device.type, torch.bfloat16, enabled=half, cache_enabled=False):
            sample = torch.rand(shape, device=device), torch.rand((settings.batch_size, 2), device=device)
            network.network = cast(nn.Module, torch.cuda.make_graphed_callables(inner, sample))
    optimizer, step_loss = optimizer_for(network, settings), denoising_step(generator, settings, device, compute)

    def gradient() -> None:
        for loss, _ in step_loss(images, masks, 0):
            loss.backward()

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        gradient()
        nn.utils.clip_grad_norm_(network.parameters(), settings.clip)
        optimizer.step()
        average.update_parameters(network)

    began = time.perf_counter()
    step()
    wait()
    first, seconds = time.perf_counter() - began, seconds_of(step, steps)
    found = {
        "images_per_second": round(settings.batch_size / seconds, 1),
        "peak_gib": peak_gib(),
        "first_step_seconds": round(first, 1),
        "step_ms": round(seconds * 1000, 1),
        "gradient_ms": round(seconds_of(gradient, 4) * 1000, 1),
        "optimizer_ms": round(seconds_of(optimizer.step, 4) * 1000, 1),
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
    }
    if graphs or settings.compile or settings.gradient_checkpointing:
        return found
    # What is computed once for a step; other variants compute the same by other kernels, or a part of it twice.
    with FlopCounterMode(display=False) as counter:
        gradient()
    return {**found, "tflops": round(counter.get_total_flops() / seconds / 1e12, 4)}


def drawing_speed(settings: DiffusionSettings, compute: ComputeSettings, classes: int, batch: int) -> dict[str, Any]:
    """Return the rate of drawing, from five steps."""
    device = choose_device(compute)
    clear()
    generator = Generator(settings.model, classes)
    generator.denoiser.to(device).eval()
    few = settings.drawing.model_copy(update={"steps": 5})
    drawer = JointDrawer(generator, SIDE, few, device, compute)
    seconds = seconds_of(lambda: drawer.draw(range(batch), Request(0)), 2) / 5 * settings.drawing.steps
    return {"pairs_per_second": round(batch / seconds, 2), "peak_gib": peak_gib(), "batch": batch}


def loader_speed(data: Packed, workers: int, sizes: Sizes) -> dict[str, Any]:
    """Return how many augmented pairs a loader gives, its start left out."""
    size = sizes.batch // 2
    number = size * (200 if workers else 20)
    loader = iter(batches(PairStream([data.tiles("train")], 0), 0, number, size, workers, torch.cuda.is_available()))
    for _ in range(10):
        next(loader)
    began = time.perf_counter()
    left = sum(len(images) for images, _ in loader)
    return {"images_per_second": round(left / (time.perf_counter() - began))}


class _Stop(Silence):
    """Stops a training at a step, if there is one to stop at."""

    def __init__(self, at: int | None) -> None:
        self._at = at

    def metrics(self, step: int, values: Any) -> None:
        """Stop it."""
        if self._at is not None and step >= self._at:
            raise InterruptedError


def continued_equals_whole(data: Packed, settings: DiffusionSettings, compute: ComputeSettings) -> dict[str, Any]:
    """Return whether a training that was stopped in the middle ends with the bytes of one that was not.

    Args:
        data: The tiles.
        settings: The training; 40 steps of it are done.
        compute: Where.
    """
    changes = {"images": 40 * settings.batch_size, "looks": 1}
    settings = settings.model_copy(update=changes)
    often = compute.model_copy(update={"checkpoint_seconds": 0.01})
    origin = {"family": "diffusion", "classes": data.index["classes"], "tile_size": SIDE, "scenes": []}
    found = {}
    for way, stops in (("whole", (None,)), ("stopped", (20, None))):
        step = Step("continued", VERSION, {}, {"way": way, **settings.model_dump(mode="json")})
        for stop in stops:
            with work_folder(data.work, step) as folder:
                if not folder.finished:
                    try:
                        train_denoiser(
                            folder, data.tiles("train"), data.tiles("val"), origin, settings, often, _Stop(stop)
                        )
                    except InterruptedError:
                        kept = sorted(file.name for file in folder.path.glob("checkpoint*"))
                        assert kept, "the training was stopped before its first checkpoint"
                        continue
                found[way] = folder.manifest()["files"]
    return {"continued_equals_whole": found["whole"] == found["stopped"]}


def speed(data: Packed, to: Path, sizes: Sizes, minutes: float) -> None:
    """Print and keep a line of JSON for each measurement; none begins after a number of minutes."""
    lines: list[dict[str, Any]] = []
    classes, end = len(data.class_names), time.monotonic() + minutes * 60
    peak: dict[str, float] = {}

    def tell(line: dict[str, Any], measure: Callable[..., dict[str, Any]], *arguments: Any) -> dict[str, Any]:
        if time.monotonic() > end:
            lines.append(line | {"left_out": "no time left"})
        else:
            try:
                lines.append(line | measure(*arguments))
            except (RuntimeError, AssertionError) as error:
                # Among them memory that does not suffice, and what this card or this PyTorch cannot do.
                lines.append(line | {"error": str(error)[:200]})
        if "tflops" in lines[-1]:
            share = lines[-1]["tflops"] / peak[f"convolution_{line['precision']}"]
            lines[-1]["share_of_convolutions"] = round(share, 3)
        print(json.dumps(lines[-1]), flush=True)
        (to / "speed.json").write_text(json.dumps(lines, indent=1))
        return lines[-1]

    card = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    peak |= tell({"device": card, "torch": torch.__version__}, peaks, sizes)
    for conf in ("gpu", "paper", "base"):
        diffusion, compute = configuration(conf, sizes.changes)
        settings, half = DiffusionSettings(**diffusion), ComputeSettings(**compute | {"precision": LOW})
        full, line = half.model_copy(update={"precision": "fp32"}), {"conf": conf, "what": "training"}
        steps, of = sizes.steps, {"precision": LOW}
        tell(line | of, training_speed, settings, half, classes, steps)
        with channels_last():
            tell(line | of | {"layout": "channels_last"}, training_speed, settings, half, classes, steps)
        with free_kernels():
            tell(line | of | {"kernels": "free, fused"}, training_speed, settings, half, classes, steps)
        variants: list[dict[str, Any]] = [{"gradient_checkpointing": True}]
        variants += [{"batch_size": size} for size in (32, 128)] if conf == "gpu" and not sizes.changes else []
        for change in variants:
            changed = settings.model_copy(update=change)
            tell(line | of | change, training_speed, changed, half, classes, steps)
        for precision in ("tf32", "fp32"):
            with tf32(precision == "tf32"):
                tell(line | {"precision": precision}, training_speed, settings, full, classes, steps)
        tell({"conf": conf, "what": "drawing", "precision": LOW}, drawing_speed, settings, half, classes, sizes.batch)
        if conf == "gpu":
            tell({"conf": conf}, continued_equals_whole, data, settings, half)
    for workers in (0, 8 if torch.cuda.is_available() else 1):
        tell({"what": "loader", "workers": workers}, loader_speed, data, workers, sizes)
    # What takes longest to start comes last.
    for conf in ("gpu", "base", "paper"):
        diffusion, compute = configuration(conf, sizes.changes)
        settings, half = DiffusionSettings(**diffusion), ComputeSettings(**compute | {"precision": LOW})
        line = {"conf": conf, "what": "training", "precision": LOW}
        tell(line | {"graphs": True}, training_speed, settings, half, classes, sizes.steps, True)
        if torch.cuda.is_available():
            compiled = settings.model_copy(update={"compile": True})
            tell(line | {"compile": True}, training_speed, compiled, half, classes, sizes.steps)
