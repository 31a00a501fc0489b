"""Tiling beside plain loops that write PNG files, on the same generated scenes, and its growth with their number.

    python benchmarks/tiling.py --scenes 32 --growth 1000 10000 100000

Each contender runs in a process of its own: seconds are those of cutting alone, memory is the peak of the whole
process. All of them write the same tiles without loss, which is verified tile by tile. The loops are what converters of
data sets do: decode a scene, cut it, save image and mask of each tile, by Pillow or by OpenCV.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from PIL import Image

from satsynth.datasets.description import DatasetDescription, KeepSettings
from satsynth.pairs.settings import TilingSettings
from satsynth.pairs.store import PairStore
from satsynth.pairs.tiling import cut_scenes
from satsynth.scenes.checking import check_scenes
from satsynth.scenes.finding import find_scenes
from satsynth.scenes.scene import SceneReader
from satsynth.work.files import file_digest
from satsynth.work.folder import Step, work_folder

TILE, CLASSES, DISTINCT = 128, 7, 16
DESCRIPTION = DatasetDescription.model_validate(
    {
        "name": "generated",
        "title": "Generated scenes",
        "licence": "none",
        "obtain": "This benchmark makes them.",
        "raw": ".",
        "layout": {
            "kind": "files",
            "pattern": r"images/(?P<name>\d+)\.png",
            "mask": "masks/{name}.png",
            "scene": "{name}",
            "group": "{name}",
        },
        "masks": {"encoding": "index"},
        "classes": [{"name": f"class {i}", "raw": i, "color": [i, i, i]} for i in range(CLASSES)],
        "splits": {"val": ["00000"], "test": ["00001"]},
    }
)


def field(random: np.random.Generator, side: int, channels: int) -> np.ndarray:
    """Return a random field with detail at all scales, about 0, ``(side, side, channels)``."""
    total = np.zeros((side, side, channels), np.float32)
    for cells in (4, 16, 64, 256):
        noise = random.standard_normal((cells, cells, channels)).astype(np.float32)
        smooth = cv2.resize(noise, (side, side), interpolation=cv2.INTER_CUBIC)
        total += smooth.reshape(total.shape) * 40 / cells**0.5
    return total


def generate(folder: Path, scenes: int, side: int) -> None:
    """Write scenes; beyond the distinct ones they are links, since every file is decoded anew all the same."""
    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True)
    for number in range(scenes):
        files = [folder / kind / f"{number:05d}.png" for kind in ("images", "masks")]
        if number >= DISTINCT:
            for file in files:
                os.link(file.with_name(f"{number % DISTINCT:05d}.png"), file)
            continue
        random = np.random.default_rng(number)
        image = 110 + field(random, side, 3) + random.normal(0, 3, (side, side, 3))
        levels = field(random, side, 1)[..., 0]
        mask = np.digitize(levels, np.quantile(levels, np.arange(1, CLASSES) / CLASSES))
        for file, array in zip(files, (image.clip(0, 255), mask), strict=True):
            Image.fromarray(array.astype(np.uint8)).save(file, compress_level=1)


def satsynth(raw: Path, out: Path, workers: int) -> float:
    """Cut by satsynth; return the seconds."""
    # Links to one file are meant here, so their digests are told apart by name.
    scenes = find_scenes(DESCRIPTION, raw, lambda path: str(path))
    settings = TilingSettings(tile_size=TILE, stride=TILE, keep=KeepSettings(max_ignore=1))
    began = time.perf_counter()
    with work_folder(out, Step("tiling", 1, {}, {})) as folder:
        cut_scenes(folder, scenes, SceneReader(DESCRIPTION, raw, workers), settings, workers)
    return time.perf_counter() - began


def checking(raw: Path, out: Path, workers: int) -> float:
    """Find, digest and check the scenes by satsynth, which no loop does; return the seconds."""
    began = time.perf_counter()
    found = {path: file_digest(path) for path in sorted(raw.rglob("*.png"))}
    scenes = find_scenes(DESCRIPTION, raw, lambda path: found[path] + path.name)
    check_scenes(scenes, SceneReader(DESCRIPTION, raw, workers), workers)
    return time.perf_counter() - began


def loop(read: Callable[[Path], np.ndarray], write: Callable[[Path, np.ndarray], object]) -> Callable[..., float]:
    """Return a plain loop over all scenes and tiles."""

    def run(raw: Path, out: Path, workers: int) -> float:
        began = time.perf_counter()
        for kind in ("images", "masks"):
            (out / kind).mkdir(parents=True)
            for file in sorted((raw / kind).glob("*.png")):
                pixels = read(file)
                for top in range(0, pixels.shape[0], TILE):
                    for left in range(0, pixels.shape[1], TILE):
                        name = f"{file.stem}_{top}_{left}.png"
                        write(out / kind / name, pixels[top : top + TILE, left : left + TILE])
        return time.perf_counter() - began

    return run


CONTENDERS: dict[str, Callable[..., float]] = {
    "satsynth": satsynth,
    "Pillow loop": loop(lambda file: np.asarray(Image.open(file)), lambda file, part: Image.fromarray(part).save(file)),
    "OpenCV loop": loop(
        lambda file: np.asarray(cv2.imread(str(file), cv2.IMREAD_UNCHANGED)),
        lambda file, part: cv2.imwrite(str(file), part),
    ),
    "satsynth, checking": checking,
}


def tiles_of(out: Path) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yield name, image and mask of each tile that a contender wrote, in a fixed order."""
    manifests = list(out.rglob("manifest.json"))
    if manifests:
        store = PairStore(manifests[0].parent)
        names = [f"{row.scene_id}_{row.row}_{row.col}.png" for row in store.index().itertuples()]
        yield from ((name, *pair) for name, pair in zip(names, store.arrays(), strict=True))
        return
    for file in (out / "images").iterdir():
        yield file.name, np.asarray(Image.open(file)), np.asarray(Image.open(out / "masks" / file.name))


def verify(raw: Path, out: Path) -> int:
    """Compare all tiles with their scenes and return their number.

    Raises:
        SystemExit: A pixel differs.
    """
    scenes: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    count = 0
    for name, image, mask in tiles_of(out):
        stem, top, left = name.removesuffix(".png").split("_")
        original = f"{int(stem) % DISTINCT:05d}.png"
        if original not in scenes:
            images, masks = (np.asarray(Image.open(raw / kind / original)) for kind in ("images", "masks"))
            scenes[original] = images, masks
        place = np.s_[int(top) : int(top) + TILE, int(left) : int(left) + TILE]
        if not all(np.array_equal(a[place], b) for a, b in zip(scenes[original], (image, mask), strict=True)):
            sys.exit(f"{name} of {out} differs from its scene")
        count += 1
    return count


def peak() -> int:
    """Return the peak of this process's memory in KiB; resource.getrusage would count the parent's, too."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0])


def measure(contender: str, raw: Path, out: Path, workers: int) -> dict[str, float]:
    """Run one contender in a process of its own; return its seconds and peak memory."""
    command = [sys.executable, __file__, "--run", contender, str(raw), str(out), "--workers", str(workers)]
    found: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return found


def row(contender: str, folder: Path, scenes: int, side: int, workers: int) -> dict[str, object]:
    """Generate scenes, run a contender on them, verify its tiles, and return a line of the table."""
    tiles = scenes * (side // TILE) ** 2
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        raw, out = Path(temporary) / "raw", Path(temporary) / "out"
        generate(raw, scenes, side)
        found = measure(contender, raw, out, workers)
        if contender != "satsynth, checking" and verify(raw, out) != tiles:
            sys.exit(f"{contender} did not write {tiles} tiles")
        written = sum(file.stat().st_size for file in out.rglob("*") if file.is_file()) if out.exists() else 0
    return {
        "contender": contender,
        "tiles": tiles,
        "seconds": found["seconds"],
        "tiles/s": tiles / found["seconds"],
        "peak MiB": found["peak"] / 2**10,
        "written MiB": written / 2**20,
    }


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--scenes", type=int, default=32, help="scenes of the comparison, two at least")
    arguments.add_argument("--side", type=int, default=1024, help=f"side of a scene, a multiple of {TILE}")
    arguments.add_argument("--growth", type=int, nargs="*", default=[1000, 10_000], help="numbers of tiles")
    arguments.add_argument("--repeats", type=int, default=3)
    arguments.add_argument("--workers", type=int, default=os.cpu_count())
    arguments.add_argument("--folder", type=Path, help="where to write; 40 KiB a tile are needed")
    arguments.add_argument("--run", nargs=3, help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.run:
        seconds = CONTENDERS[given.run[0]](Path(given.run[1]), Path(given.run[2]), given.workers)
        print(json.dumps({"seconds": seconds, "peak": peak()}))
        return
    rows = [
        row(contender, given.folder, given.scenes, given.side, given.workers)
        for _ in range(given.repeats)
        for contender in CONTENDERS
    ]
    table = pd.DataFrame(rows).groupby("contender", sort=False).median()
    table["times Pillow"] = table["tiles/s"] / table.loc["Pillow loop", "tiles/s"]
    print(f"{given.workers} workers, medians of {given.repeats}:\n{table.round(2).to_string()}")
    per_scene = (given.side // TILE) ** 2
    growth = [
        row("satsynth", given.folder, max(2, round(tiles / per_scene)), given.side, given.workers)
        for tiles in given.growth
    ]
    if growth:
        print(f"\nGrowth:\n{pd.DataFrame(growth).round(2).to_string(index=False)}")


if __name__ == "__main__":
    main()
