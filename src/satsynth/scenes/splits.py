"""Assign scenes to splits, and check that splits do not overlap."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

import numpy as np

from satsynth.datasets.description import DatasetDescription
from satsynth.datasets.names import composed
from satsynth.datasets.places import inside
from satsynth.rasters.opening import require_plain
from satsynth.rasters.placement import Bounds, bounds_of
from satsynth.scenes.found import AssignedScene, FoundScene
from satsynth.scenes.problems import BadFile
from satsynth.scenes.scene import Scene
from satsynth.work.errors import DataError, listing

# Splits of labelled scenes, and that of images without masks, which only teach generators how images look.
SPLITS, UNLABELLED = ("train", "val", "test"), "unlabelled"
ALL_SPLITS, HELD_OUT = (*SPLITS, UNLABELLED), ("val", "test")


def labelled(scenes: Iterable[Scene]) -> list[Scene]:
    """Return the scenes that are not unlabelled."""
    return [scene for scene in scenes if scene.split != UNLABELLED]


def assign_splits(
    scenes: Sequence[FoundScene], description: DatasetDescription, raw: Path
) -> tuple[list[str | None], list[BadFile]]:
    """Return the split of each scene.

    Args:
        scenes: The scenes.
        description: The data set.
        raw: Its raw folder, which holds the lists of splits.

    Returns:
        For each scene its split, or None where the data set's lists leave it out, and the entries of the lists that
        match no scene or several.

    Raises:
        DataError: A list is missing, or a scene is named for two splits.
    """
    listed, bad = _listed(scenes, description, raw)
    rest = None if description.splits.lists.train else "train"
    splits = [listed.get(number, rest) for number in range(len(scenes))]
    return [
        _by_pattern(scene, description) if split == "train" else split
        for scene, split in zip(scenes, splits, strict=True)
    ], bad


def _by_pattern(scene: FoundScene, description: DatasetDescription) -> str:
    rule = description.splits
    name = scene.group if rule.by == "group" else scene.scene_id
    named = [split for split in ("val", "test") if any(fnmatch(name, pattern) for pattern in getattr(rule, split))]
    if len(named) > 1:
        raise DataError(
            f"The {rule.by} '{name}' of the data set '{description.name}' is listed under both `splits.val` and "
            "`splits.test`.",
            "Remove it from one of them.",
        )
    return named[0] if named else "train"


def _listed(
    scenes: Sequence[FoundScene], description: DatasetDescription, raw: Path
) -> tuple[dict[int, str], list[BadFile]]:
    """Return the split of each listed scene by its index, and the lines that match no scene or several."""
    split_of: dict[int, str] = {}
    lists = description.splits.lists.named()
    names = _names(scenes) if lists else {}
    bad = []
    for split, file in lists.items():
        for number, line in enumerate(_lines(inside(raw, file), description), 1):
            name = composed(line.strip())
            found = names.get(name, []) if name else []
            if name and len(found) != 1:
                what = f"{len(found)} images here" if found else "no image here"
                remedy = "Add the image, or delete the line." if not found else "Write the name with its folder."
                bad.append(BadFile(file, f"names '{name}' in line {number}, which is {what}", remedy))
            for scene in found[:1]:
                if split_of.setdefault(scene, split) != split:
                    raise DataError(
                        f"The scene '{scenes[scene].scene_id}' of the data set '{description.name}' is named in the "
                        f"lists of both {split_of[scene]} and {split} ({raw / file}, line {number}).",
                        "Remove it from one of them.",
                    )
    return split_of, bad


def _names(scenes: Sequence[FoundScene]) -> dict[str, list[int]]:
    """Return the indices of scenes by every name that a list may use for them."""
    names: dict[str, list[int]] = defaultdict(list)
    for number, scene in enumerate(scenes):
        path = PurePosixPath(scene.image)
        for name in {scene.scene_id, scene.image, str(path.with_suffix("")), path.name, path.stem}:
            names[composed(name)].append(number)
    return names


def _lines(path: Path, description: DatasetDescription) -> list[str]:
    if path.exists():
        require_plain(path)
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = "is missing" if isinstance(error, FileNotFoundError) else f"cannot be read ({error})"
        raise DataError(
            f"{path}, a list under `splits.lists` of the data set '{description.name}', {why}.",
            description.obtain,
        ) from error


def check_named(scenes: Sequence[AssignedScene], description: DatasetDescription) -> None:
    """Refuse patterns that match nothing, and empty splits.

    Raises:
        DataError: A pattern matches nothing, or a split has no scene.
    """
    rule = description.splits
    names = sorted({scene.group if rule.by == "group" else scene.scene_id for scene in scenes})
    for split in ("val", "test"):
        unmatched = [name for name in getattr(rule, split) if not any(fnmatch(known, name) for known in names)]
        if unmatched:
            raise DataError(
                f"`splits.{split}` of the data set '{description.name}' names {unmatched}, which no {rule.by} matches.",
                f"Correct the pattern. The {rule.by}s are: {_some(names)}.",
            )
    for split in SPLITS:
        if not any(scene.split == split for scene in scenes):
            why = "all scenes are in val or test" if split == "train" else "no scene is assigned to it"
            raise DataError(
                f"The split '{split}' of the data set '{description.name}' is empty: {why}.",
                f"Correct `splits`. The {rule.by}s are: {_some(names)}.",
            )


def check_apart(scenes: Iterable[Scene], shared_masks: bool = False) -> None:
    """Refuse labelled scenes that would put a pixel into two splits.

    Args:
        scenes: The scenes.
        shared_masks: Whether images of different places may share one mask, as with polygons on a map.

    Raises:
        DataError: One scene has two splits, or windows of one image, or of one mask, overlap across splits.
    """
    split_of: dict[str, str] = {}
    by_image: dict[str, list[Scene]] = defaultdict(list)
    by_mask: dict[str, list[Scene]] = defaultdict(list)
    leaks = []
    for scene in labelled(scenes):
        if split_of.setdefault(scene.scene_id, scene.split) != scene.split:
            leaks.append(f"the scene '{scene.scene_id}' is in both {split_of[scene.scene_id]} and {scene.split}")
        by_image[scene.image].append(scene)
        by_mask[scene.mask].append(scene)
    for image, parts in by_image.items():
        leaks += [
            f"'{a.scene_id}' ({a.split}) and '{b.scene_id}' ({b.split}) overlap in {image}" for a, b in _overlaps(parts)
        ]
    for mask, parts in ({} if shared_masks else by_mask).items():
        leaks += [
            f"'{a.scene_id}' ({a.split}) and '{b.scene_id}' ({b.split}) have the same labels, {mask}"
            for a, b in (_overlaps(parts) if len({scene.image for scene in parts}) > 1 else [])
            if a.image != b.image
        ]
    if leaks:
        raise DataError(
            f"{len(leaks)} scene(s) would be in more than one split:\n{listing(leaks)}",
            "Correct `layout` or `splits` in the data set's description so that each pixel belongs to one split.",
        )


def neighbours_across_splits(scenes: Sequence[Scene]) -> list[str]:
    """Describe pairs of scenes in different splits that show the same ground."""
    return [f"'{a.scene_id}' ({a.split}) and '{b.scene_id}' ({b.split})" for a, b in on_the_same_ground(scenes)]


def on_the_same_ground(scenes: Iterable[Scene]) -> list[tuple[Scene, Scene]]:
    """Return pairs of georeferenced scenes in different splits that show the same ground.

    Scenes that only touch, or overlap by less than 1 % of the smaller one, do not count.
    """
    by_crs: dict[str, list[Scene]] = defaultdict(list)
    for scene in scenes:
        if scene.crs is not None and scene.transform is not None:
            by_crs[scene.crs].append(scene)
    return [pair for parts in by_crs.values() for pair in _on_the_same_ground(parts)]


def _on_the_same_ground(parts: Sequence[Scene]) -> list[tuple[Scene, Scene]]:
    if len({scene.split for scene in parts}) < 2 or len({scene.image for scene in parts}) < 2:
        return []
    left, bottom, right, top = np.array([_ground(scene) for scene in parts]).T
    area = (right - left) * (top - bottom)
    splits, images = (np.array([getattr(scene, name) for scene in parts]) for name in ("split", "image"))
    found = []
    for i, scene in enumerate(parts):
        after = np.s_[i + 1 :]
        width = np.minimum(right[i], right[after]) - np.maximum(left[i], left[after])
        height = np.minimum(top[i], top[after]) - np.maximum(bottom[i], bottom[after])
        shared = width.clip(0) * height.clip(0) > 0.01 * np.minimum(area[i], area[after])
        across = (splits[after] != splits[i]) & (images[after] != images[i])
        found += [(scene, parts[i + 1 + int(j)]) for j in np.flatnonzero(shared & across)]
    return found


def _ground(scene: Scene) -> Bounds:
    x, y, width, height = scene.window
    return bounds_of(scene.transform or (), (x, x + width), (y, y + height))


def _overlaps(parts: Sequence[Scene]) -> list[tuple[Scene, Scene]]:
    if len({scene.split for scene in parts}) < 2:
        return []
    x, y, width, height = np.array([scene.window for scene in parts]).T
    splits = np.array([scene.split for scene in parts])
    found = []
    for i, scene in enumerate(parts):
        after = np.s_[i + 1 :]
        across = (np.maximum(x[i], x[after]) < np.minimum(x[i] + width[i], (x + width)[after])) & (
            np.maximum(y[i], y[after]) < np.minimum(y[i] + height[i], (y + height)[after])
        )
        found += [(scene, parts[i + 1 + int(j)]) for j in np.flatnonzero(across & (splits[after] != splits[i]))]
    return found


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:40]) + (f" and {len(names) - 40} more" if len(names) > 40 else "")
