"""Images without masks, of folders that a description names: scenes of a split of their own.

They teach generators how images look. An image that shows a scene of val or test would teach them what is held out, so
it is refused wherever that is seen without decoding it: by its file, its content, its name, its group or its place on
the ground.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from satsynth.datasets.description import DatasetDescription
from satsynth.datasets.names import composed
from satsynth.rasters.by_name import IMAGES, rasters_by_name
from satsynth.rasters.opening import require_plain
from satsynth.rasters.reading import raster_info
from satsynth.scenes.files import name_problem, unlabelled_folders
from satsynth.scenes.found import AssignedScene
from satsynth.scenes.opened import opened_scene
from satsynth.scenes.problems import BadFile
from satsynth.scenes.scene import Scene
from satsynth.scenes.splits import HELD_OUT, UNLABELLED, on_the_same_ground
from satsynth.work.errors import DataError, printable

log = logging.getLogger(__name__)


def unlabelled_scenes(
    description: DatasetDescription,
    raw: Path,
    matched: Sequence[AssignedScene],
    scenes: Sequence[Scene],
    digest: Callable[[Path], str],
    held_out_images: bool = False,
) -> tuple[list[Scene], list[BadFile]]:
    """Return the unlabelled images that can be used as scenes, and the files that cannot be used.

    An image that has a mask is no unlabelled one, so a folder may hold both.

    Args:
        description: The data set.
        raw: Its raw folder, resolved.
        matched: Scenes that the layout finds, those without a mask among them.
        scenes: Those with a mask that can be used.
        digest: Digest of a file's content.
        held_out_images: Whether images that show scenes of val or test are used, with a note, or bad files.

    Raises:
        DataError: A folder holds no images, or two of one name.
    """
    if not description.images.unlabelled:
        return [], []
    held_out = HeldOut(matched, scenes, raw, digest)
    masks = {(raw / scene.mask).resolve() for scene in matched if scene.mask}
    labelled = {(raw / scene.image).resolve() for scene in matched if scene.mask}
    opened: list[Scene] = []
    bad: list[BadFile] = []
    for image in _images(description, raw):
        path = (raw / image.image).resolve()
        if path in masks or (path in labelled and not (held_out_images and held_out.has(path))):
            continue
        found = _opened(image, description.scale, raw, digest)
        if isinstance(found, Scene):
            opened.append(found)
        else:
            bad.append(found)
    shown = held_out.shown_by(opened)
    if not held_out_images:
        bad += [_refused(scene, *shown[scene.scene_id]) for scene in opened if scene.scene_id in shown]
        return [scene for scene in opened if scene.scene_id not in shown], bad
    if shown:
        log.warning("%d unlabelled image(s) show scenes of val or test; generators learn from them.", len(shown))
    names = {scene_id: other.scene_id for scene_id, (other, _) in shown.items()}
    return [replace(scene, shows=names.get(scene.scene_id)) for scene in opened], bad


def _images(description: DatasetDescription, raw: Path) -> Iterator[AssignedScene]:
    """Yield the images of all folders, each file once."""
    seen = set()
    for number, (folder, place) in enumerate(
        zip(description.images.unlabelled, unlabelled_folders(description, raw), strict=True), 1
    ):
        files = rasters_by_name(place, IMAGES)
        if not files:
            raise DataError(
                f"The folder {place}, which `images.unlabelled` of the data set '{description.name}' names, holds no "
                "images.",
                f"Correct its name, or put images there ({', '.join(IMAGES)}).",
            )
        for name, path in files.items():
            # A folder may lie in another one.
            if path.resolve() not in seen:
                seen.add(path.resolve())
                image = (Path(folder).expanduser() / path.relative_to(place)).as_posix()
                yield AssignedScene(f"{UNLABELLED}/{number}/{name}", UNLABELLED, image, "", UNLABELLED, None)


def _opened(image: AssignedScene, scale: float, raw: Path, digest: Callable[[Path], str]) -> Scene | BadFile:
    """Return an image with its size and digest, or what is wrong with its file."""
    problem = name_problem(image.image)
    if problem:
        return BadFile(printable(image.image, allowed=""), *problem, image.scene_id)
    try:
        require_plain(raw / image.image)
        return opened_scene(image, raster_info(raw / image.image), scale, raw, digest)
    except Exception as error:
        return BadFile.caught(error, image.image, raw, image.scene_id)


def _refused(scene: Scene, other: AssignedScene, how: str) -> BadFile:
    return BadFile(
        scene.image,
        f"is an unlabelled image and {how}, which is in {other.split}",
        "Remove the image, or rename it if it only has the same name. To let generators learn from held-out images "
        "nevertheless, set `ingestion.held_out_images: use`; the report then says so.",
        scene.scene_id,
    )


class HeldOut:
    """What is held out, by all that an unlabelled image may have in common with it.

    Args:
        matched: Scenes that the layout finds, those without a mask among them.
        scenes: Those with a mask that can be used.
        raw: The raw folder.
        digest: Digest of a file's content.
    """

    def __init__(
        self,
        matched: Sequence[AssignedScene],
        scenes: Sequence[Scene],
        raw: Path,
        digest: Callable[[Path], str],
    ) -> None:
        """Index the scenes of val and test."""
        self._raw, self._digest = raw, digest
        self._scenes = [scene for scene in scenes if scene.split in HELD_OUT]
        self._by_file = {(raw / scene.image).resolve(): scene for scene in matched if scene.split in HELD_OUT}
        self._by_content = {digest(raw / scene.image): scene for scene in self._scenes}
        stems = Counter(_stem(image) for image in {scene.image for scene in matched})
        # A name that several images have, such as `image.png` in the folder of each scene, says nothing.
        self._by_name = {_stem(scene.image): scene for scene in self._scenes if stems[_stem(scene.image)] == 1}

    def has(self, path: Path) -> bool:
        """Return whether a file is the image of a held-out scene."""
        return path in self._by_file

    def shown_by(self, images: Sequence[Scene]) -> dict[str, tuple[AssignedScene, str]]:
        """Return which scene each of some unlabelled images shows, by identifier, and how that was seen, in words."""
        found: dict[str, tuple[AssignedScene, str]] = {}
        for pair in on_the_same_ground([*self._scenes, *images]):
            image, other = sorted(pair, key=lambda scene: scene.split != UNLABELLED)
            # The others are pairs of val and test.
            if image.split == UNLABELLED:
                found[image.scene_id] = other, f"shows the ground of the scene '{other.scene_id}'"
        for image in images:
            same = self._same(image)
            if same is not None:
                found[image.scene_id] = same
        return found

    def _same(self, image: Scene) -> tuple[AssignedScene, str] | None:
        """Return the scene that an image shows by file, content or name."""
        path = self._raw / image.image
        own = self._by_file.get(path.resolve())
        if own is not None:
            return own, f"is that of the scene '{own.scene_id}' of the group '{own.group}'"
        copied = self._by_content.get(self._digest(path))
        if copied is not None:
            return copied, f"is a copy of {copied.image}"
        named = self._by_name.get(_stem(image.image))
        return None if named is None else (named, f"has the name of {named.image}")


def _stem(image: str) -> str:
    return composed(PurePosixPath(image).stem)
