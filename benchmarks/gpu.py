"""What a CUDA GPU gives: speed and memory, a generator trained at size, how real its pairs are and what they are worth.

    python benchmarks/gpu.py day   --data <packed> --to <folder> --train 8m    # speed, train and draw: 20 minutes
    python benchmarks/gpu.py speed --data <packed> --to <folder>               # 8 minutes at most
    python benchmarks/gpu.py train --data <packed> --to <folder> --train 200000
    python benchmarks/gpu.py draw  --data <packed> --to <folder> --pairs 1005
    python benchmarks/gpu.py worth --data <packed> --to <folder> --seeds 5

It needs only packages of satsynth that know neither Kedro nor MLflow, and data packed by `benchmarks/packed.py`.
`train` and `worth` continue where they were stopped. Lines of JSON and tables go to standard output and to files
beside; docs/gpu.md and docs/experiments.md were written from them. `--tiny` makes everything small enough for a CPU, to
see that it works before a GPU is at hand.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import torch
from gpu_speed import FULL, TINY, VERSION, configuration, merged, speed
from packed import SIDE, Packed, decoded_of, encoder_file, keep_decoded
from safetensors.torch import load_file, save_file

from satsynth.diffusion.drawing import JointDrawer
from satsynth.diffusion.family import FAMILY
from satsynth.diffusion.saved import AVERAGED
from satsynth.diffusion.settings import DiffusionSettings
from satsynth.diffusion.training import seconds_an_image, train_denoiser
from satsynth.generation.drawers import Request
from satsynth.generation.families import Silence
from satsynth.generation.saved import SavedGenerator
from satsynth.pairs.mixtures import Shared, Stream
from satsynth.pairs.stream import PairStream, WindowStream
from satsynth.training.imagenet import ENCODER
from satsynth.training.settings import ComputeSettings
from satsynth.work.folder import Step, work_folder

# Image and mask with noise levels of their own, so that masks can be painted.
SEPARATE = {
    "model": {"noise_levels": "separate"},
    "tasks": {"joint": 0.3, "image": 0.35, "mask": 0.2, "independent": 0.15},
}
GENERATOR = "generator.json"


class Printed(Silence):
    """Prints metrics now and then."""

    def metrics(self, step: int, values: Any) -> None:
        """Print them at every 200th step and at looks."""
        if step % 200 == 0 or "val_error" in values:
            print(step, json.dumps({name: round(float(value), 5) for name, value in values.items()}), flush=True)


def train(data: Packed, conf: str, budget: str, stride: int, changes: Mapping[str, Any], to: Path) -> None:
    """Train a generator, or find it trained.

    Args:
        data: The data set.
        conf: Environment whose generator it is.
        budget: A number of images, or minutes such as `8m`, from a measurement that is kept.
        stride: Stride of the training tiles.
        changes: Changes of its settings.
        to: Where its averaged weights are left in half precision, with its manifest.
    """
    diffusion, compute = configuration(conf, merged(SEPARATE | {"looks": 4}, changes))
    settings = DiffusionSettings(**diffusion)
    images = images_in(budget, data, settings, ComputeSettings(**compute))
    settings = settings.model_copy(update={"images": images})
    origin = {"family": "diffusion", "classes": data.index["classes"], "tile_size": SIDE}
    origin["scenes"] = [scene["id"] for scene in data.index["scenes"] if scene["split"] == "train"]
    step = Step("diffusion", VERSION, {"stride": str(stride)}, settings.model_dump(mode="json"))
    with work_folder(data.work, step) as folder:
        if not folder.finished:
            pairs, val = data.tiles("train", stride), data.tiles("val")
            train_denoiser(folder, pairs, val, origin, settings, ComputeSettings(**compute), Printed())
    known = {"path": str(folder.result), "settings": settings.model_dump(mode="json"), "compute": compute}
    (data.work / GENERATOR).write_text(json.dumps(known))
    save_file({name: value.half() for name, value in load_file(folder.result / AVERAGED).items()}, to / AVERAGED)
    (to / "generator-manifest.json").write_text(json.dumps(folder.manifest(), indent=1))


def images_in(budget: str, data: Packed, settings: DiffusionSettings, compute: ComputeSettings) -> int:
    """Return a budget in images; minutes become images by a measurement that is made once and kept."""
    if not budget.endswith("m"):
        return int(budget)
    kept = data.work / f"images-in-{budget}.json"
    if not kept.exists():
        seconds = seconds_an_image(settings, len(data.class_names), SIDE, compute, 10)
        kept.write_text(json.dumps(max(1, int(float(budget[:-1]) * 60 / seconds))))
    return int(json.loads(kept.read_text()))


def draw(data: Packed, to: Path, number: int) -> None:
    """Draw pairs jointly, images for layouts cut anew, and masks first, from the generator that was trained last."""
    known = json.loads((data.work / GENERATOR).read_text())
    settings, compute = DiffusionSettings(**known["settings"]), ComputeSettings(**known["compute"])
    drawer = cast(JointDrawer, FAMILY.load(SavedGenerator(Path(known["path"])), settings, compute))
    layouts, batch = data.layouts(number), min(128, number)

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
    """Do one of the five."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("what", choices=["day", "speed", "train", "draw", "worth"])
    arguments.add_argument("--data", type=Path, required=True, help="what benchmarks/packed.py wrote")
    arguments.add_argument("--to", type=Path, required=True, help="folder for results, and for work below it")
    arguments.add_argument("--conf", default="gpu", help="environment whose generator is trained")
    arguments.add_argument("--train", default="200000", help="budget of the generator: images, or minutes such as 8m")
    arguments.add_argument("--minutes", type=float, default=8, help="no measurement of speed begins after these")
    arguments.add_argument("--stride", type=int, default=32, help="stride of the generator's training tiles")
    arguments.add_argument("--changes", type=json.loads, default={}, help="changes of `diffusion`, as JSON")
    arguments.add_argument("--pairs", type=int, help="how many are drawn; 256 in `day`, 1005 else")
    arguments.add_argument("--arms", nargs="+", default=ARMS, choices=ARMS)
    arguments.add_argument("--seeds", type=int, default=5)
    arguments.add_argument("--images", type=int, default=9_600, help="budget of the networks of `worth`")
    arguments.add_argument("--processes", type=int, default=12)
    arguments.add_argument("--tiny", action="store_true", help="everything small, for a CPU")
    given = arguments.parse_args()
    data, sizes = Packed(given.data.resolve(), given.to.resolve() / "work"), TINY if given.tiny else FULL
    data.work.mkdir(parents=True, exist_ok=True)
    if given.what in ("day", "speed"):
        speed(data, given.to, sizes, given.minutes)
    if given.what in ("day", "train"):
        train(data, given.conf, given.train, given.stride, merged(dict(sizes.changes), given.changes), given.to)
    if given.what in ("day", "draw"):
        draw(data, given.to, given.pairs or (256 if given.what == "day" else 1005))
    if given.what == "worth":
        worth(data, given.to, given.arms, given.seeds, given.images, given.processes)


if __name__ == "__main__":
    main()
