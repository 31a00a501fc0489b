"""Trials of the generator: train it with some parameters changed, draw pairs, and measure them; one line of JSON each.

    python benchmarks/trials.py --dataset dubai --raw <folder> --name wide --set model.network.widths=[64,128,192]

Each trial is one work folder below `data/.work`, so an interrupted one goes on. `docs/experiments.md` is written from
the lines that this prints to `data/08_reporting/trials/<dataset>.jsonl`.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

import cv2
import numpy as np
from measures import PROJECT, Measures, parameters, tiles_of
from omegaconf import OmegaConf

from satsynth.analysis.report.gallery import contact_sheet
from satsynth.diffusion.generator import load_generator
from satsynth.diffusion.sampling import draw
from satsynth.diffusion.settings import DiffusionSettings, SamplingSettings
from satsynth.diffusion.training import RESULT_VERSION, train_generator
from satsynth.generation.saved import SavedGenerator
from satsynth.pairs.cache import decoded
from satsynth.training.device import choose_device
from satsynth.training.settings import ComputeSettings
from satsynth.work.ancestry import digests
from satsynth.work.folder import Step, WorkFolder
from satsynth.work.remembered import remembered

OUTPUT = PROJECT / "data" / "08_reporting" / "trials"


def main() -> None:
    """Do one trial."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--dataset", default="dubai")
    arguments.add_argument("--raw", help="folder of the raw data, where it is not the description's own")
    arguments.add_argument("--name", required=True, help="what is tried")
    arguments.add_argument("--set", nargs="*", default=[], help="changes of `diffusion`, as in images=20000")
    arguments.add_argument("--sampling", nargs="*", default=[], help="changes of `sampling`, as in steps=30")
    arguments.add_argument("--pairs", type=int, default=512)
    arguments.add_argument("--seeds", type=int, default=1, help="networks trained on synthetic pairs alone")
    given = arguments.parse_args()

    tiles = tiles_of(given.dataset, given.raw)
    base = parameters()
    compute = ComputeSettings(**base["compute"])
    settings = DiffusionSettings(**_changed(base["diffusion"], given.set))
    sampling = SamplingSettings(**_changed(base["sampling"], given.sampling))
    measures = Measures(tiles, compute)

    def train(folder: WorkFolder) -> None:
        pairs, val = (decoded(tiles, split, measures.run.work) for split in ("train", "val"))
        train_generator(folder, pairs, val, tiles.training_origin(), settings, compute, lambda step, values: None)

    began = time.monotonic()
    used = settings.model_dump(mode="json")
    saved = SavedGenerator(
        remembered(measures.run, Step("diffusion", RESULT_VERSION, digests(tiles=tiles), used), train).result
    )
    trained = time.monotonic()
    generator = load_generator(saved, choose_device(compute))
    batches = [
        draw(
            generator,
            range(first, min(first + 32, given.pairs)),
            saved.tile_size,
            sampling,
            choose_device(compute),
            compute,
        )
        for first in range(0, given.pairs, 32)
    ]
    drawn = time.monotonic()
    images, masks = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    line: dict[str, Any] = {
        "name": given.name,
        "set": given.set,
        "sampling": given.sampling,
        "parameters": sum(p.numel() for p in generator.denoiser.parameters()),
        "images": settings.images,
        "training_seconds": round(trained - began, 1),
        "pairs_per_second": round(given.pairs / (drawn - trained), 2),
        **measures.of(images, masks, range(given.seeds)),
    }
    OUTPUT.mkdir(parents=True, exist_ok=True)
    with (OUTPUT / f"{given.dataset}.jsonl").open("a") as file:
        file.write(json.dumps(line) + "\n")
    sheet = contact_sheet(list(zip(images[:32], masks[:32], strict=True)), tiles.colors, 4)
    cv2.imwrite(str(OUTPUT / f"{given.dataset}-{given.name}.png"), sheet[..., ::-1])
    print(json.dumps(line, indent=1))


def _changed(values: Any, changes: list[str]) -> Any:
    return OmegaConf.to_container(OmegaConf.merge(values, OmegaConf.from_dotlist(changes)))


if __name__ == "__main__":
    main()
