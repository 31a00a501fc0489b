"""What a CUDA GPU gives: speed and memory, a generator trained at size, how real its pairs are and what they are worth.

    python benchmarks/gpu.py speed --data <packed> --to <folder>                     # about 3 minutes on an H100
    python benchmarks/gpu.py train --data <packed> --to <folder> --images 200000     # continues when it is typed again
    python benchmarks/gpu.py draw  --data <packed> --to <folder> --pairs 1005
    python benchmarks/gpu.py worth --data <packed> --to <folder> --seeds 5

It needs the numerical rooms of satsynth alone, neither Kedro nor MLflow, and data packed by `benchmarks/packed.py`.
Lines of JSON and tables go to standard output and to files beside; docs/gpu.md and docs/experiments.md were written
from them.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import torch
import yaml
from packed import SIDE, Packed, decoded_of, encoder_file, keep_decoded
from torch import nn
from torch.utils.data import Dataset

from satsynth.analysis.imagenet import ENCODER
from satsynth.diffusion.drawing import JointDrawer
from satsynth.diffusion.family import FAMILY
from satsynth.diffusion.generator import Generator
from satsynth.diffusion.network import StemUNet
from satsynth.diffusion.settings import DiffusionSettings
from satsynth.diffusion.training import denoising_step, optimizer_for, train_denoiser
from satsynth.generation.families import Request, Silence
from satsynth.generation.saved import SavedGenerator
from satsynth.pairs.mixtures import Shared, Stream
from satsynth.pairs.stream import PairStream, batches, to_tensors
from satsynth.pairs.windows import Windows
from satsynth.training.device import choose_device
from satsynth.training.ema import MovingAverage
from satsynth.training.settings import ComputeSettings
from satsynth.work.folder import Step, work_folder

CONF = Path(__file__).resolve().parents[1] / "conf"
# Image and mask with noise levels of their own, so that masks can be painted.
SEPARATE = {
    "model": {"noise_levels": "separate"},
    "tasks": {"joint": 0.3, "image": 0.35, "mask": 0.2, "independent": 0.15},
}
VERSION = 1
GENERATOR = "generator.json"


def configuration(name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the groups `diffusion` and `compute` of an environment; Kedro, which else reads them, is not needed."""
    shared = yaml.safe_load((CONF / "base" / "globals.yml").read_text())
    files = ["base/parameters.yml", "base/parameters_diffusion.yml"]
    files += [f"{name}/parameters.yml"] if name != "base" else []
    merged: dict[str, Any] = {}
    for content in (yaml.safe_load((CONF / file).read_text()) for file in files):
        for key in ("diffusion", "compute"):
            merged[key] = _merged(merged.get(key, {}), _resolved(content.get(key, {}), shared))
    if not torch.cuda.is_available():
        merged["compute"] |= {"device": "cpu", "precision": "fp32", "loader_workers": 0}
    return merged["diffusion"], merged["compute"]


def _resolved(value: Any, shared: Any) -> Any:
    match = re.fullmatch(r"\$\{globals:([\w.]+)\}", value) if isinstance(value, str) else None
    if match is None:
        return value
    for part in match[1].split("."):
        shared = shared[part]
    return shared


def _merged(old: Any, new: Any) -> Any:
    both = isinstance(old, dict) and isinstance(new, dict)
    return old | {key: _merged(old.get(key), value) for key, value in new.items()} if both else new


@contextmanager
def tf32(on: bool) -> Iterator[None]:
    """Let float32 products be computed in TF32, or not."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = on
    yield
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False


def seconds_of(run: Callable[[], Any], times: int) -> float:
    """Return the mean time of some runs, after three that are not timed."""
    for _ in range(3):
        run()
    torch.cuda.synchronize()
    began = time.perf_counter()
    for _ in range(times):
        run()
    torch.cuda.synchronize()
    return (time.perf_counter() - began) / times


def peaks() -> dict[str, float]:
    """Return the TFLOP/s of square matrix products and of 3 x 3 convolutions of 256 channels."""
    found = {}
    for name, dtype in (("fp32", torch.float32), ("tf32", torch.float32), ("bf16", torch.bfloat16)):
        with tf32(name == "tf32"), torch.no_grad():
            a, b = (torch.randn(8192, 8192, device="cuda", dtype=dtype) for _ in range(2))
            found[f"matrix_{name}"] = 2 * 8192**3 / seconds_of(partial(torch.matmul, a, b), 10) / 1e12
            x = torch.randn(64, 256, 64, 64, device="cuda", dtype=dtype).contiguous(memory_format=torch.channels_last)
            layer = nn.Conv2d(256, 256, 3, padding=1, device="cuda", dtype=dtype).to(memory_format=torch.channels_last)
            seconds = seconds_of(partial(layer, x), 10)
            found[f"convolution_{name}"] = 2 * 64**3 * 256**2 * 9 / seconds / 1e12
    return {name: round(value, 1) for name, value in found.items()}


def training_speed(settings: DiffusionSettings, compute: ComputeSettings, classes: int, steps: int) -> dict[str, Any]:
    """Return rate, parts and peak memory of whole training steps: loss, gradient, clipping, optimizer, average."""
    device = choose_device(compute)
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    generator = Generator(settings.model, classes)
    network = generator.denoiser.to(device)
    inner, average = cast(StemUNet, network.network), MovingAverage(network, settings.ema)
    if settings.gradient_checkpointing:
        inner.unet.enable_gradient_checkpointing()
    if settings.compile:
        inner.compile()
    optimizer, step_loss = optimizer_for(network, settings), denoising_step(generator, settings, device, compute)
    images = torch.rand((settings.batch_size, 3, SIDE, SIDE), device=device)
    masks = torch.randint(0, classes, (settings.batch_size, SIDE, SIDE), device=device)

    def gradient() -> None:
        step_loss(images, masks, 0)[0].backward()

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        gradient()
        nn.utils.clip_grad_norm_(network.parameters(), settings.clip)
        optimizer.step()
        average.update_parameters(network)

    began = time.perf_counter()
    step()
    torch.cuda.synchronize()
    first, seconds = time.perf_counter() - began, seconds_of(step, steps)
    return {
        "images_per_second": round(settings.batch_size / seconds, 1),
        "peak_gib": round(torch.cuda.max_memory_allocated() / 2**30, 2),
        "first_step_seconds": round(first, 1),
        "step_ms": round(seconds * 1000, 1),
        "gradient_ms": round(seconds_of(gradient, 4) * 1000, 1),
        "optimizer_ms": round(seconds_of(optimizer.step, 4) * 1000, 1),
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
    }


def drawing_speed(settings: DiffusionSettings, compute: ComputeSettings, classes: int, batch: int) -> dict[str, Any]:
    """Return the rate of drawing, from five steps."""
    device = choose_device(compute)
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    generator = Generator(settings.model, classes)
    generator.denoiser.to(device).eval()
    few = settings.drawing.model_copy(update={"steps": 5})
    drawer = JointDrawer(generator, SIDE, few, device, compute)
    seconds = seconds_of(lambda: drawer.draw(range(batch), Request(0)), 2) / 5 * settings.drawing.steps
    peak = torch.cuda.max_memory_allocated() / 2**30
    return {"pairs_per_second": round(batch / seconds, 2), "peak_gib": round(peak, 2), "batch": batch}


def speed(data: Packed, to: Path) -> None:
    """Print and keep a line of JSON for each measurement."""
    lines: list[dict[str, Any]] = []
    classes = len(data.class_names)

    def tell(line: dict[str, Any], measure: Callable[..., dict[str, Any]], *arguments: Any) -> None:
        try:
            lines.append(line | measure(*arguments))
        except torch.OutOfMemoryError as error:
            lines.append(line | {"error": str(error)[:200]})
        print(json.dumps(lines[-1]), flush=True)
        (to / "speed.json").write_text(json.dumps(lines, indent=1))

    tell({"device": torch.cuda.get_device_name(), "torch": torch.__version__}, peaks)
    for conf in ("gpu", "paper", "base"):
        diffusion, compute = configuration(conf)
        settings, half = DiffusionSettings(**diffusion), ComputeSettings(**compute | {"precision": "bf16"})
        full, line = half.model_copy(update={"precision": "fp32"}), {"conf": conf, "what": "training"}
        variants: list[dict[str, Any]] = [{}, {"gradient_checkpointing": True}]
        variants += [{"batch_size": 32}, {"batch_size": 128}, {"compile": True}] if conf == "gpu" else []
        for change in variants:
            changed = settings.model_copy(update=change)
            tell(line | {"precision": "bf16"} | change, training_speed, changed, half, classes, 6)
        for precision in ("tf32", "fp32"):
            with tf32(precision == "tf32"):
                tell(line | {"precision": precision}, training_speed, settings, full, classes, 4)
        tell({"conf": conf, "what": "drawing", "precision": "bf16"}, drawing_speed, settings, half, classes, 128)
    for workers in (0, 8):
        tell({"what": "loader", "workers": workers}, loader_speed, data, workers)


def loader_speed(data: Packed, workers: int) -> dict[str, Any]:
    """Return how many augmented pairs a loader gives, its start left out."""
    number = 64 * (200 if workers else 20)
    loader = iter(batches(PairStream([data.tiles("train")], 0), 0, number, 64, workers, torch.cuda.is_available()))
    for _ in range(10):
        next(loader)
    began = time.perf_counter()
    left = sum(len(images) for images, _ in loader)
    return {"images_per_second": round(left / (time.perf_counter() - began))}


class Printed(Silence):
    """Prints metrics now and then."""

    def metrics(self, step: int, values: Any) -> None:
        """Print them at every 200th step and at looks."""
        if step % 200 == 0 or "val_error" in values:
            print(step, json.dumps({name: round(float(value), 5) for name, value in values.items()}), flush=True)


def train(data: Packed, conf: str, images: int, stride: int, changes: dict[str, Any]) -> None:
    """Train a generator, or find it trained."""
    diffusion, compute = configuration(conf)
    wanted = _merged(_merged(diffusion, {"images": images, "looks": 4} | SEPARATE), changes)
    settings = DiffusionSettings(**wanted)
    origin = {"family": "diffusion", "classes": data.index["classes"], "tile_size": SIDE}
    origin["scenes"] = [scene["id"] for scene in data.index["scenes"] if scene["split"] == "train"]
    step = Step("diffusion", VERSION, {"stride": str(stride)}, settings.model_dump(mode="json"))
    with work_folder(data.work, step) as folder:
        if not folder.finished:
            pairs, val = data.tiles("train", stride), data.tiles("val")
            train_denoiser(folder, pairs, val, origin, settings, ComputeSettings(**compute), Printed())
    known = {"path": str(folder.result), "settings": settings.model_dump(mode="json"), "compute": compute}
    (data.work / GENERATOR).write_text(json.dumps(known))


def draw(data: Packed, to: Path, number: int) -> None:
    """Draw pairs jointly, images for layouts cut anew, and masks first, from the generator that was trained last."""
    known = json.loads((data.work / GENERATOR).read_text())
    settings, compute = DiffusionSettings(**known["settings"]), ComputeSettings(**known["compute"])
    drawer = cast(JointDrawer, FAMILY.load(SavedGenerator(Path(known["path"])), settings, compute))
    layouts, batch = data.layouts(number), 128

    def some(way: str, numbers: range) -> tuple[np.ndarray, np.ndarray]:
        if way == "joint":
            return drawer.draw(numbers, Request(0))
        masks = layouts[numbers.start : numbers.stop] if way == "painted" else drawer.lay_out(numbers, 0)
        return drawer.paint(numbers, masks, 0), masks

    for way in ("painted", "joint", "model"):
        folder, began = data.work / f"drawn-{way}", time.perf_counter()
        if folder.exists():
            continue
        pairs: list[tuple[np.ndarray, np.ndarray]] = []
        for first in range(0, number, batch):
            pairs += zip(*some(way, range(first, min(first + batch, number))), strict=True)
        keep_decoded(folder, pairs)
        print(f"{way}: {number / (time.perf_counter() - began):.1f} pairs/s", flush=True)
        _sheet(data, pairs[:24], to / f"{way}.png")
    fidelity(data, to)


def _sheet(data: Packed, pairs: Sequence[tuple[np.ndarray, np.ndarray]], path: Path) -> None:
    from satsynth.analysis.report.gallery import contact_sheet

    cv2.imwrite(str(path), contact_sheet(list(pairs), data.colors, 4)[..., ::-1])


def fidelity(data: Packed, to: Path) -> None:
    """Print and keep how near drawn and held-out pairs are to training pairs."""
    from safetensors.torch import load_file

    from satsynth.analysis.imagenet import imagenet_features
    from satsynth.analysis.measures.feature_space import standardise
    from satsynth.analysis.measures.kernel_distance import bandwidth_of, kernel_distance
    from satsynth.analysis.measures.mask_statistics import mask_statistics
    from satsynth.analysis.measures.spectrum_distance import radial_spectrum, spectrum_distance
    from satsynth.analysis.measures.two_sample_accuracy import two_sample_accuracy

    real = data.tiles("train")
    sets = {split: data.tiles(split) for split in ("val", "test")}
    sets |= {f"drawn, {way}": decoded_of(data.work / f"drawn-{way}") for way in ("joint", "model", "painted")}
    state, compute = load_file(encoder_file(data.folder, data.work)), ComputeSettings()
    reference, spectrum = imagenet_features(real.images, state, compute), radial_spectrum(np.asarray(real.images))
    found: dict[str, Any] = {"train": {"masks": mask_statistics(np.asarray(real.masks), data.class_names)}}
    for name, pairs in sets.items():
        images = np.asarray(pairs.images[: len(real)])
        features = imagenet_features(images, state, compute)
        a, b = standardise(reference, features)
        found[name] = {
            "kernel_distance": kernel_distance(a, b, bandwidth_of(a)),
            "two_sample_accuracy": two_sample_accuracy(reference, features),
            "spectrum_distance": spectrum_distance(spectrum, radial_spectrum(images)),
            "masks": mask_statistics(np.asarray(pairs.masks), data.class_names),
        }
    for name, row in found.items():
        print(name, json.dumps(row), flush=True)
    (to / "fidelity.json").write_text(json.dumps(found, indent=1))


class WindowStream(Dataset[Any]):
    """Real windows at any place, angle and zoom.

    Args:
        windows: The windows.
        seed: Pair i depends on it and on i alone.
    """

    def __init__(self, windows: Windows, seed: int) -> None:
        """Keep both."""
        self._windows, self._seed = windows, seed

    def __getitem__(self, position: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return image and mask at a position, as `PairStream` does."""
        image, mask = self._windows.cut(np.random.default_rng([self._seed, position]))
        assert image is not None
        return to_tensors(image, mask)


ARMS = ("flips", "windows", "strong", "joint", "painted", "windows and painted")


def stream_of(data: Packed, arm: str, seed: int) -> Stream:
    """Return what an arm trains on; synthetic pairs are half of each batch."""
    tiles = data.tiles("train")
    if arm == "strong":
        return PairStream([tiles], seed, "strong")
    real: Stream = WindowStream(data.windows(images=True), seed) if "windows" in arm else PairStream([tiles], seed)
    way = arm.removeprefix("windows and ")
    if way not in ("joint", "painted"):
        return real
    drawn = decoded_of(data.work / f"drawn-{way}")
    return Shared(real, PairStream([drawn.take(np.arange(min(len(drawn), len(tiles))))], seed + 1000), 0.5)


def train_network_of(folder: str, work: str, arm: str, seed: int, images: int) -> dict[str, Any]:
    """Train a network of one arm and return its row; a process of its own."""
    from satsynth.segmentation.evaluation import HeldOut, HeldOutSplits
    from satsynth.segmentation.saved import training_row
    from satsynth.segmentation.settings import SegmentationNetwork, TrainingSettings
    from satsynth.segmentation.training import TrainingTask, train_network

    torch.set_num_threads(1)
    data = Packed(Path(folder), Path(work))
    weights = str(encoder_file(data.folder, data.work))
    network = SegmentationNetwork(architecture="fpn", encoder=ENCODER, weights=weights)
    training = TrainingSettings(images=images, batch_size=16, learning_rate=1e-3, evaluations=4)
    columns = {"arm": arm, "seed": seed}
    drawn = (data.work / GENERATOR).read_text() if "joint" in arm or "painted" in arm else ""
    step = Step("worth", VERSION, {"drawn": drawn}, {**columns, "training": training.model_dump(mode="json")})
    with work_folder(data.work, step) as place:
        if not place.finished:
            val, test = (HeldOut(data.tiles(split), data.tile_scenes(split)) for split in ("val", "test"))
            stream = stream_of(data, arm, seed)
            task = TrainingTask(f"{arm} {seed}", network, stream, images, seed, training, columns)
            train_network(place, task, HeldOutSplits(val, test, data.class_names), ComputeSettings())
        return {**training_row(place), "confusion": place.manifest()["confusion"]}


def worth(data: Packed, to: Path, arms: Sequence[str], seeds: int, images: int, processes: int) -> None:
    """Train networks of all arms and seeds, several at a time, and print what each arm gives."""
    encoder_file(data.folder, data.work)
    for split in ("train", "val", "test"):
        data.tiles(split)
    tasks = [(str(data.folder), str(data.work), arm, seed, images) for seed in range(seeds) for arm in arms]
    rows = []
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        for result in [pool.apply_async(train_network_of, task) for task in tasks]:
            rows.append(result.get())
            (to / "worth.json").write_text(json.dumps(rows))
    _table(rows, arms)


def _table(rows: Sequence[dict[str, Any]], arms: Sequence[str]) -> None:
    """Print a row for each arm, with its difference to the first one: a 95 % interval over seeds and test scenes."""
    from satsynth.analysis.statistics.intervals import paired_interval
    from satsynth.segmentation.metrics import class_iou

    def counts(arm: str) -> np.ndarray:
        return np.array([list(row["confusion"].values()) for row in rows if row["arm"] == arm])

    for arm in arms:
        scores = np.array([row["miou"] for row in rows if row["arm"] == arm]) * 100
        line = f"{arm:20s} {scores.mean():.2f} ± {scores.std(ddof=1) / len(scores) ** 0.5:.2f}"
        if arm != arms[0]:
            found = paired_interval(counts(arms[0]), counts(arm), class_iou)
            line += f"  {found.difference * 100:+.2f} [{found.low * 100:+.2f}, {found.high * 100:+.2f}]"
        print(line)


def main() -> None:
    """Do one of the four."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("what", choices=["speed", "train", "draw", "worth"])
    arguments.add_argument("--data", type=Path, required=True, help="what benchmarks/packed.py wrote")
    arguments.add_argument("--to", type=Path, required=True, help="folder for results, and for work below it")
    arguments.add_argument("--conf", default="gpu", help="environment whose generator is trained")
    arguments.add_argument("--images", type=int, help="budget of the training; 200000 and 9600 if left out")
    arguments.add_argument("--stride", type=int, default=32, help="stride of the generator's training tiles")
    arguments.add_argument("--changes", type=json.loads, default={}, help="changes of `diffusion`, as JSON")
    arguments.add_argument("--pairs", type=int, default=1005)
    arguments.add_argument("--arms", nargs="+", default=ARMS, choices=ARMS)
    arguments.add_argument("--seeds", type=int, default=5)
    arguments.add_argument("--processes", type=int, default=12)
    given = arguments.parse_args()
    data = Packed(given.data.resolve(), given.to.resolve() / "work")
    data.work.mkdir(parents=True, exist_ok=True)
    if given.what == "speed":
        speed(data, given.to)
    elif given.what == "train":
        train(data, given.conf, given.images or 200_000, given.stride, given.changes)
    elif given.what == "draw":
        draw(data, given.to, given.pairs)
    else:
        worth(data, given.to, given.arms, given.seeds, given.images or 9_600, given.processes)


if __name__ == "__main__":
    main()
