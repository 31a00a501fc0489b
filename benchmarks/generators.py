"""satsynth's generator beside the paper's own model and denoising-diffusion-pytorch, on one machine and the same tiles.

    pip install -e ".[benchmark]"
    python benchmarks/generators.py --raw <folder of the Dubai scenes>

Speed: seconds a training image from 5 steps of each, seconds a pair from 20 denoising steps of each (for 1000 steps
extrapolated), floating point operations, and their share of the best rate that convolutions alone reach here.
Quality: each trained for the same wall-clock, turned into a number of images by a rate measured before it starts, in
the largest width that sees 3,000 images; all drawn in as many steps as satsynth takes; measured as in `measures.py`.

All is kept: the same command goes on where it was interrupted. Results: `data/08_reporting/generators/`.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import pandas as pd
import torch
from measures import PROJECT, Measures, parameters, tiles_of
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from satsynth.analysis.report.gallery import contact_sheet
from satsynth.diffusion.drawing import JointDrawer
from satsynth.diffusion.generator import Generator
from satsynth.diffusion.settings import DiffusionDrawing, DiffusionSettings, GeneratorSettings
from satsynth.diffusion.training import denoising_step, optimizer_for
from satsynth.generation.families import Request
from satsynth.pairs.cache import DecodedPairs
from satsynth.pairs.store import PairStore
from satsynth.pairs.stream import PairStream, to_image
from satsynth.training.device import choose_device
from satsynth.training.ema import MovingAverage
from satsynth.training.loop import Training, train, warm_cosine
from satsynth.training.seeds import mixed_seed
from satsynth.training.settings import ComputeSettings
from satsynth.work.ancestry import digests
from satsynth.work.files import atomic, read_json, write_json
from satsynth.work.folder import Step, WorkFolder
from satsynth.work.remembered import remembered

VERSION = 2
WEIGHTS = "averaged.pt"
OUTPUT = PROJECT / "data" / "08_reporting" / "generators"
SIDE = 128
PUBLIC_WIDTHS = (128, 128, 256, 256, 512, 512)
FEWEST_IMAGES = 3000
STEPS = int(parameters().diffusion.drawing.steps)


@dataclass
class Rival:
    """A generator under test.

    Args:
        name: Its name.
        network: What is trained.
        step_loss: As in `Training`.
        optimizer: Makes its optimizer.
        rate: Its learning rate.
        batch: Pairs a step, at least 8.
        evaluate: Evaluates the network once on a batch of noise, as a step of sampling does.
        draw: Draws pairs ``(images, masks)`` of some numbers from the averaged network.
        paper_steps: Denoising steps in its own way of sampling.
        settings: What identifies its training.
        sampling: What identifies its drawing.
        training_seconds: What its training took.
    """

    name: str
    network: nn.Module
    step_loss: Callable[[torch.Tensor, torch.Tensor, int], Any]
    optimizer: Callable[[nn.Module], torch.optim.Optimizer]
    rate: float
    batch: int
    evaluate: Callable[[torch.Tensor], torch.Tensor]
    draw: Callable[[nn.Module, range], tuple[np.ndarray, np.ndarray]]
    paper_steps: int
    settings: dict[str, Any]
    sampling: dict[str, Any]
    training_seconds: float = 0.0


def ours(classes: int, device: torch.device, compute: ComputeSettings) -> Rival:
    """Return satsynth's default, drawn from noise level 80 as is advised after more than 10,000 images."""
    settings = DiffusionSettings(**parameters().diffusion)
    drawing = settings.drawing.model_copy(update={"sigma_max": 80.0})
    return _joint("satsynth", settings, drawing, classes, device, compute, drawing.steps)


def paper(classes: int, device: torch.device, compute: ComputeSettings, part: int = 1) -> Rival:
    """Return the paper's model at the size of the nearest public code, its widths divided by ``part``."""
    widths = tuple(width // part for width in PUBLIC_WIDTHS)
    model = {
        "network": {"stem": 1, "widths": widths, "layers": 2, "patch_kernel": 3, "head": 0},
        "label_code": "bits",
        "label_scale": 1.0,
        "preconditioning": "ddpm_epsilon",
    }
    settings = DiffusionSettings(
        model=model,
        noise={"kind": "ddpm"},
        images=1,
        batch_size=8,
        optimizer="adamw",
        learning_rate=1e-4,
        weight_decay=0.0,
        ema=0.999,
    )
    name = "DDPM, public size" if part == 1 else f"DDPM, widths / {part}"
    drawing = DiffusionDrawing(sampler="euler", schedule="ddpm", steps=STEPS, clip=True)
    return _joint(name, settings, drawing, classes, device, compute, 1000)


def _joint(
    name: str,
    settings: DiffusionSettings,
    drawing: DiffusionDrawing,
    classes: int,
    device: torch.device,
    compute: ComputeSettings,
    paper_steps: int,
) -> Rival:
    torch.manual_seed(0)
    generator = Generator(settings.model, classes)
    network = generator.denoiser.to(device).to(memory_format=torch.channels_last)

    def draw(module: nn.Module, numbers: range) -> tuple[np.ndarray, np.ndarray]:
        drawer = JointDrawer(generator.with_denoiser(module), SIDE, drawing, device, compute)
        return drawer.draw(numbers, Request(0))

    return Rival(
        name,
        network,
        denoising_step(generator, settings, device, compute),
        lambda module: optimizer_for(module, settings),
        settings.learning_rate,
        settings.batch_size,
        lambda noise: network(noise, torch.ones(len(noise), device=device)),
        draw,
        paper_steps,
        {"name": name, **settings.model_dump(mode="json", exclude={"images", "drawing"})},
        drawing.model_dump(mode="json"),
    )


def library(classes: int, device: torch.device, width: int = 64) -> Rival:
    """Return denoising-diffusion-pytorch's U-Net and diffusion with its own defaults, on pairs joined as ours are.

    A narrower one narrows attention too (32 channels a head at width 64): else attention alone takes most of its time.
    """
    from denoising_diffusion_pytorch import GaussianDiffusion, Unet

    torch.manual_seed(0)
    joiner = Generator(GeneratorSettings(label_code="bits", label_scale=1.0), classes)
    network = GaussianDiffusion(
        Unet(dim=width, dim_mults=(1, 2, 4, 8), channels=joiner.channels, attn_dim_head=width // 2),
        image_size=SIDE,
        sampling_timesteps=STEPS,
    ).to(device)

    def step_loss(images: torch.Tensor, masks: torch.Tensor, seen: int) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        torch.manual_seed(mixed_seed(0, seen))
        # It takes values in [0, 1].
        return network((joiner.join(images, masks) + 1) / 2), {}

    @torch.inference_mode()
    def drawn(module: nn.Module, numbers: range) -> tuple[np.ndarray, np.ndarray]:
        torch.manual_seed(mixed_seed(1, numbers.start))
        joint = module.sample(batch_size=len(numbers)) * 2 - 1
        images, masks = joiner.split(joint)
        return to_image(images), masks.to(torch.uint8).cpu().numpy()

    name = f"denoising-diffusion-pytorch, dim {width}"
    return Rival(
        name,
        network,
        step_loss,
        lambda module: torch.optim.Adam(module.parameters(), 1e-4, betas=(0.9, 0.99)),
        1e-4,
        8,
        lambda noise: network.model(noise, torch.ones(len(noise), device=device)),
        drawn,
        1000,
        {"name": name},
        {"steps": STEPS},
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


def image_seconds(rival: Rival, pairs: DecodedPairs, device: torch.device, steps: int = 5, warm: int = 1) -> float:
    """Return seconds a training image, from some whole optimizer steps after ``warm`` that do not count."""
    stream = PairStream([pairs], 0)
    optimizer = rival.optimizer(rival.network)

    def step(i: int) -> None:
        batch = [stream[i * rival.batch + j] for j in range(rival.batch)]
        images, masks = (torch.stack(part).to(device) for part in zip(*batch, strict=True))
        loss = rival.step_loss(images.contiguous(memory_format=torch.channels_last), masks, i * rival.batch)[0]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    for i in range(warm):
        step(i)
    return _timed(lambda: [step(i) for i in range(warm, warm + steps)], device) / steps / rival.batch


def speed(rival: Rival, pairs: DecodedPairs, device: torch.device, peak: float) -> dict[str, float]:
    """Return how fast a rival trains and draws."""
    channels = rival_channels(rival, pairs)
    noise = torch.randn(1, channels, SIDE, SIDE, device=device).contiguous(memory_format=torch.channels_last)
    with FlopCounterMode(display=False) as counter:
        rival.evaluate(noise)
    operations = counter.get_total_flops() / 1e9
    trained = image_seconds(rival, pairs, device)
    noise = noise.expand(rival.batch, -1, -1, -1).contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        rival.evaluate(noise)
        seconds = _timed(lambda: [rival.evaluate(noise) for _ in range(20)], device) / 20 / rival.batch
    return {
        "parameters": sum(p.numel() for p in rival.network.parameters()),
        "gflop_forward": operations,
        "seconds_an_image": trained,
        "seconds_a_pair": seconds * rival.paper_steps,
        "steps_a_pair": rival.paper_steps,
        "share_of_peak": 3 * operations / trained / peak,
    }


def rival_channels(rival: Rival, pairs: DecodedPairs) -> int:
    """Return the channels of a joint pair."""
    first = next(p for p in rival.network.parameters() if p.ndim == 4)
    stem = getattr(getattr(rival.network, "network", None), "stem", 1)
    return first.shape[1] // stem**2


def widest(
    make: Callable[[int], Rival], sizes: list[int], pairs: DecodedPairs, device: torch.device, budget: float
) -> dict[str, int]:
    """Return the first of the sizes, from the largest down, that sees enough images in the budget, and how many."""
    for size in sizes:
        rival = make(size)
        # A first step that would take the whole budget tells enough.
        if image_seconds(rival, pairs, device, steps=1, warm=0) * FEWEST_IMAGES > 3 * budget:
            continue
        seconds = image_seconds(rival, pairs, device)
        if budget / seconds >= FEWEST_IMAGES:
            return {"size": size, "images": int(budget / seconds)}
    raise SystemExit(f"None of the sizes {sizes} sees {FEWEST_IMAGES} images in {budget:.0f} s; give more --minutes.")


def trained_rival(
    rival: Rival, images: int, pairs: DecodedPairs, tiles: PairStore, measures: Measures, compute: ComputeSettings
) -> nn.Module:
    """Train a rival, or find it trained, and return its averaged network."""
    device = choose_device(compute)
    average = MovingAverage(rival.network, 0.999)
    optimizer = rival.optimizer(rival.network)
    steps = images // rival.batch

    def after_step(done: int) -> dict[str, float]:
        average.update_parameters(rival.network)
        return {}

    def work(folder: WorkFolder) -> None:
        training = Training(
            title=rival.name,
            network=rival.network,
            optimizer=optimizer,
            step_loss=rival.step_loss,
            steps=steps,
            batch_size=rival.batch,
            rate_at=warm_cosine(rival.rate, steps, min(100, steps // 10)),
            clip=1.0,
            parts={"network": rival.network, "optimizer": optimizer, "average": average},
            after_step=after_step,
        )
        seconds = train(
            training, PairStream([pairs], 0), folder.path / "checkpoint.pt", device, compute, lambda *_: None
        )
        with atomic(folder.result / WEIGHTS) as temporary:
            torch.save(average.module.state_dict(), temporary)
        folder.finish({"kind": "benchmark", "seconds": seconds}, [WEIGHTS])

    step = Step("benchmark_training", VERSION, digests(tiles=tiles), {**rival.settings, "images": images})
    done = remembered(measures.run, step, work)
    average.module.load_state_dict(torch.load(done.result / WEIGHTS, weights_only=True))
    rival.training_seconds = done.manifest["seconds"]
    return average.module.eval()


def quality(
    rival: Rival,
    images: int,
    pairs: DecodedPairs,
    tiles: PairStore,
    measures: Measures,
    compute: ComputeSettings,
    number: int,
) -> dict[str, Any]:
    """Train, draw and measure a rival."""
    averaged = trained_rival(rival, images, pairs, tiles, measures, compute)

    def work(folder: WorkFolder) -> None:
        parts = []
        for first in range(0, number, 32):
            file = folder.path / f"drawn-{first:05d}.npz"
            if not file.exists():
                drawn = rival.draw(averaged, range(first, min(first + 32, number)))
                with atomic(file) as temporary, temporary.open("wb") as stream:
                    np.savez(stream, images=drawn[0], masks=drawn[1])
            with np.load(file) as saved:
                parts.append((saved["images"], saved["masks"]))
        drawn_images, masks = (np.concatenate(part) for part in zip(*parts, strict=True))
        sheet = contact_sheet(list(zip(drawn_images[:32], masks[:32], strict=True)), tiles.colors, 4)
        OUTPUT.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(
            str(OUTPUT / f"{rival.name.replace(', ', '-').replace(' / ', '-').replace(' ', '-')}.png"), sheet[..., ::-1]
        )
        line = {
            "name": rival.name,
            "images": images,
            "training_seconds": rival.training_seconds,
            **measures.of(drawn_images, masks, range(2)),
        }
        folder.finish({"kind": "benchmark", "line": line})

    settings = {**rival.settings, "images": images, "number": number, "sampling": rival.sampling}
    folder = remembered(measures.run, Step("benchmark_generator", VERSION, digests(tiles=tiles), settings), work)
    return dict(folder.manifest()["line"])


def main() -> None:
    """Measure speed, then quality, and print both tables."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--dataset", default="dubai")
    arguments.add_argument("--raw", help="folder of the raw data, where it is not the description's own")
    arguments.add_argument("--minutes", type=float, default=20, help="training of each")
    arguments.add_argument("--pairs", type=int, default=256, help="pairs drawn from each")
    arguments.add_argument("--speed-only", action="store_true")
    given = arguments.parse_args()
    tiles = tiles_of(given.dataset, given.raw)
    compute = ComputeSettings(**parameters().compute)
    device = choose_device(compute)
    classes = len(tiles.class_names)
    measures = Measures(tiles, compute)
    pairs = measures.train
    OUTPUT.mkdir(parents=True, exist_ok=True)

    makers: dict[str, tuple[Callable[[int], Rival], list[int]]] = {
        "satsynth": (lambda size: ours(classes, device, compute), [1]),
        "DDPM": (lambda size: paper(classes, device, compute, size), [1, 2, 4, 8, 16]),
        "denoising-diffusion-pytorch": (lambda size: library(classes, device, size), [64, 48, 32, 24, 16, 8]),
    }
    # Each is measured once and kept at once: a continued run must not change its budgets, nor begin again.
    plan = OUTPUT / f"plan-{given.dataset}-{given.minutes:g}.json"
    known: dict[str, Any] = read_json(plan) if plan.exists() else {"speed": {}, "budgets": {}}
    if "peak_gflops" not in known:
        known |= {"peak_gflops": convolution_peak(device), "threads": torch.get_num_threads()}
        write_json(plan, known)
    for make, sizes in makers.values():
        rival = make(sizes[0])
        if rival.name not in known["speed"]:
            known["speed"][rival.name] = speed(rival, pairs, device, known["peak_gflops"])
            write_json(plan, known)
    print_speed(known)
    if given.speed_only:
        return
    for name, (make, sizes) in makers.items():
        if name not in known["budgets"]:
            known["budgets"][name] = widest(make, sizes, pairs, device, given.minutes * 60)
            write_json(plan, known)
    lines = []
    for name, (make, _) in makers.items():
        budget = known["budgets"][name]
        rival = make(budget["size"])
        lines.append(quality(rival, budget["images"], pairs, tiles, measures, compute, given.pairs))
        print(json.dumps(lines[-1], indent=1), flush=True)
    result = {"plan": known, "yardsticks": measures.yardsticks(), "lines": lines}
    write_json(OUTPUT / f"result-{given.dataset}.json", result)
    print_quality(result)


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


def print_quality(result: dict[str, Any]) -> None:
    """Print the table of quality."""
    real = result["yardsticks"]
    distance = real["kernel_distance"]
    known = [
        *result["lines"],
        {
            "name": "real pairs",
            "kernel_distance": distance["train_halves"],
            "masks": real["masks"]["train"],
            **real["real_only"],
        },
    ]
    rows = [
        {
            "generator": row["name"],
            "images seen": row.get("images", ""),
            "kernel distance": f"{row['kernel_distance']:.4f}",
            "mIoU, synthetic only": f"{row['miou']:.3f}",
            "isolated": f"{row['masks']['isolated']:.2%}",
            "small regions": f"{row['masks']['small']:.2%}",
            "regions a tile": f"{row['masks']['regions']:.1f}",
        }
        for row in known
    ]
    print(pd.DataFrame(rows).to_string(index=False))
    print(f"Real pairs: distance between scene-disjoint halves of train; test lies {distance['test']:.4f} from train.")


if __name__ == "__main__":
    main()
