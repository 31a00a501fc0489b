"""How long networks must be trained on real pairs only: mIoU by budget, each budget with several seeds.

    python benchmarks/plateau.py --dataset dubai --raw <folder of the scenes> --images 1600 6400 25600 --seeds 3
    python benchmarks/plateau.py --dataset dubai --images 9600 --network small.json

The trainings are those of the grid at R = 0, in the same work folders: a stopped run continues, and what a pipeline has
trained is found. `--network` is a JSON file of a network as in `segmentation.networks`, without `images`; the default
is that of `conf/base`. `val rise` is the change of mIoU on val in about the last quarter of the trainings.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pandas as pd
from measures import PROJECT, tiles_of

from satsynth.analysis.statistics.summary import standard_error, with_error
from satsynth.pairs.store import PairStore
from satsynth.segmentation.arms import Arm
from satsynth.segmentation.cells import Cell
from satsynth.segmentation.grid import training_table
from satsynth.segmentation.settings import SegmentationNetwork, SegmentationSettings
from satsynth.segmentation.trainings import plan_trainings
from satsynth.segmentation.units import Stores, train_all
from satsynth.training.settings import ComputeSettings
from satsynth.work.workspace import Workspace

NAME = "network"


def trained(
    tiles: PairStore, network: SegmentationNetwork, images: int, seeds: int, workspace: Workspace
) -> pd.DataFrame:
    """Train a network on real pairs with each seed, or find the trainings done; return a row for each."""
    settings = SegmentationSettings.model_validate(
        {"networks": {NAME: network}, "judge": {"network": NAME}, "training": {"images": images}}
    )
    compute, cells = ComputeSettings(), [Cell(NAME, Arm(0.0), seed) for seed in range(seeds)]
    planned = plan_trainings(cells, tiles, None, settings, compute)
    return training_table(train_all(planned, Stores(tiles), compute, workspace))


def line_of(images: int, real: int, rows: pd.DataFrame) -> str:
    """Return the row of the markdown table of a budget."""
    scores = [pd.to_numeric(rows[name]).to_numpy() for name in ("val_miou", "miou")]
    val, test = (with_error(float(np.mean(values)), standard_error(values)) for values in scores)
    rise = 100 * pd.to_numeric(rows["val_rise"]).mean() if "val_rise" in rows else float("nan")
    seconds = rows["seconds"].mean()
    return f"| {images:,} | {images / real:.1f} | {len(rows)} | {val} | {test} | {rise:+.1f} | {seconds:.0f} |"


def main() -> None:
    """Print the table, a line as soon as its trainings are done."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="bluemarble")
    parser.add_argument("--raw")
    parser.add_argument("--images", type=int, nargs="+", default=[1600, 6400, 25_600])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--network", type=Path)
    given = parser.parse_args()
    (network,) = SegmentationSettings().networks.values()
    if given.network is not None:
        network = SegmentationNetwork(**json.loads(given.network.read_text()))
    tiles, workspace = tiles_of(given.dataset, given.raw), Workspace(project=str(PROJECT))
    print("| images | epochs of real pairs | seeds | mIoU % on val | mIoU % on test | val rise | s a training |")
    print("|---|---|---|---|---|---|---|")
    for images in sorted(given.images):
        rows = trained(tiles, network, images, given.seeds, workspace)
        print(line_of(images, tiles.count("train"), rows), flush=True)


if __name__ == "__main__":
    main()
