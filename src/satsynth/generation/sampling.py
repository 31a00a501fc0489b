"""Drawing a set of synthetic pairs from a generator of any family, shard by shard."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from satsynth.generation.drawers import Drawer, LayoutDrawer, Request
from satsynth.generation.families import Family, FamilySettings, family_of, only_together
from satsynth.generation.layouts import GivenLayouts
from satsynth.generation.saved import SavedGenerator
from satsynth.generation.settings import SamplingSettings
from satsynth.pairs.layouts import VERSIONS, Layouts
from satsynth.pairs.pair import Pair
from satsynth.pairs.regions import without_small_regions
from satsynth.pairs.store import PairStore, finish_store, take_shard, write_shard
from satsynth.training.settings import ComputeSettings
from satsynth.work.ancestry import digests
from satsynth.work.errors import ResourceError
from satsynth.work.files import read_json, write_json
from satsynth.work.finished import write_timing
from satsynth.work.folder import Step, WorkFolder
from satsynth.work.units import Advance, Report, Unit, run_units

# Raised by a change of this file that changes a set of pairs; each family has a version of its own.
RESULT_VERSION = 4
# The setting of the step that changes how many pairs there are, and none of them.
NUMBER = "pairs"


def sampling_step(
    saved: SavedGenerator,
    family: Family,
    settings: FamilySettings,
    sampling: SamplingSettings,
    tiles: PairStore,
    compute: ComputeSettings,
    layouts: GivenLayouts | None = None,
) -> Step:
    """Return what identifies a set of pairs.

    The number of pairs counts, not how it was asked for. The size of a batch may change a grey level, so it counts too.
    Noise is drawn on the device, whose kind therefore decides the pairs.
    """
    from satsynth.training.device import arithmetic

    decided: dict[str, Any] = {
        **sampling.identity(),
        NUMBER: sampling.total(tiles.count("train")),
        "drawing": {**settings.drawing.identity(), "layouts": sampling.layouts},
        "family": [family.name, family.drawing_version],
        **arithmetic(compute),
    }
    parents = digests(tiles=tiles, generator=saved)
    if sampling.layouts in VERSIONS:
        decided["layouts_version"] = VERSIONS[sampling.layouts]
    if layouts is not None:
        parents |= digests(layouts=layouts.store)
    return Step("sampling", RESULT_VERSION, parents, decided)


def draw_batch(
    drawer: Drawer, numbers: Sequence[int], sampling: SamplingSettings, layouts: Layouts | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Draw the pairs of some numbers.

    Args:
        drawer: The generator.
        numbers: B pair numbers.
        sampling: Seed, where masks come from, and the smallest region of a drawn mask that stays.
        layouts: Masks that are given, where `sampling.layouts` names such; each is the mask of its pair, pixel for
            pixel.

    Returns:
        Images ``(B, H, W, 3)`` uint8 and masks ``(B, H, W)`` uint8.
    """

    def cleaned(masks: np.ndarray) -> np.ndarray:
        return np.stack([without_small_regions(mask, sampling.smallest_region) for mask in masks])

    if sampling.layouts == "joint":
        images, masks = drawer.draw(numbers, Request(sampling.seed))
        return images, cleaned(masks)
    assert isinstance(drawer, LayoutDrawer)
    if layouts is None:
        # What is too small is gone before the image is painted.
        masks = cleaned(drawer.lay_out(numbers, sampling.seed))
    else:
        masks = layouts.masks(numbers, sampling.seed)
    return drawer.paint(numbers, masks, sampling.seed), masks


@dataclass(frozen=True)
class Source:
    """What a shard is drawn from.

    Args:
        generator: Folder of the generator.
        settings: Parameters of its family.
        sampling: The set.
        compute: Where.
        layouts: Masks that are given, or None.
        threads: Number of threads by which networks compute on a CPU, wherever the shard is drawn.
    """

    generator: Path
    settings: FamilySettings
    sampling: SamplingSettings
    compute: ComputeSettings
    layouts: Layouts | None = None
    threads: int | None = None


@lru_cache(maxsize=1)
def _loaded(source: Source) -> tuple[SavedGenerator, Drawer]:
    """Return the generator, loaded once in each process that draws."""
    saved = SavedGenerator(source.generator)
    return saved, family_of(saved.family).load(saved, source.settings, source.compute)


def draw_shard(path: Path, numbers: range, source: Source, report: Report) -> None:
    """Draw one shard and write it: an independent unit of work, which reports the seconds that it took."""
    from satsynth.training.device import threads

    began = time.monotonic()
    with threads(source.threads):
        pairs = _drawn(numbers, source, report)
    write_shard(path, pairs, _loaded(source)[0].class_names)
    report(time.monotonic() - began)


def _drawn(numbers: range, source: Source, report: Report) -> list[Pair]:
    """Draw the pairs of some numbers."""
    sampling = source.sampling
    _, drawer = _loaded(source)
    pairs = []
    for first in range(numbers.start, numbers.stop, sampling.batch_size):
        # The size of a batch may change a grey level: it is always whole, so that a pair is the same in sets of any
        # size.
        part = range(first, first + sampling.batch_size)
        images, masks = draw_batch(drawer, part, sampling, source.layouts)
        wanted = part[: numbers.stop - first]
        pairs += [
            Pair(f"synthetic-{number:06d}", image, mask, "synthetic", row=number)
            for number, image, mask in zip(wanted, images, masks, strict=False)
        ]
        report(Advance(len(wanted)))
    return pairs


def sample_pairs(
    folder: WorkFolder,
    saved: SavedGenerator,
    settings: FamilySettings,
    sampling: SamplingSettings,
    total: int,
    compute: ComputeSettings,
    earlier: Sequence[Path] = (),
    layouts: GivenLayouts | None = None,
) -> PairStore:
    """Draw ``total`` pairs into a store; shards that exist are kept.

    Args:
        folder: Work folder of `sampling_step`.
        saved: The generator.
        settings: Parameters of its family.
        sampling: The set.
        total: Number of pairs.
        compute: Where.
        earlier: Folders of sets that differ only in their number of pairs; their equal shards are taken.
        layouts: Masks that are given, or None.

    Raises:
        ResourceError: The generator has fewer different pairs than asked for, or memory runs out.
        SatSynthError: It has images and masks together only, and others are asked for.
        PartDone: The folder's share of the shards is drawn.
    """
    from satsynth.training.device import arithmetic, decided, memory_errors, placement

    size = sampling.shard_pairs
    given = None if layouts is None else layouts.layouts
    source = Source(saved.path, settings, sampling, decided(compute), given, arithmetic(compute)["threads"])
    parts = [range(i, min(i + size, total)) for i in range(0, total, size)]
    shards = [
        Unit(folder.result / f"synthetic-{number:05d}.parquet", len(part), (part, source))
        for number, part in enumerate(parts)
    ]
    _take_equal(shards, earlier)
    if folder.share is not None or not all(shard.outcome.exists() for shard in shards):
        with memory_errors("Lower `sampling.batch_size`."):
            try:
                _require_able(_loaded(source)[1], total, saved, sampling)
                if compute.engine != "local":
                    # Its workers load their own.
                    _loaded.cache_clear()
                run_units(
                    draw_shard,
                    shards,
                    "Sampling",
                    "pairs",
                    on_event=lambda shard, seconds: write_json(_seconds(folder, shard), seconds),
                    placement=placement(compute),
                    share=folder.share,
                )
            finally:
                # The memory of the device is for whatever follows.
                _loaded.cache_clear()
    _note_seconds(folder, shards)
    return finish_store(
        folder, saved.manifest["classes"], saved.tile_size, {"family": saved.family, **_origin(sampling)}
    )


def _seconds(folder: WorkFolder, shard: Unit) -> Path:
    """Return the file that holds how long a shard took; each has its own, as several processes may draw."""
    return folder.path / "seconds" / f"{shard.outcome.stem}.json"


def _note_seconds(folder: WorkFolder, shards: Sequence[Unit]) -> None:
    """Note how long all shards took, unless some were taken from another set, whose time is not known here."""
    files = [_seconds(folder, shard) for shard in shards]
    if all(file.exists() for file in files):
        write_timing(folder.result, sum(read_json(file) for file in files))


def _origin(sampling: SamplingSettings) -> dict[str, Any]:
    """Return what the manifest says of layouts, where they are not drawn together with images."""
    return {} if sampling.layouts == "joint" else {"layouts": sampling.layouts}


def _take_equal(shards: Sequence[Unit], earlier: Sequence[Path]) -> None:
    """Take shards over from other sets, those that hold as many pairs."""
    for path, size in ((shard.outcome, shard.size) for shard in shards):
        for known in (place / path.name for place in earlier):
            if not path.exists() and known.exists():
                take_shard(known, path, size)


def _require_able(drawer: Drawer, total: int, saved: SavedGenerator, sampling: SamplingSettings) -> None:
    if sampling.layouts != "joint" and not isinstance(drawer, LayoutDrawer):
        raise only_together(saved.family, sampling.layouts)
    require_distinct(drawer.distinct, total, saved.family, saved.path)


def require_distinct(distinct: int | None, total: int, family: str, where: object) -> None:
    """Refuse to draw more pairs than a generator has.

    Args:
        distinct: Number of different pairs that it can draw; None where there is no end.
        total: Number of pairs that are asked for.
        family: Name of its family.
        where: Where its pairs are.

    Raises:
        ResourceError: There are fewer than are asked for.
    """
    if distinct is not None and total > distinct:
        raise ResourceError(
            f"{total} synthetic pairs are asked for, but the generator of the family '{family}' has {distinct} "
            f"({where}).",
            f"Set --params=sampling.max_pairs={distinct}, lower `sampling.ratio` and `segmentation.ratios`, or give it "
            "more pairs.",
        )
