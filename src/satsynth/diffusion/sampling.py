"""Drawing synthetic pairs from a generator, shard by shard."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch

from satsynth.diffusion.generator import Generator, load_generator
from satsynth.diffusion.samplers import ddpm_levels, karras_levels, sampler_of
from satsynth.diffusion.settings import SamplingSettings
from satsynth.generation.saved import SavedGenerator
from satsynth.pairs.pair import Pair
from satsynth.pairs.regions import without_small_regions
from satsynth.pairs.store import PairStore, finish_store, write_shard
from satsynth.pairs.stream import to_image
from satsynth.training.device import autocast, choose_device, memory_errors
from satsynth.training.seeds import noise_source
from satsynth.training.settings import ComputeSettings
from satsynth.work.files import atomic, link_or_copy, read_json, write_json
from satsynth.work.finished import TIMING
from satsynth.work.folder import WorkFolder
from satsynth.work.progress import Progress

log = logging.getLogger(__name__)
RESULT_VERSION = 3
# The setting of the step that changes how many pairs there are, and none of them.
NUMBER = "pairs"


def pair_total(real: int, settings: SamplingSettings) -> int:
    """Return the number of synthetic pairs for a number of real training pairs."""
    wanted = max(1, round(real * settings.ratio))
    return min(wanted, settings.max_pairs) if settings.max_pairs else wanted


@torch.inference_mode()
def draw(
    generator: Generator,
    numbers: Sequence[int],
    side: int,
    settings: SamplingSettings,
    device: torch.device,
    compute: ComputeSettings,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw the pairs of some numbers.

    Args:
        generator: The generator, on its device.
        numbers: Pair numbers; pair i depends on (seed, i) and the kind of device alone.
        side: Side of a pair in pixels.
        settings: How to draw.
        device: Device of the generator.
        compute: How to compute.

    Returns:
        Images ``(B, H, W, 3)`` uint8 and masks ``(B, H, W)`` uint8.
    """
    if settings.schedule == "ddpm":
        sigmas = ddpm_levels(settings.steps)
    else:
        sigmas = karras_levels(settings.steps, settings.sigma_min, settings.sigma_max, settings.rho)
    source = noise_source(settings.seed, numbers, (generator.channels, side, side), device)

    def noise() -> torch.Tensor:
        return source().contiguous(memory_format=torch.channels_last)

    sample = sampler_of(settings.sampler, noise)
    with autocast(device, compute):
        joint = sample(generator.denoise(settings.clip), noise() * sigmas[0].item(), sigmas)
    images, masks = generator.split(joint.float())
    drawn = masks.to(torch.uint8).cpu().numpy()
    return to_image(images), np.stack([without_small_regions(mask, settings.smallest_region) for mask in drawn])


def draw_shard(
    path: Path,
    numbers: range,
    generator: Generator,
    saved: SavedGenerator,
    settings: SamplingSettings,
    device: torch.device,
    compute: ComputeSettings,
    progress: Progress | None = None,
) -> None:
    """Draw one shard and write it: a unit of work that stands alone."""
    pairs = []
    for first in range(numbers.start, numbers.stop, settings.batch_size):
        # The size of a batch may change a grey level: it is always whole, so that a pair is the same in sets of any
        # size.
        part = range(first, first + settings.batch_size)
        images, masks = draw(generator, part, saved.tile_size, settings, device, compute)
        wanted = part[: numbers.stop - first]
        pairs += [
            Pair(f"synthetic-{number:06d}", image, mask, "synthetic", row=number)
            for number, image, mask in zip(wanted, images, masks, strict=False)
        ]
        if progress is not None:
            progress.update(len(wanted))
    write_shard(path, pairs, [c["name"] for c in saved.manifest["classes"]])


def sample_pairs(
    folder: WorkFolder,
    saved: SavedGenerator,
    total: int,
    settings: SamplingSettings,
    compute: ComputeSettings,
    earlier: Sequence[Path] = (),
) -> PairStore:
    """Draw ``total`` pairs into a store; shards that exist are kept.

    Args:
        folder: Work folder.
        saved: The generator.
        total: Number of pairs.
        settings: How to draw.
        compute: Where.
        earlier: Folders of sets that differ in their number of pairs alone; their equal shards are taken.

    Returns:
        The store; ``drawn`` in its manifest names all that decides pair i, its number of pairs left out.
    """
    size = settings.shard_pairs
    shards = [
        (folder.result / f"synthetic-{i // size:05d}.parquet", range(i, min(i + size, total)))
        for i in range(0, total, size)
    ]
    for path, numbers in shards:
        for known in (place / path.name for place in earlier):
            if not path.exists() and known.exists() and pq.read_metadata(known).num_rows == len(numbers):
                with atomic(path) as temporary:
                    link_or_copy(known, temporary)
    missing = [(path, numbers) for path, numbers in shards if not path.exists()]
    if missing:
        device = choose_device(compute)
        generator = load_generator(saved, device)
        done = total - sum(len(numbers) for _, numbers in missing)
        timing = folder.result / TIMING
        # Shards that another set has drawn took a time that is not known here.
        spent = read_json(timing)["seconds"] if timing.exists() else None if done else 0.0
        remedy = memory_errors("Lower `sampling.batch_size`.")
        with remedy, Progress(total, "Sampling", "pairs", done) as progress:
            for path, numbers in missing:
                began = time.monotonic()
                draw_shard(path, numbers, generator, saved, settings, device, compute, progress)
                if spent is not None:
                    spent += time.monotonic() - began
                    write_json(timing, {"seconds": spent})
    drawn = {"drawn": folder.step.but(NUMBER).fingerprint}
    return finish_store(folder, saved.manifest["classes"], saved.tile_size, drawn)
