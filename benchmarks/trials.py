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
from safetensors.numpy import load_file

from satsynth.analysis.report.gallery import contact_sheet
from satsynth.diffusion.saved import AVERAGED
from satsynth.diffusion.settings import DiffusionSettings
from satsynth.generation.drawers import Request
from satsynth.generation.families import family_of
from satsynth.generation.saved import SavedGenerator
from satsynth.generation.training import train_generator, training_step
from satsynth.training.settings import ComputeSettings
from satsynth.work.remembered import remembered

OUTPUT = PROJECT / "data" / "08_reporting" / "trials"


def main() -> None:
    """Do one trial."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--dataset", default="dubai")
    arguments.add_argument("--raw", help="folder of the raw data, where it is not the description's own")
    arguments.add_argument("--name", required=True, help="what is tried")
    arguments.add_argument(
        "--set", nargs="*", default=[], help="changes of `diffusion`, as in images=20000 drawing.steps=30"
    )
    arguments.add_argument("--pairs", type=int, default=512)
    arguments.add_argument("--seeds", type=int, default=1, help="networks trained on synthetic pairs alone")
    given = arguments.parse_args()

    tiles = tiles_of(given.dataset, given.raw)
    base = parameters()
    compute = ComputeSettings(**base["compute"])
    settings = DiffusionSettings(**_changed(base["diffusion"], given.set)).unaided()
    measures, family = Measures(tiles, compute), family_of("diffusion")
    began = time.monotonic()
    done = remembered(
        measures.run,
        training_step(family, settings, tiles, compute),
        lambda folder: train_generator(folder, family, settings, tiles, compute, measures.run.work),
    )
    saved = SavedGenerator(done.result)
    trained = time.monotonic()
    drawer = family.load(saved, settings, compute)
    batches = [
        drawer.draw(range(first, min(first + 32, given.pairs)), Request(0)) for first in range(0, given.pairs, 32)
    ]
    drawn = time.monotonic()
    images, masks = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    line: dict[str, Any] = {
        "name": given.name,
        "set": given.set,
        "parameters": sum(value.size for value in load_file(saved.path / AVERAGED).values()),
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
