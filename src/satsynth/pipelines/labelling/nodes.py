"""Node of `labelling`: masks for real images that have none."""

from __future__ import annotations

import logging

from satsynth.datasets.description import DatasetDescription
from satsynth.generation.families import FamilySettings
from satsynth.generation.labelling import find_images, label_images, labelling_step
from satsynth.generation.painting import Artist, require_classes
from satsynth.generation.saved import SavedGenerator, require_family
from satsynth.generation.settings import GenerationSettings, LabellingSettings
from satsynth.pipelines.families import chosen, takes_families
from satsynth.training.settings import ComputeSettings
from satsynth.work.finished import Finished
from satsynth.work.remembered import remembered
from satsynth.work.workspace import Workspace

log = logging.getLogger(__name__)


@takes_families
def label_real_images(
    generator: SavedGenerator,
    description: DatasetDescription,
    generation: GenerationSettings,
    labelling: LabellingSettings,
    compute: ComputeSettings,
    workspace: Workspace,
    **families: FamilySettings,
) -> Finished:
    """Draw masks for real images.

    Args:
        generator: The generator.
        description: The data set that the images are like.
        generation: Which family.
        labelling: The images, and how often to draw.
        compute: Where.
        workspace: Where work is kept.
        families: Parameters of each family.

    Returns:
        The folder `drawn_labels`: masks, and the share of draws that agree, on the grids of the images.

    Raises:
        SatSynthError: The generator cannot draw a mask for an image, or images are missing or cannot be read.
    """
    require_family(generator, generation.family)
    require_classes(generator, description.class_names)
    family, settings = chosen(generation.family, families)
    family.require_layouts(settings, "model")
    images = find_images(labelling.images, workspace.folder)
    artist = Artist(generator.path, settings, compute)
    log.info("Labelling: %d image(s) of %s, %d draws each", len(images), labelling.images, labelling.draws)
    done = remembered(
        workspace,
        labelling_step(artist, images, description, labelling),
        lambda folder: label_images(folder, artist, images, description, labelling),
    )
    return Finished(done.result)
