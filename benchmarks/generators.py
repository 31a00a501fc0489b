"""Speed of satsynth's generator, the paper's own model and denoising-diffusion-pytorch, on one machine.

    pip install -e ".[benchmark]"
    python benchmarks/generators.py --raw <folder of the Dubai scenes>

Seconds a training image from 5 steps of each, seconds a pair from 20 denoising steps of each (for 1000 steps
extrapolated), floating point operations, and their share of the best rate that convolutions alone reach here. What
pairs of several families are like and worth is measured by `kedro run --pipeline=rivals`.

Each is measured once and kept in `data/08_reporting/generators/`, so an interrupted run goes on.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from measures import PROJECT, parameters, tiles_of
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from satsynth.diffusion.averaged import optimizer_for
from satsynth.diffusion.generator import Generator
from satsynth.diffusion.losses import denoising_step
from satsynth.diffusion.model_settings import GeneratorSettings
from satsynth.diffusion.settings import DiffusionSettings
from satsynth.pairs.cache import DecodedPairs, decoded
from satsynth.pairs.stream import PairStream
from satsynth.training.device import choose_device
from satsynth.training.loop import PartLoss, StepLoss
from satsynth.training.seeds import mixed_seed
from satsynth.training.settings import ComputeSettings
from satsynth.work.files import read_json, write_json
from satsynth.work.workspace import Workspace

OUTPUT = PROJECT / "data" / "08_reporting" / "generators"
SIDE = 128
PUBLIC_WIDTHS = (128, 128, 256, 256, 512, 512)


@dataclass
class Timed:
    """A generator whose speed is measured.

    Args:
        name: Its name.
        network: What is trained.
        step_loss: As in `satsynth.training.loop.Training`.
        optimizer: Makes its optimizer.
        batch: Pairs a step.
        evaluate: Evaluates the network once on a batch of noise, as a step of sampling does.
        steps: Denoising steps in its own way of sampling.
    """

    name: str
    network: nn.Module
    step_loss: StepLoss
    optimizer: Callable[[nn.Module], torch.optim.Optimizer]
    batch: int
    evaluate: Callable[[torch.Tensor], torch.Tensor]
    steps: int


def ours(classes: int, device: torch.device, compute: ComputeSettings) -> Timed:
    """Return satsynth's default."""
    settings = DiffusionSettings(**parameters().diffusion)
    return _joint("satsynth", settings, classes, device, compute, settings.drawing.steps)


def paper(classes: int, device: torch.device, compute: ComputeSettings) -> Timed:
    """Return the paper's model at the size of the nearest public code."""
    model = {
        "network": {"stem": 1, "widths": PUBLIC_WIDTHS, "layers": 2, "patch_kernel": 3, "head": 0},
        "label_code": "bits",
        "label_scale": 1.0,
        "preconditioning": "ddpm_epsilon",
    }
    settings = DiffusionSettings(
        model=model, noise={"kind": "ddpm"}, batch_size=8, optimizer="adamw", learning_rate=1e-4, weight_decay=0.0
    )
    return _joint("DDPM, public size", settings, classes, device, compute, 1000)


def _joint(
    name: str,
    settings: DiffusionSettings,
    classes: int,
    device: torch.device,
    compute: ComputeSettings,
    steps: int,
) -> Timed:
    torch.manual_seed(0)
    generator = Generator(settings.model, classes)
    network = generator.denoiser.to(device).to(memory_format=torch.channels_last)
    return Timed(
        name,
        network,
        denoising_step(generator, settings, device, compute),
        lambda module: optimizer_for(module, settings),
        settings.batch_size,
        lambda noise: network(noise, torch.ones(len(noise), device=device)),
        steps,
    )


def library(classes: int, device: torch.device, compute: ComputeSettings) -> Timed:
    """Return denoising-diffusion-pytorch's U-Net and diffusion with its own defaults, on pairs joined as ours are."""
    from denoising_diffusion_pytorch import GaussianDiffusion, Unet

    torch.manual_seed(0)
    joiner = Generator(GeneratorSettings(label_code="bits", label_scale=1.0), classes)
    unet = Unet(dim=64, dim_mults=(1, 2, 4, 8), channels=joiner.channels)
    network = GaussianDiffusion(unet, image_size=SIDE).to(device)

    def step_loss(images: torch.Tensor, masks: torch.Tensor, seen: int) -> Iterator[PartLoss]:
        torch.manual_seed(mixed_seed(0, seen))
        # It takes values in [0, 1].
        yield network((joiner.join(images, masks) + 1) / 2), {}

    return Timed(
        "denoising-diffusion-pytorch, dim 64",
        network,
        step_loss,
        lambda module: torch.optim.Adam(module.parameters(), 1e-4, betas=(0.9, 0.99)),
        8,
        lambda noise: network.model(noise, torch.ones(len(noise), device=device)),
        1000,
    )


def convolution_peak(device: torch.device) -> float:
    """Return the best rate in GFLOP/s that 3 x 3 convolutions reach, forward and backward, float32, channels_last."""
    best = 0.0
    for channels, side, batch in ((64, 64, 8), (64, 32, 16), (128, 32, 8), (128, 16, 16), (256, 32, 4), (256, 16, 16)):
        seconds = _convolution_seconds(channels, side, batch, device)
        best = max(best, 3 * 2 * batch * side**2 * channels**2 * 9 / seconds / 1e9)
    return best


def _convolution_seconds(channels: int, side: int, batch: int, device: torch.device) -> float:
    layer = nn.Conv2d(channels, channels, 3, padding=1, bias=False).to(device, memory_format=torch.channels_last)
    x = torch.randn(batch, channels, side, side, device=device).contiguous(memory_format=torch.channels_last)
    x.requires_grad_()
    return min(_timed(lambda: layer(x).sum().backward(), device) for _ in range(8))


def _timed(action: Callable[[], object], device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize()
    began = time.perf_counter()
    action()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - began


def image_seconds(model: Timed, pairs: DecodedPairs, device: torch.device, steps: int = 5, warm: int = 1) -> float:
    """Return seconds a training image, from some whole optimizer steps after ``warm`` that do not count."""
    stream = PairStream([pairs], 0)
    optimizer = model.optimizer(model.network)

    def step(i: int) -> None:
        batch = [stream[i * model.batch + j] for j in range(model.batch)]
        images, masks = (torch.stack(part).to(device) for part in zip(*batch, strict=True))
        optimizer.zero_grad()
        for loss, _ in model.step_loss(images.contiguous(memory_format=torch.channels_last), masks, i * model.batch):
            loss.backward()
        optimizer.step()

    for i in range(warm):
        step(i)
    return _timed(lambda: [step(i) for i in range(warm, warm + steps)], device) / steps / model.batch


def speed(model: Timed, pairs: DecodedPairs, device: torch.device, peak: float) -> dict[str, float]:
    """Return how fast a generator trains and draws."""
    channels = joint_channels(model)
    noise = torch.randn(1, channels, SIDE, SIDE, device=device).contiguous(memory_format=torch.channels_last)
    with FlopCounterMode(display=False) as counter:
        model.evaluate(noise)
    operations = counter.get_total_flops() / 1e9
    trained = image_seconds(model, pairs, device)
    noise = noise.expand(model.batch, -1, -1, -1).contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        model.evaluate(noise)
        seconds = _timed(lambda: [model.evaluate(noise) for _ in range(20)], device) / 20 / model.batch
    return {
        "parameters": sum(p.numel() for p in model.network.parameters()),
        "gflop_forward": operations,
        "seconds_an_image": trained,
        "seconds_a_pair": seconds * model.steps,
        "steps_a_pair": model.steps,
        "share_of_peak": 3 * operations / trained / peak,
    }


def joint_channels(model: Timed) -> int:
    """Return the channels of a joint pair."""
    first = next(p for p in model.network.parameters() if p.ndim == 4)
    stem = getattr(getattr(model.network, "network", None), "stem", 1)
    return first.shape[1] // stem**2


def main() -> None:
    """Measure speed and print the table."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--dataset", default="dubai")
    arguments.add_argument("--raw", help="folder of the raw data, where it is not the description's own")
    given = arguments.parse_args()
    tiles = tiles_of(given.dataset, given.raw)
    compute = ComputeSettings(**parameters().compute)
    device = choose_device(compute)
    classes = len(tiles.class_names)
    pairs = decoded(tiles, "train", Workspace(project=str(PROJECT)).work)
    OUTPUT.mkdir(parents=True, exist_ok=True)
    plan = OUTPUT / f"speed-{given.dataset}.json"
    known: dict[str, Any] = read_json(plan) if plan.exists() else {"speed": {}}
    if "peak_gflops" not in known:
        known |= {"peak_gflops": convolution_peak(device), "threads": torch.get_num_threads()}
        write_json(plan, known)
    for make in (ours, paper, library):
        model = make(classes, device, compute)
        if model.name not in known["speed"]:
            known["speed"][model.name] = speed(model, pairs, device, known["peak_gflops"])
            write_json(plan, known)
    print_speed(known)


def print_speed(known: dict[str, Any]) -> None:
    """Print the table of speeds, as ratios to the public size too."""
    print(f"3 x 3 convolutions reach {known['peak_gflops']:.0f} GFLOP/s on {known['threads']} threads.\n")
    slow = known["speed"]["DDPM, public size"]
    rows = [
        {
            "generator": name,
            "parameters": f"{row['parameters'] / 1e6:.1f} M",
            "GFLOP forward": f"{row['gflop_forward']:.2f}",
            "s a training image": f"{row['seconds_an_image']:.4f}",
            "s a pair": f"{row['seconds_a_pair']:.2f}",
            "steps": f"{row['steps_a_pair']}" + (" (extrapolated)" if row["steps_a_pair"] == 1000 else ""),
            "share of peak": f"{row['share_of_peak']:.0%}",
            "images/s, ratio": f"{slow['seconds_an_image'] / row['seconds_an_image']:.0f}x",
            "pairs/s, ratio": f"{slow['seconds_a_pair'] / row['seconds_a_pair']:.0f}x",
        }
        for name, row in known["speed"].items()
    ]
    print(pd.DataFrame(rows).to_string(index=False), flush=True)


if __name__ == "__main__":
    main()
