"""Drawing synthetic pairs."""

from __future__ import annotations

import logging

import pandas as pd

from satsynth.datasets.description import DatasetDescription
from satsynth.generation.families import WITHOUT_MASKS, FamilySettings
from satsynth.generation.layouts import layouts_of
from satsynth.generation.sampling import NUMBER, sample_pairs, sampling_step
from satsynth.generation.saved import REPAIR, SavedGenerator, require_family, require_unseen
from satsynth.generation.settings import GenerationSettings, SamplingSettings
from satsynth.pairs.store import PairStore
from satsynth.pipelines.families import chosen, takes_families
from satsynth.pipelines.tracked_trainings import TrackedTrainings
from satsynth.segmentation import grid
from satsynth.segmentation.settings import SegmentationSettings
from satsynth.training.settings import ComputeSettings
from satsynth.work.ancestry import require_parent
from satsynth.work.folder import WorkFolder, alike
from satsynth.work.remembered import is_remembered, remembered
from satsynth.work.workspace import Workspace

log = logging.getLogger(__name__)


@takes_families
def draw_pairs(
    generator: SavedGenerator,
    tiles: PairStore,
    scenes: pd.DataFrame,
    description: DatasetDescription,
    generation: GenerationSettings,
    sampling: SamplingSettings,
    segmentation: SegmentationSettings,
    compute: ComputeSettings,
    workspace: Workspace,
    **families: FamilySettings,
) -> PairStore:
    """Draw synthetic pairs, some for each real training pair.

    Args:
        generator: The generator.
        tiles: The real pairs that it was trained on.
        scenes: The scenes that they were cut from, whose masks may become layouts.
        description: The data set.
        generation: Which family.
        sampling: How many pairs, and where their masks come from.
        segmentation: Names the judge, which gives pairs of a family without masks theirs.
        compute: Where.
        workspace: Where work is kept.
        families: Parameters of each family.

    Returns:
        The store `synthetic_pairs`.

    Raises:
        AncestryError: The generator is of another family, or was trained on other tiles or on a scene of val or test.
        SatSynthError: The family cannot draw pairs for the layouts that are asked for, or there are no such layouts.
    """
    require_family(generator, generation.family)
    require_unseen(generator, tiles)
    require_parent(generator, "generator", tiles, "tiles", REPAIR)
    family, settings = chosen(generation.family, families)
    sampling = sampling.settled(family.paints(settings))
    family.require_layouts(settings, sampling.layouts)
    layouts = layouts_of(sampling, tiles, scenes, description, workspace)
    step = sampling_step(generator, family, settings, sampling, tiles, compute, layouts)
    total = step.settings[NUMBER]
    if is_remembered(workspace, step):
        log.info("Sampling: reused, %d pairs were drawn before with the same settings from the same generator", total)
    else:
        from satsynth.training.device import choose_device, describe_device

        log.info("Sampling: %d pairs by '%s', on %s", total, family.name, describe_device(choose_device(compute)))

    def draw(work: WorkFolder) -> None:
        earlier = [] if workspace.fresh else alike(work, NUMBER)
        sample_pairs(work, generator, settings, sampling, total, compute, earlier, layouts)

    store = PairStore(remembered(workspace, step, draw, compute.part).result)
    if family.name in WITHOUT_MASKS:
        # Imported here: it imports PyTorch.
        from satsynth.judging import judged_pairs

        judge = grid.train_judge(tiles, segmentation, compute, workspace, TrackedTrainings())
        log.info("Sampling: the judge gives %d images their masks", total)
        store = judged_pairs(store, judge, tiles, generator, sampling.smallest_region, compute, workspace)
    counts = store.pixel_counts().sum(0)
    shares = zip(store.class_names, 100 * counts / counts.sum(), strict=True)
    log.info("Synthetic pairs: %d; %s", total, ", ".join(f"{name} {share:.1f} %" for name, share in shares))
    return store
