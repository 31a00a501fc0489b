"""Node of `painting`: whole images for masks that a user has drawn."""

from __future__ import annotations

import logging

from satsynth.datasets.description import DatasetDescription
from satsynth.datasets.painting import Painter
from satsynth.generation.families import FamilySettings
from satsynth.generation.layouts import drawn_masks
from satsynth.generation.painting import Artist, paint_scenes, painting_step, require_classes
from satsynth.generation.saved import SavedGenerator, require_family
from satsynth.generation.settings import GenerationSettings, SamplingSettings
from satsynth.pipelines.families import chosen, takes_families
from satsynth.training.settings import ComputeSettings
from satsynth.work.finished import Finished
from satsynth.work.remembered import remembered
from satsynth.work.workspace import Workspace

log = logging.getLogger(__name__)


@takes_families
def paint_drawn_masks(
    generator: SavedGenerator,
    description: DatasetDescription,
    generation: GenerationSettings,
    sampling: SamplingSettings,
    compute: ComputeSettings,
    workspace: Workspace,
    **families: FamilySettings,
) -> Finished:
    """Paint an image for each mask of a folder, whatever its size from a tile up.

    Args:
        generator: The generator.
        description: The data set, in whose ids or colours the masks are.
        generation: Which family.
        sampling: The folder of masks, seed and batches.
        compute: Where.
        workspace: Where work is kept.
        families: Parameters of each family.

    Returns:
        The folder `painted_scenes`: images and masks, GeoTIFF where the mask has a georeference, otherwise PNG.

    Raises:
        SatSynthError: The generator cannot paint, or masks are missing or cannot be read.
    """
    require_family(generator, generation.family)
    require_classes(generator, description.class_names)
    family, settings = chosen(generation.family, families)
    family.require_layouts(settings, "folder")
    masks = drawn_masks(sampling.layout_folder, description, generator.tile_size, workspace)
    artist, painter = Artist(generator.path, settings, compute), Painter(description)
    log.info("Painting: %d mask(s) of %s", len(masks.entries), sampling.layout_folder)
    done = remembered(
        workspace,
        painting_step(artist, masks, sampling, painter),
        lambda folder: paint_scenes(folder, artist, masks, sampling, painter),
    )
    return Finished(done.result)
