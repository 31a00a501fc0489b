"""Training a generator of any family, once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from satsynth.generation.families import Family, FamilySettings, Report, Silence
from satsynth.generation.seen import Seen, require_held_out
from satsynth.pairs.cache import decoded
from satsynth.pairs.store import HELD_OUT_IMAGES, PairStore
from satsynth.scenes.splits import UNLABELLED
from satsynth.training.settings import ComputeSettings
from satsynth.work.ancestry import digests
from satsynth.work.folder import Step, WorkFolder

UNLABELLED_SHARE = "unlabelled_share"
Reporting = Callable[[WorkFolder], AbstractContextManager[Report]]


def silent(folder: WorkFolder) -> AbstractContextManager[Report]:
    """Return a report that ignores everything."""
    return nullcontext(Silence())


def training_step(family: Family, settings: FamilySettings, tiles: PairStore, compute: ComputeSettings) -> Step:
    """Return what identifies a trained generator.

    Raises:
        SatSynthError: Something that the family reads beside the tiles is missing.
    """
    from satsynth.training.device import arithmetic

    settings = family.settled(settings, tiles)
    identity = settings.training_identity()
    decided = {**(identity if tiles.count(UNLABELLED) else _without_share(identity)), **arithmetic(compute)}
    return Step(family.name, family.training_version, digests(tiles=tiles) | family.sources(settings), decided)


def _without_share(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters without the share of images without masks, which counts only where there are such images."""
    return {
        name: _without_share(value) if isinstance(value, Mapping) else value
        for name, value in settings.items()
        if name != UNLABELLED_SHARE
    }


def train_generator(
    folder: WorkFolder,
    family: Family,
    settings: FamilySettings,
    tiles: PairStore,
    compute: ComputeSettings,
    work: Path,
    reporting: Reporting = silent,
) -> None:
    """Train a generator on the training pairs of a store and its unlabelled images, continuing what the folder holds.

    Args:
        folder: Work folder of `training_step`.
        family: Its family.
        settings: The family's parameters.
        tiles: Real pairs.
        compute: Where.
        work: Folder of all work, where decoded pairs lie.
        reporting: Opens what the training reports to.

    Raises:
        AncestryError: What it starts from was trained on scenes that are held out here.
        SatSynthError: A generator of these parameters cannot learn from images without masks, which there are.
    """
    settings = family.settled(settings, tiles)
    seen = family.seen_before(settings)
    require_held_out(seen, tiles)
    seen |= Seen.of(tiles, "train")
    with reporting(folder) as report:
        pairs, val = (decoded(tiles, split, work) for split in ("train", "val"))
        origin = {"family": family.name, "classes": tiles.manifest["classes"], "tile_size": tiles.tile_size}
        unlabelled = None
        if settings.learns_from_images() and tiles.count(UNLABELLED):
            settings.require_unlabelled()
            unlabelled = decoded(tiles, UNLABELLED, work)
            seen |= Seen.of(tiles, UNLABELLED)
            if HELD_OUT_IMAGES in tiles.manifest:
                origin[HELD_OUT_IMAGES] = tiles.manifest[HELD_OUT_IMAGES]
        family.train(folder, pairs, val, origin | seen.entries, settings, compute, report, unlabelled)
