"""Drawing masks for real images that have none, with the share of draws that agree."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from satsynth.datasets.description import DatasetDescription
from satsynth.datasets.painting import LEGEND, Painter
from satsynth.generation.drawers import SceneDrawer
from satsynth.generation.painting import Artist, draw_scenes, drawer_of, finish_rasters, number_of
from satsynth.generation.saved import SavedGenerator
from satsynth.generation.settings import MOST_DRAWS, LabellingSettings
from satsynth.rasters.arrays import ARRAYS
from satsynth.rasters.by_name import IMAGES, PICTURES, rasters_by_name
from satsynth.rasters.opening import JPEG2000, require_plain
from satsynth.rasters.reading import raster_info, read_image, read_valid, reduce_image, reduce_mask
from satsynth.rasters.writing import write_raster
from satsynth.scenes.problems import BadFile
from satsynth.work.errors import DataError, listing
from satsynth.work.files import file_digest, write_json
from satsynth.work.folder import Step, WorkFolder
from satsynth.work.ignore import IGNORE_INDEX
from satsynth.work.units import Advance, Report

RESULT_VERSION = 1


def find_images(path: str, project: Path) -> dict[str, Path]:
    """Return the images to be labelled by their names.

    Args:
        path: Their folder, absolute or relative to the project.
        project: Folder of the project.

    Raises:
        DataError: No folder is named, it holds no images, or some of them cannot be opened.
    """
    folder = project / Path(path).expanduser()
    # Beside pictures, arrays are what another program keeps about them.
    found = (rasters_by_name(folder, (*PICTURES, *JPEG2000)) or rasters_by_name(folder, ARRAYS)) if path else {}
    if not found:
        raise DataError(
            f"`labelling.images` {path!r} holds no images ({', '.join(IMAGES)}).",
            "Name a folder of images: --params=labelling.images=<folder>",
        )
    bad = [problem for image in found.values() if (problem := _problem(image))]
    if bad:
        raise DataError(
            f"{len(bad)} of {len(found)} image(s) of `labelling.images` cannot be opened:\n{listing(bad, 10)}",
            "Repair these files or take them out of the folder.",
        )
    return found


def _problem(image: Path) -> str:
    """Return what is wrong with the header of an image, or nothing."""
    try:
        require_plain(image)
        raster_info(image)
    except Exception as error:
        return f"{image} {BadFile.caught(error, image.name, image.parent).problem}"
    return ""


def labelling_step(
    artist: Artist, images: Mapping[str, Path], description: DatasetDescription, labelling: LabellingSettings
) -> Step:
    """Return what identifies drawn labels."""
    generator, decided = artist.identity()
    decided |= labelling.model_dump(mode="json", exclude={"images"})
    used = {"classes", "ignore", "images", "scale"}
    decided["description"] = description.model_dump(mode="json", include=used, exclude={"images": {"unlabelled"}})
    # Apart from the generator's own name, which an image may have too.
    files = {f"images/{name}": file_digest(path) for name, path in images.items()}
    return Step("labelling", RESULT_VERSION, generator | files, decided)


def label_images(
    folder: WorkFolder,
    artist: Artist,
    images: Mapping[str, Path],
    description: DatasetDescription,
    labelling: LabellingSettings,
) -> None:
    """Draw masks for each image and write the majority and its share; images that are done are kept.

    Args:
        folder: Work folder of `labelling_step`.
        artist: The generator.
        images: The images by name.
        description: The data set: bands and intensities of its images, their scale, and the values of its masks.
        labelling: How often to draw.
    """
    scenes = [
        (labelling.draws, (name, path, artist, description, labelling, folder.result)) for name, path in images.items()
    ]
    draw_scenes(folder, label_image, scenes, "Labelling", "draws")
    write_json(folder.result / LEGEND, Painter(description).legend())
    finish_rasters(folder, "drawn labels", list(images))


def label_image(
    mark: Path,
    name: str,
    path: Path,
    artist: Artist,
    description: DatasetDescription,
    labelling: LabellingSettings,
    target: Path,
    report: Report,
) -> None:
    """Label one image and write mask and agreement, then its mark: an independent unit of work."""
    info, form = raster_info(path), description.images
    image, valid = read_image(path, None, form), read_valid(path, None, form)
    height, width = (max(1, round(length * description.scale)) for length in image.shape[:2])
    saved, scaled = SavedGenerator(artist.generator), reduce_image(image, height, width)
    mask, agreement = vote(
        drawer_of(artist), scaled, saved.tile_size, len(saved.class_names), number_of(name), labelling, report
    )
    mask, agreement = (reduce_mask(part, info.height, info.width) for part in (mask, agreement))
    if valid is not None:
        mask, agreement = np.where(valid, mask, IGNORE_INDEX), np.where(valid, agreement, 0)
    for kind, pixels in (("masks", Painter(description).paint(mask)), ("agreement", agreement.astype(np.uint8))):
        write_raster(target / kind, name, pixels, info.crs, info.transform)
    write_json(mark, {})


def vote(
    drawer: SceneDrawer,
    image: np.ndarray,
    side: int,
    classes: int,
    number: int,
    labelling: LabellingSettings,
    report: Report,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw masks for an image and count votes.

    Args:
        drawer: The generator.
        image: ``(H, W, 3)`` uint8, in the scale of the generator's tiles.
        side: Side of a tile in pixels; a smaller image is mirrored outwards.
        classes: Number of classes.
        number: Number of the image.
        labelling: Seed, number of draws and batches.
        report: Told of each draw.

    Returns:
        The class with most votes ``(H, W)`` uint8, and the share of draws that chose it, in percent ``(H, W)`` uint8.
    """
    height, width = image.shape[:2]
    below, right = max(0, side - height), max(0, side - width)
    padded = np.pad(image, ((0, below), (0, right), (0, 0)), mode="symmetric")
    votes = np.zeros((classes, height, width), np.uint16)
    for draw in range(labelling.draws):
        found = drawer.label_scene(number * MOST_DRAWS + draw, padded, labelling.seed, labelling.batch_size)
        for k in range(classes):
            votes[k] += found[:height, :width] == k
        report(Advance(1))
    share = np.rint(votes.max(0) * (100 / labelling.draws))
    return votes.argmax(0).astype(np.uint8), share.astype(np.uint8)
