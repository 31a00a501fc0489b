"""How cost grows with the number of tiles, pairs, trainings and rows: seconds, memory, files and bytes, and slopes.

    python benchmarks/growth.py --tiles 1000 10000 100000 --pairs 1000 10000 100000 --trainings 4 16 64 \
        --rows 10000 100000 1000000 --to growth.json

Everything is tiny but for its number: tiles of 32 pixels, a generator of a few channels, trainings of four steps. Each
measurement runs in a process of its own. Seconds are those of the work, without imports and preparation; memory is the
peak of the process and all its children, Ray's own included. A slope is that of the logarithms, with its standard error
where there are three sizes: 1 is linear. Each measurement is printed to stderr as soon as it is there.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
from tiling import DESCRIPTION, generate

import satsynth
from satsynth.datasets.description import KeepSettings
from satsynth.pairs.pair import Pair
from satsynth.pairs.settings import TilingSettings
from satsynth.pairs.store import PairStore, finish_store, write_shard
from satsynth.pairs.tiling import cut_scenes
from satsynth.scenes.finding import find_scenes
from satsynth.scenes.scene import SceneReader
from satsynth.segmentation.cells import cells_of
from satsynth.segmentation.settings import SegmentationSettings
from satsynth.segmentation.trainings import plan_trainings
from satsynth.segmentation.units import Stores, train_all
from satsynth.training.settings import ComputeSettings
from satsynth.work.folder import Step, work_folder
from satsynth.work.placement import PartDone
from satsynth.work.workspace import Workspace

WAYS = ("local 1", "local 2", "ray")
SIDE, SCENE = 32, 512
CLASSES = [{"name": name, "color": [0, 0, number]} for number, name in enumerate(("one", "two", "three"))]
FAMILY = {"model": {"network": {"stem": 4, "widths": [8, 16]}}, "images": 8, "batch_size": 4}
NETWORK = {
    "architecture": "fpn",
    "encoder": "tu-mobilenetv3_small_050",
    "weights": None,
    "options": {"decoder_pyramid_channels": 16, "decoder_segmentation_channels": 32},
}
Work = Callable[[Path, int, str], float]


def compute(way: str, **more: Any) -> dict[str, Any]:
    """Return the parameters of the group `compute` for a way."""
    return {"device": "cpu", "engine": "ray" if way == "ray" else "local", **more}


def workers(way: str) -> int:
    """Return the number of workers of a way; Ray decides by itself."""
    return int(way.split()[1]) if way != "ray" else 1


def pairs(number: int, side: int, split: str) -> Iterator[Pair]:
    """Yield pairs of noise."""
    random = np.random.default_rng(0)
    for row in range(number):
        image, mask = (
            random.integers(0, top, shape, np.uint8) for top, shape in ((256, (side, side, 3)), (3, (side,) * 2))
        )
        yield Pair(f"{split}-{row:08d}", image, mask, split, split, row=row)


def store(root: Path, sizes: dict[str, int], side: int, shard: int = 1000) -> PairStore:
    """Write a store of pairs of noise."""
    with work_folder(root, Step("made", 1, {}, {"sizes": sizes, "side": side})) as folder:
        for split, number in sizes.items():
            rows = pairs(number, side, split)
            for first in range(0, number, shard):
                part = [next(rows) for _ in range(min(shard, number - first))]
                write_shard(folder.result / f"{split}-{first // shard:05d}.parquet", part, [c["name"] for c in CLASSES])
        return finish_store(folder, CLASSES, side)


def real(root: Path) -> PairStore:
    """Return pairs to train on: with a ratio of 1,000 at most, enough for the largest set."""
    return store(root, {"train": 128, "val": 2, "test": 2}, SIDE)


def tiles(root: Path, number: int, way: str) -> float:
    """Cut scenes into tiles."""
    generate(root / "raw", max(3, round(number / (SCENE / SIDE) ** 2)), SCENE)
    scenes = find_scenes(DESCRIPTION, root / "raw", str)
    settings = TilingSettings(tile_size=SIDE, stride=SIDE, keep=KeepSettings(max_ignore=1))
    reader = SceneReader(DESCRIPTION, root / "raw", workers(way))
    began = time.perf_counter()
    with work_folder(root / "data/.work", Step("tiling", 1, {}, {})) as folder:
        cut_scenes(folder, scenes, reader, settings, workers(way), ComputeSettings(**compute(way)).placement)
    return time.perf_counter() - began


def part(root: Path, number: int, share: str | None, way: str) -> None:
    """Draw pairs, or a share of them."""
    made = real(root / "real")
    generator = satsynth.train(made, project=root / "generator", **FAMILY)
    given = {"max_pairs": number, "ratio": 1000, "shard_pairs": 100, "batch_size": 50}
    with suppress(PartDone):
        satsynth.sample(generator, made, root, compute(way, share=share), {"steps": 2}, **given)


def drawn(root: Path, number: int, way: str) -> float:
    """Draw pairs; two workers are two processes, each with its share."""
    satsynth.train(real(root / "real"), project=root / "generator", **FAMILY)
    began = time.perf_counter()
    if way == "local 2":
        context = multiprocessing.get_context("spawn")
        processes = [context.Process(target=part, args=(root, number, f"{one}/2", way)) for one in (1, 2)]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
    else:
        part(root, number, None, way)
    return time.perf_counter() - began


def trainings(root: Path, number: int, way: str) -> float:
    """Train a grid of tiny trainings."""
    settings = SegmentationSettings(
        networks={"tiny": NETWORK},
        judge={"network": "tiny"},
        ratios=(0,),
        seeds=tuple(range(number)),
        training={"images": 16, "batch_size": 4, "evaluations": 1},
    )
    made, where = real(root / "real"), ComputeSettings(**compute(way))
    planned = plan_trainings(cells_of(settings), made, None, settings, where)
    began = time.perf_counter()
    train_all(planned, Stores(made), where, Workspace(project=str(root)), how="processes", workers=workers(way))
    return time.perf_counter() - began


def rows(root: Path, number: int, way: str) -> float:
    """Read a store for its statistics."""
    made = store(root / "data/.work", {"synthetic": number}, 8, 10_000)
    began = time.perf_counter()
    assert PairStore(made.path).pixel_counts().sum() == number * 64
    return time.perf_counter() - began


WORKS: dict[str, tuple[Work, tuple[str, ...]]] = {
    "tiles": (tiles, WAYS),
    "pairs": (drawn, WAYS),
    "trainings": (trainings, WAYS),
    "rows": (rows, WAYS[:1]),
}


def measured(name: str, number: int, way: str) -> dict[str, Any]:
    """Run one measurement in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, "--one", name, str(number), way, folder]
        process, peak = subprocess.Popen(command, stdout=subprocess.PIPE, text=True), 0
        while process.poll() is None:
            peak = max(peak, memory(process.pid))
            time.sleep(0.1)
        assert process.stdout is not None
        seconds = float(process.stdout.read().split()[-1])
        files = [path for path in (Path(folder) / "data/.work").rglob("*") if path.is_file()]
        size = sum(path.stat().st_size for path in files)
    found = {"seconds": seconds, "peak_mb": peak / 1e6, "files": len(files), "bytes": size}
    return {"what": name, "number": number, "way": way, **found}


def memory(process: int) -> int:
    """Return the memory of a process and its children in bytes."""
    total = 0
    with suppress(psutil.NoSuchProcess):
        root = psutil.Process(process)
        for one in [root, *root.children(recursive=True)]:
            total += one.memory_info().rss
    return total


def slope(numbers: np.ndarray, values: np.ndarray) -> tuple[float, float]:
    """Return the slope of the logarithms, and its standard error; NaN where there are too few sizes."""
    x, y = np.log(numbers), np.log(values)
    x = x - x.mean()
    found = float(x @ (y - y.mean()) / (x @ x)) if len(x) > 1 else math.nan
    rest = y - y.mean() - found * x
    return found, float(np.sqrt(rest @ rest / (len(x) - 2) / (x @ x))) if len(x) > 2 else math.nan


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, sizes in (("tiles", [1000]), ("pairs", [200]), ("trainings", [2]), ("rows", [10_000])):
        parser.add_argument(f"--{name}", type=int, nargs="*", default=sizes)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS)
    parser.add_argument("--to", type=Path, help="file for the figures, as JSON")
    parser.add_argument("--one", nargs=4, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        name, number, way, folder = given.one
        print(WORKS[name][0](Path(folder), int(number), way))
        return
    plan = [
        (name, number, way)
        for name, (_, ways) in WORKS.items()
        for way in ways
        if way in given.ways
        for number in getattr(given, name)
    ]
    figures = []
    for one in plan:
        figures.append(measured(*one))
        print(json.dumps(figures[-1]), file=sys.stderr, flush=True)
    table = pd.DataFrame(figures)
    print(table.round(2).to_string(index=False))
    for (what, way), group in table.groupby(["what", "way"], sort=False):
        for column in ("seconds", "peak_mb", "files", "bytes"):
            found, error = slope(group["number"].to_numpy(), group[column].to_numpy())
            print(f"{what}, {way}: {column} grow with exponent {found:.2f} ± {error:.2f}")
    if given.to:
        given.to.write_text(json.dumps(table.to_dict("records"), indent=1))


if __name__ == "__main__":
    main()
