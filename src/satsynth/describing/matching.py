"""Find images and masks below a folder, and match them."""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from satsynth.datasets.names import composed
from satsynth.datasets.places import has_control_characters, is_inside
from satsynth.describing.annotations import annotation_kind, coco_pairs
from satsynth.describing.values import has_few_values

RASTERS = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".jp2", ".j2k", ".npy", ".npz")
VECTORS = (".geojson", ".gpkg")
ANNOTATIONS = (".json", ".txt")
_LOOKS = {
    ".xml": "Pascal VOC",
    ".shp": "polygons (describe them by hand)",
    ".fgb": "polygons (describe them by hand)",
    ".kml": "polygons (convert them: ogr2ogr new.gpkg old.kml)",
    ".zip": "an archive (unpack it)",
    ".mat": "MATLAB",
    ".h5": "HDF5",
    ".nc": "NetCDF (convert it: gdal_translate)",
    ".img": "a raster (convert it: gdal_translate)",
}
# fmt: off
MASK_WORDS = frozenset([
    "mask", "masks", "label", "labels", "labeled", "lab", "gt", "gts", "groundtruth", "truth", "ann", "anns",
    "annotation", "annotations", "annot", "seg", "segmentation", "segmentationclass", "semantic", "target",
    "targets", "lbl", "lbls", "polygons",
])
IMAGE_WORDS = frozenset([
    "image", "images", "img", "imgs", "rgb", "sat", "photo", "photos", "picture", "pictures", "ortho", "orthos",
    "source", "src", "input", "inputs", "jpegimages", "raster", "rasters", "org", "original",
])
# Words that distinguish formats and variants, not scenes.
NOISE_WORDS = frozenset([
    "png", "jpg", "jpeg", "tif", "tiff", "dir", "folder", "files", "color", "colour", "instance", "id", "ids",
])
# fmt: on
_ROLE_WORDS = MASK_WORDS | IMAGE_WORDS | NOISE_WORDS
Key = tuple[str, ...]


@dataclass(frozen=True)
class Matching:
    """Images and masks that belong together. Paths are relative to the folder, with '/' between folders.

    Args:
        pairs: Image and mask of each scene, sorted.
        without_mask: Images that have no mask.
        without_image: Masks that have no image.
        notes: Decisions that are uncertain.
        annotated: Kind of the annotations that are the masks: `coco`, `labelme` or `yolo`; empty for others.
        passed_over: Files in whose place another one of the same scene was chosen.
    """

    pairs: list[tuple[str, str]]
    without_mask: list[str] = field(default_factory=list)
    without_image: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    annotated: str = ""
    passed_over: list[str] = field(default_factory=list)


def match_files(folder: Path) -> Matching:
    """Find images and masks and match them by name.

    Words such as `masks` or `labels` in folder or file names distinguish masks from images. Without such a word, files
    with few distinct values are assumed to be masks.

    Args:
        folder: Folder to search at any depth. Hidden files are skipped.
    """
    paths = _files(folder)
    # Folders that all files share do not distinguish them.
    shared = len(PurePosixPath(os.path.commonpath([path.parent for path in paths])).parts) if paths else 0
    masks = [path for path in paths if _tokens_of(path, shared) & MASK_WORDS or path.suffix.lower() in VECTORS]
    notes = []
    if not masks:
        matched = _annotated(folder, paths)
        if matched is not None:
            return matched
    if not masks or len(masks) == len(paths):
        masks = _masks_by_content(folder, paths)
        if masks:
            notes.append(
                "No name says which files are masks, so those with few distinct values were assumed to be masks."
            )
    chosen = set(masks)
    images = [path for path in paths if path not in chosen]
    if len(masks) == 1 and masks[0].suffix.lower() in VECTORS:
        return Matching([(str(image), str(masks[0])) for image in images], notes=notes)
    # The first comparison of names that gives the most matches.
    best = max((_joined(images, masks, key) for key in KEYS), key=lambda matching: len(matching.pairs))
    return replace(best, notes=notes + best.notes)


def _annotated(folder: Path, images: Sequence[PurePosixPath]) -> Matching | None:
    """Match images with the files of annotation tools, or return None if there are none."""
    kinds: dict[str, list[PurePosixPath]] = defaultdict(list)
    for path in _visible(folder):
        if path.suffix.lower() in ANNOTATIONS:
            kinds[annotation_kind(folder / path) or ""].append(path)
    for kind in ("coco", "labelme", "yolo"):
        if kinds[kind] and kind == "coco":
            pairs = coco_pairs(folder, [str(image) for image in images], [str(file) for file in kinds[kind]])
            listed = {image for image, _ in pairs}
            left = [str(image) for image in images if str(image) not in listed]
            return Matching(pairs, left, annotated=kind)
        if kinds[kind]:
            # Empty files of YOLO are images of background.
            files = kinds[kind] + [path for path in kinds[""] if kind == "yolo" and not (folder / path).stat().st_size]
            best = max((_joined(images, files, key) for key in KEYS), key=lambda matching: len(matching.pairs))
            return replace(best, annotated=kind)
    return None


def not_understood(folder: Path) -> str:
    """Return in words which files of a folder are not read, with what they look like."""
    known = (*RASTERS, *VECTORS)
    found = Counter[str]()
    for path in _visible(folder):
        suffix = path.suffix.lower()
        if suffix not in known:
            kind = annotation_kind(folder / path) or _LOOKS.get(suffix)
            found[f"{suffix or 'without suffix'} file(s){f' that look like {kind}' if kind else ''}"] += 1
    links = links_out(folder)
    if links:
        what = f"link(s) that lead out of the folder, such as {links[0]} (replace them by copies of their targets)"
        found[what] = len(links)
    return ", ".join(f"{count} {what}" for what, count in found.most_common(6))


def links_out(folder: Path) -> list[str]:
    """Return the links below a folder that lead out of it, which ingestion refuses to follow."""
    found = (path for path in folder.rglob("*") if path.is_symlink() and not is_inside(folder, path))
    return sorted(
        name.as_posix() for name in (path.relative_to(folder) for path in found) if not _is_hidden(PurePosixPath(name))
    )


def _is_hidden(path: PurePosixPath) -> bool:
    return any(part.startswith((".", "__MACOSX")) for part in path.parts)


def _files(folder: Path) -> list[PurePosixPath]:
    known = (*RASTERS, *VECTORS)
    return [path for path in _visible(folder) if path.suffix.lower() in known]


def _visible(folder: Path) -> list[PurePosixPath]:
    found = (PurePosixPath(path.relative_to(folder).as_posix()) for path in folder.rglob("*") if path.is_file())
    return sorted(
        path
        for path in found
        if not has_control_characters(str(path)) and not _is_hidden(path) and is_inside(folder, folder / path)
    )


def tokens(name: str) -> list[str]:
    """Split a name at capitals and at characters other than letters and digits, and return its words in lower case.

    Letters and digits of all scripts count.
    """
    return [word.lower() for word in re.split(r"[\W_]+|(?<=[a-z])(?=[A-Z])", composed(name)) if word]


def _tokens_of(path: PurePosixPath, shared: int) -> set[str]:
    return {word for part in (*path.parent.parts[shared:], path.stem) for word in tokens(part)}


def _masks_by_content(folder: Path, paths: Sequence[PurePosixPath]) -> list[PurePosixPath]:
    kinds: dict[tuple[str, str], list[PurePosixPath]] = defaultdict(list)
    for path in paths:
        kinds[path.parent.name, path.suffix].append(path)
    return [
        path for files in kinds.values() if all(has_few_values(folder / file) for file in files[:2]) for path in files
    ]


def _without_role(name: str) -> str:
    return "_".join(word for word in tokens(name) if word not in _ROLE_WORDS)


def _exactly(name: str) -> str:
    """Return a name without the words for roles, each with one separator; signs such as + and - stay."""
    kept = ""
    for number, part in enumerate(re.split(r"([\W_]+)", composed(name))):
        if number % 2 == 0 and part.lower() in _ROLE_WORDS:
            kept = re.sub(r"[_\-. ]$", "", kept)
        else:
            kept += part
    return kept.strip("_. ") or kept


def _by_names(path: PurePosixPath) -> Key:
    folders = [kept for part in path.parent.parts if (kept := _exactly(part))]
    return (*folders, _exactly(path.stem))


def _by_words(path: PurePosixPath) -> Key:
    folders = [kept for part in path.parent.parts if (kept := _without_role(part))]
    return (*folders, _without_role(path.stem))


def _by_plain_folders(path: PurePosixPath) -> Key:
    """Leave out folders whose name contains the word for a role, with all other words of their names."""
    folders = [part for part in path.parent.parts if not set(tokens(part)) & _ROLE_WORDS]
    return (*folders, _without_role(path.stem))


def _by_grandparents(path: PurePosixPath) -> Key:
    return (*path.parent.parts[:-1], path.stem)


def _by_stem(path: PurePosixPath) -> Key:
    return (_without_role(path.stem),)


KEYS: tuple[Callable[[PurePosixPath], Key], ...] = (_by_names, _by_words, _by_plain_folders, _by_grandparents, _by_stem)


def _joined(
    images: Sequence[PurePosixPath], masks: Sequence[PurePosixPath], key: Callable[[PurePosixPath], Key]
) -> Matching:
    notes: list[str] = []
    by_key_images, by_key_masks = _one_each(images, key, "image", notes), _one_each(masks, key, "mask", notes)
    both = by_key_images.keys() & by_key_masks.keys()
    chosen = {*by_key_images.values(), *by_key_masks.values()}
    return Matching(
        sorted((str(by_key_images[name]), str(by_key_masks[name])) for name in both),
        sorted(str(path) for name, path in by_key_images.items() if name not in both),
        sorted(str(path) for name, path in by_key_masks.items() if name not in both),
        notes,
        passed_over=sorted(str(path) for path in {*images, *masks} - chosen),
    )


def _one_each(
    paths: Iterable[PurePosixPath], key: Callable[[PurePosixPath], Key], role: str, notes: list[str]
) -> dict[Key, PurePosixPath]:
    """Keep one file per key: of several kinds of file the most frequent one, and semantic before instance masks."""
    by_key: dict[Key, list[PurePosixPath]] = defaultdict(list)
    for path in paths:
        by_key[key(path)].append(path)
    if all(len(files) == 1 for files in by_key.values()):
        return {name: files[0] for name, files in by_key.items()}
    counts: dict[str, int] = defaultdict(int)
    for files in by_key.values():
        for path in files:
            counts[_kind(path)] += 1
    order = sorted(counts, key=lambda kind: (-counts[kind], "instance" in kind, kind))
    double = [files for files in by_key.values() if len(files) > 1]
    notes.append(
        f"{len(double)} scene(s) have several files that could be the {role}, such as {double[0][0]} and "
        f"{double[0][1]}. Files like {min(double[0], key=lambda path: order.index(_kind(path)))} were chosen."
    )
    return {name: min(files, key=lambda path: order.index(_kind(path))) for name, files in by_key.items()}


def _kind(path: PurePosixPath) -> str:
    words = [word for part in (*path.parent.parts, path.stem) for word in tokens(part) if word in _ROLE_WORDS]
    return " ".join([*words, path.suffix.lower()])
