"""What tracking in MLflow costs a training: the same training with and without it, by turns, as a ratio of times.

python benchmarks/tracking.py --rounds 10 --images 4000

Each round trains a small generator twice on made pairs, in an order that alternates, and is one ratio. The tracked
training writes to a new file in a temporary folder, or to --uri, with a metric every 20 steps, galleries at each look,
and the beginning and end of its run; the tracker starts before the clock, as it does in `kedro run`.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from satsynth import tracking
from satsynth.analysis.report.gallery import contact_sheet
from satsynth.diffusion.model_settings import GeneratorSettings, NetworkSettings
from satsynth.diffusion.settings import DiffusionSettings
from satsynth.diffusion.training import train_denoiser
from satsynth.pairs.cache import DecodedPairs
from satsynth.tracking.child import NoTracker
from satsynth.training.settings import ComputeSettings
from satsynth.work.folder import Step, work_folder

CLASSES = 4


class Reported:
    """A training's report to its run.

    Args:
        child: The run.
    """

    def __init__(self, child: tracking.Child) -> None:
        self._child, self._colors = child, np.eye(CLASSES, 3, dtype=np.uint8) * 255
        self.metrics = child.metrics

    def pictures(self, step: int, drawn: np.ndarray, masks: np.ndarray) -> None:
        """Log pairs as one picture."""
        self._child.image(step, "drawn", contact_sheet(list(zip(drawn, masks, strict=True)), self._colors, 4))


def made_pairs(count: int, side: int) -> DecodedPairs:
    random = np.random.default_rng(0)
    masks = random.integers(0, CLASSES, (count, side // 8, side // 8), np.uint8).repeat(8, 1).repeat(8, 2)
    images = (masks[..., None] * 60 + random.integers(0, 30, (count, side, side, 3))).astype(np.uint8)
    return DecodedPairs(images, masks)


def seconds_of(tracker: tracking.Tracker | NoTracker, root: Path, images: int, side: int) -> float:
    """Train once, in a work folder of its own, and return how long that took."""
    settings = DiffusionSettings(
        model=GeneratorSettings(network=NetworkSettings(stem=4, widths=(16, 32))), images=images, batch_size=8
    )
    pairs, compute = made_pairs(64, side), ComputeSettings(device="cpu")
    origin = {
        "family": "diffusion",
        "classes": [{"name": str(k), "color": [k, 0, 0]} for k in range(CLASSES)],
        "tile_size": side,
        "scenes": [],
    }
    shutil.rmtree(root, ignore_errors=True)
    began = time.perf_counter()
    with (
        work_folder(root, Step("diffusion", 1, {}, {})) as folder,
        tracker.child("diffusion", tracking.flat(settings.model_dump(mode="json")), folder) as child,
    ):
        train_denoiser(folder, pairs, pairs, origin, settings, compute, Reported(child))
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--images", type=int, default=4000)
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--uri", default="", help="tracking server; a new local file without")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        local = f"sqlite:///{root / 'mlflow.db'}"
        tracker = tracking.Tracker(arguments.uri or local, "benchmark-tracking", root / "artifacts", local)
        tracker.start("benchmark", {}, {}, tracking.machine_tags)
        # Libraries load and the file is made before anything is timed.
        seconds_of(tracker, root / "work", 80, arguments.side)
        ratios = []
        for number in range(arguments.rounds):
            order = [tracker, NoTracker()] if number % 2 else [NoTracker(), tracker]
            taken = [seconds_of(used, root / "work", arguments.images, arguments.side) for used in order]
            tracked, bare = taken if number % 2 else taken[::-1]
            ratios.append(tracked / bare)
            print(f"round {number + 1}: {bare:.2f} s without, {tracked:.2f} s with, ratio {ratios[-1]:.4f}", flush=True)
        began = time.perf_counter()
        tracker.close("FINISHED")
        print(f"closing took {time.perf_counter() - began:.2f} s, once a run")
    middle = statistics.median(ratios)
    spread = statistics.stdev(ratios) / len(ratios) ** 0.5 if len(ratios) > 1 else float("nan")
    print(
        f"tracking costs {100 * (middle - 1):+.2f} % of a training (median of {len(ratios)} rounds; "
        f"mean {100 * (statistics.mean(ratios) - 1):+.2f} % ± {100 * spread:.2f}, standard error)"
    )


if __name__ == "__main__":
    main()
