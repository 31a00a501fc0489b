"""How fast a segmentation training is: satsynth's streams beside random tensors and a plain loop over PNG files.

    python benchmarks/segmentation.py --dataset dubai --raw <folder of the scenes>

The same network, optimizer, number of steps and batches of 16 each time, in turn, several times over; the table gives
medians and ratios. Streams run through satsynth's own loop; PNG files through a plain loop of torch's DataLoader and
OpenCV, without worker processes unless `--plain-workers` asks for some.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import torch
from measures import NETWORK, PROJECT, TRAINING, parameters, tiles_of
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset, RandomSampler

from satsynth.pairs.cache import DecodedPairs, decoded
from satsynth.pairs.mixtures import Stream
from satsynth.pairs.pair import encode_image, encode_mask
from satsynth.pairs.stream import PairStream
from satsynth.segmentation.networks import build_network
from satsynth.training.device import choose_device
from satsynth.training.loop import PartLoss, Training, train
from satsynth.training.settings import ComputeSettings
from satsynth.work.ignore import IGNORE_INDEX
from satsynth.work.workspace import Workspace

STEPS, PNG_PAIRS = 40, 400


class RandomTensors(Stream):
    """The same pair again and again: nothing is read, decoded or turned."""

    def __init__(self, side: int, classes: int) -> None:
        self._pair = torch.rand(3, side, side) * 2 - 1, torch.randint(0, classes, (side, side))

    def __getitem__(self, position: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return a pair."""
        return self._pair


class PngFiles(Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """A plain data set of PNG files, decoded and flipped each time."""

    def __init__(self, folder: Path, pairs: DecodedPairs) -> None:
        self._files = []
        for i in range(min(PNG_PAIRS, len(pairs))):
            image, mask = pairs[i]
            files = folder / f"{i}.png", folder / f"{i}_mask.png"
            files[0].write_bytes(encode_image(image))
            files[1].write_bytes(encode_mask(mask))
            self._files.append(files)

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self._files)

    def __getitem__(self, number: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return a pair."""
        image_file, mask_file = self._files[number]
        image = cv2.cvtColor(cv2.imread(str(image_file)), cv2.COLOR_BGR2RGB)
        mask = cv2.imread(str(mask_file), cv2.IMREAD_UNCHANGED)
        for axis in (0, 1):
            if torch.rand(()) < 0.5:
                image, mask = np.flip(image, axis), np.flip(mask, axis)
        tensor = torch.from_numpy(image.copy()).permute(2, 0, 1).float() / 127.5 - 1
        return tensor, torch.from_numpy(mask.astype(np.int64))


def plain_images_per_second(files: PngFiles, classes: int, workers: int, device: torch.device) -> float:
    """Return the rate of a plain PyTorch loop over PNG files: nothing of satsynth but the network itself."""
    torch.manual_seed(0)
    network = build_network(NETWORK, classes).to(device).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(network.parameters(), 1e-3, fused=True)
    order = RandomSampler(files, replacement=True, num_samples=STEPS * TRAINING.batch_size)
    loader = DataLoader(files, TRAINING.batch_size, sampler=order, num_workers=workers)
    began = time.monotonic()
    for images, masks in loader:
        images = images.to(device, memory_format=torch.channels_last)
        loss = F.cross_entropy(network(images), masks.to(device), ignore_index=IGNORE_INDEX)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    loss.item()  # A GPU is waited for.
    return STEPS * TRAINING.batch_size / (time.monotonic() - began)


def images_per_second(stream: Stream, classes: int, compute: ComputeSettings) -> float:
    """Return the rate of the project's own training loop over a stream."""
    device = choose_device(compute)
    torch.manual_seed(0)
    network = build_network(NETWORK, classes).to(device).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(network.parameters(), 1e-3, fused=True)

    def step_loss(images: torch.Tensor, masks: torch.Tensor, seen: int) -> Iterator[PartLoss]:
        yield F.cross_entropy(network(images), masks, ignore_index=IGNORE_INDEX), {}

    training = Training(
        title="",
        network=network,
        optimizer=optimizer,
        step_loss=step_loss,
        steps=STEPS,
        batch_size=TRAINING.batch_size,
        rate_at=lambda step: 1e-3,
        clip=5.0,
        parts={},
    )
    with tempfile.TemporaryDirectory() as folder:
        seconds = train(training, stream, Path(folder) / "checkpoint.pt", device, compute, lambda *_: None)
    return STEPS * TRAINING.batch_size / seconds


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--dataset", default="dubai")
    arguments.add_argument("--raw", help="folder of the raw data, where it is not the description's own")
    arguments.add_argument("--repeats", type=int, default=3)
    arguments.add_argument("--plain-workers", type=int, default=0, help="worker processes of the plain loop's loader")
    given = arguments.parse_args()
    tiles = tiles_of(given.dataset, given.raw)
    compute = ComputeSettings(**parameters().compute)
    classes = len(tiles.class_names)
    pairs = decoded(tiles, "train", Workspace(project=str(PROJECT)).work)
    with tempfile.TemporaryDirectory() as folder:
        streams: dict[str, Stream] = {
            "random tensors": RandomTensors(tiles.tile_size, classes),
            "satsynth, flips": PairStream([pairs], 0),
            "satsynth, strong": PairStream([pairs], 0, "strong"),
        }
        files, device = PngFiles(Path(folder), pairs), choose_device(compute)
        plain = f"PNG files, plain loop, {given.plain_workers} workers"
        measured: dict[str, Callable[[], float]] = {
            **{name: partial(images_per_second, stream, classes, compute) for name, stream in streams.items()},
            plain: partial(plain_images_per_second, files, classes, given.plain_workers, device),
        }
        measured["random tensors"]()  # Warms up.
        rates: dict[str, list[float]] = {name: [] for name in measured}
        for _ in range(given.repeats):
            for name, measure in measured.items():
                rates[name].append(measure())
    middle = {name: statistics.median(found) for name, found in rates.items()}
    rows = [
        {
            "pairs from": name,
            "images/s": f"{middle[name]:.1f}",
            "from": f"{min(found):.1f}",
            "to": f"{max(found):.1f}",
            "share of random tensors": f"{middle[name] / middle['random tensors']:.0%}",
            "times the plain loop": f"{middle[name] / middle[plain]:.2f}",
        }
        for name, found in rates.items()
    ]
    print(pd.DataFrame(rows).to_string(index=False))


if __name__ == "__main__":
    main()
