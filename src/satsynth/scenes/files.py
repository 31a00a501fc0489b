"""Find images in a raw folder and match them with their masks."""

from __future__ import annotations

import os
import re
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from satsynth.datasets.description import DatasetDescription, FilesLayout
from satsynth.datasets.names import composed, plain
from satsynth.datasets.places import has_control_characters
from satsynth.scenes.found import AssignedScene, FoundScene
from satsynth.scenes.patterns import match_names
from satsynth.scenes.problems import BadFile
from satsynth.scenes.splits import assign_splits
from satsynth.work.errors import DataError, printable


def file_scenes(
    description: DatasetDescription, layout: FilesLayout, raw: Path
) -> tuple[list[AssignedScene], list[BadFile]]:
    """Find the images of a data set and match them with their masks.

    Args:
        description: The data set.
        layout: How its files are named.
        raw: Its raw folder.

    Returns:
        Scenes with their splits, and the files that cannot be used. An image without a mask below a folder of
        `images.unlabelled` is a scene without a mask.

    Raises:
        DataError: No file matches the pattern for images, or the splits cannot be made.
    """
    listing = _list(raw)
    names, bad = listing.names, listing.bad
    matches = [
        (name, parts) for name, parts in zip(names, _matches(layout.pattern, names), strict=True) if parts is not None
    ]
    if not matches:
        raise DataError(
            f"None of the {len(names)} files below {raw} matches the pattern {layout.pattern!r} "
            f"of the data set '{description.name}'.",
            f"Check the folder, or correct `layout.pattern`. The first files are: {', '.join(names[:5]) or 'none'}.",
        )
    known = {plain(name): name for name in names} | {composed(name): name for name in names}
    found = []
    for image, parts in matches:
        wanted = os.path.normpath(layout.mask.format(**parts))
        mask = known.get(wanted) or known.get(plain(wanted)) or wanted
        scene, group = layout.scene.format(**parts), layout.group.format(**parts)
        found.append(FoundScene(scene, group, image, mask))
    aside = unlabelled_folders(description, raw)
    maskless = {name for name in names if any((raw / name).is_relative_to(folder) for folder in aside)}
    used = {scene.mask for scene in found} | {scene.image for scene in found}
    bad += _orphans(layout, names, used | maskless)
    splits, unmatched = assign_splits(found, description, raw)
    bad += unmatched
    assigned = [
        AssignedScene(**vars(scene), split=split, window=None)
        for scene, split in zip(found, splits, strict=True)
        if split is not None
    ]
    present = set(names)
    maskless &= {scene.image for scene in assigned if scene.mask not in present}
    usable, unusable = _usable([scene for scene in assigned if scene.image not in maskless], listing)
    return usable + [replace(scene, mask="") for scene in assigned if scene.image in maskless], bad + unusable


def unlabelled_folders(description: DatasetDescription, raw: Path) -> list[Path]:
    """Return the folders of `images.unlabelled`, resolved."""
    return [(raw / Path(folder).expanduser()).resolve() for folder in description.images.unlabelled]


@dataclass
class _Listing:
    """Contents of a raw folder.

    Args:
        names: Paths of files below it.
        links: Target of each symbolic link that leads out of it.
        bad: Files and folders that cannot be used, whatever they hold.
    """

    names: list[str] = field(default_factory=list)
    links: dict[str, Path] = field(default_factory=dict)
    bad: list[BadFile] = field(default_factory=list)


def _list(raw: Path) -> _Listing:
    found = _Listing()

    def unreadable_folder(error: OSError) -> None:
        folder = Path(os.fsdecode(error.filename)).relative_to(raw).as_posix()
        remedy = "Give this user read access to the folder."
        found.bad.append(BadFile(folder, f"cannot be opened ({error.strerror})", remedy))

    for folder, folders, files in os.walk(raw, onerror=unreadable_folder):
        # Notebooks and macOS leave copies of pictures in hidden files and folders.
        folders[:] = [name for name in folders if not name.startswith((".", "__MACOSX"))]
        for name in [*(name for name in files if not name.startswith(".")), *folders]:
            path = Path(folder, name)
            below = path.relative_to(raw).as_posix()
            target = path.resolve() if path.is_symlink() else path
            if not target.is_relative_to(raw):
                found.links[below] = target
            problem = name_problem(below)
            if name in files and not problem:
                found.names.append(below)
            elif name in files and problem:
                found.bad.append(BadFile(printable(below, allowed=""), *problem))
            elif below in found.links:
                found.bad.append(_link(below, target))
    found.names.sort()
    return found


def name_problem(name: str) -> tuple[str, str] | None:
    """Return problem and remedy of a name that cannot be used; None for all others."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        encoding = sys.getfilesystemencoding()
        if encoding.lower() != "utf-8":
            remedy = "Set a UTF-8 locale and repeat the command: export LC_ALL=C.UTF-8 PYTHONUTF8=1"
            return f"has a name with letters that this locale (encoding {encoding}) lacks", remedy
        return "has a name that is not UTF-8", "Rename the file."
    return ("has a name with control characters", "Rename the file.") if has_control_characters(name) else None


def _link(name: str, target: Path, scene: str = "") -> BadFile:
    problem = f"is a symbolic link that leads out of the raw folder, to {target}"
    remedy = "Replace the link by a copy of its target, or name that folder as raw data: --params=raw=<folder>."
    return BadFile(name, problem, remedy, scene)


def _matches(pattern: str, names: Sequence[str], flags: int = 0) -> list[dict[str, str] | None]:
    """Return the pattern's groups in each name, or None where neither the name nor its plain form matches."""
    found = match_names(pattern, [*map(composed, names), *map(plain, names)], flags)
    return [
        written if written is not None else lowered
        for written, lowered in zip(found[: len(names)], found[len(names) :], strict=True)
    ]


def _usable(scenes: Sequence[AssignedScene], listing: _Listing) -> tuple[list[AssignedScene], list[BadFile]]:
    """Separate scenes that have a mask and a unique name from those that do not."""
    names = set(listing.names)
    count = Counter(scene.scene_id for scene in scenes)
    usable, bad = [], []
    for scene in scenes:
        outside = [name for name in (scene.image, scene.mask) if name in listing.links]
        if outside:
            bad += [_link(name, listing.links[name], scene.scene_id) for name in outside]
            continue
        if count[scene.scene_id] > 1:
            problem = f"is one of {count[scene.scene_id]} images that give the same scene identifier '{scene.scene_id}'"
            remedy = "Change `layout.scene` so that each image gets an identifier of its own."
        elif scene.mask.startswith(("..", "/")):
            problem = f"has no mask: {scene.mask} lies outside the raw folder"
            remedy = "Set `layout.mask` to a path below the raw folder."
        elif scene.mask not in names:
            problem = f"has no mask: {scene.mask} does not exist"
            remedy = "Add the mask, or remove the image."
        else:
            usable.append(scene)
            continue
        bad.append(BadFile(scene.image, problem, remedy, scene.scene_id))
    return usable, bad


def _orphans(layout: FilesLayout, names: Iterable[str], used: set[str]) -> list[BadFile]:
    """Return masks that belong to no image."""
    try:
        expression, flags = _mask_pattern(layout), re.compile(layout.pattern).flags
        re.compile(expression, flags)
    except re.error:
        # A group that refers to another one cannot be taken out of the pattern, so orphans are not detected.
        return []
    unused = [name for name in names if name not in used]
    return [
        BadFile(name, "is a mask without an image", "Add the image, or remove the mask.")
        for name, parts in zip(unused, _matches(expression, unused, flags), strict=True)
        if parts is not None
    ]


def _mask_pattern(layout: FilesLayout) -> str:
    """Return a regular expression for masks: the template of their path, with each group's own expression filled in."""
    parts = re.split(r"{(\w+)}", layout.mask)
    seen: set[str] = set()
    expression = ""
    for number, part in enumerate(parts):
        if number % 2 == 0:
            expression += re.escape(part)
        elif part in seen:
            expression += f"(?P={part})"
        else:
            seen.add(part)
            inner = re.sub(r"\(\?P<\w+>", "(?:", _group(layout.pattern, part))
            expression += f"(?P<{part}>{inner})"
    return expression


def _group(pattern: str, name: str) -> str:
    """Return the expression inside a named group of a valid pattern that has this group."""
    start = pattern.index(f"(?P<{name}>") + len(f"(?P<{name}>")
    depth, place, in_set = 1, start, False
    while depth:
        character = pattern[place]
        if character == "\\":
            place += 1
        elif in_set:
            in_set = character != "]"
        elif character == "[":
            in_set = True
            # A bracket directly after the opening bracket, or after its ^, is an ordinary character.
            rest = pattern[place + 1 :]
            place += len(rest) - len(rest.removeprefix("^").removeprefix("]"))
        else:
            depth += (character == "(") - (character == ")")
        place += 1
    return pattern[start : place - 1]
