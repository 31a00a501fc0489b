"""Derive the pattern of images and the template of masks from matched paths."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from pathlib import PurePosixPath

from satsynth.datasets.names import composed, plain

SPLIT_WORDS = {
    **dict.fromkeys(("train", "training", "trn"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing", "tst", "eval"), "test"),
}
MAX_LEFT_OUT = 50


@dataclass(frozen=True)
class Affixes:
    """How a part of an image's path becomes a part of its mask's path: the core stays, and the affixes change."""

    image_before: str = ""
    image_after: str = ""
    mask_before: str = ""
    mask_after: str = ""

    def core(self, image: str, mask: str) -> str | None:
        """Return what both have in common, or None if these affixes do not fit them."""
        core = image.removeprefix(self.image_before).removesuffix(self.image_after)
        fits = core and image == f"{self.image_before}{core}{self.image_after}"
        return core if fits and mask == f"{self.mask_before}{core}{self.mask_after}" else None


@dataclass(frozen=True)
class Template:
    """How images are found, and how the path of the mask follows from theirs.

    Args:
        pattern: Regular expression for an image's path.
        mask: Template of the mask's path.
        folders: Names of the pattern's groups that stand for folders, in order, without `split`.
        has_split: Whether the group `split` captures a folder that names the split.
        has_name: Whether the group `name` captures the file's name.
        used: The pairs that fit.
        left_out: Images that the pattern excludes by name.
        too_many: Images that the pattern should exclude, but that are too many to be named.
        unlike: Pairs at another folder depth, which need another description.
    """

    pattern: str
    mask: str
    folders: tuple[str, ...]
    has_split: bool
    has_name: bool
    used: list[tuple[str, str]]
    left_out: list[str]
    too_many: list[str]
    unlike: list[tuple[str, str]]


def find_affixes(images: Sequence[str], masks: Sequence[str]) -> Affixes | None:
    """Return the affixes that turn every image part into its mask part, or None.

    Args:
        images: A part of each image's path.
        masks: A part of each mask's path.
    """
    pairs = sorted(set(zip(images, masks, strict=True)))
    for image, mask in pairs[:20]:
        same = SequenceMatcher(None, image, mask, autojunk=False).find_longest_match()
        core = image[same.a : same.a + same.size]
        # Separators belong to the affixes.
        inner = core.strip("_-. ") if image != mask else core
        if not inner:
            continue
        start = core.index(inner)
        i, j = same.a + start, same.b + start
        found = Affixes(image[:i], image[i + len(inner) :], mask[:j], mask[j + len(inner) :])
        if all(found.core(*pair) for pair in pairs):
            return found
    return None


def generalise(pairs: Sequence[tuple[str, str]], others: Sequence[str]) -> Template | None:
    """Find one pattern and one template that hold for all pairs.

    Names are compared as ingestion compares them: accents as parts of their letters, extensions in lower case.

    Args:
        pairs: Image and mask of each scene; at least two.
        others: All other files, which the pattern must not match.

    Returns:
        The template, or None if no single one fits all pairs.
    """
    names = {*others, *(name for pair in pairs for name in pair)}
    # Where two files differ in nothing else, names are compared as they are.
    read = next((form for form in (plain, composed) if len(set(map(form, names))) == len(names)), str)
    written = {read(name): name for name in names}
    found = _generalised([(read(image), read(mask)) for image, mask in pairs], [read(name) for name in others])
    if found is None:
        return None
    return replace(
        found,
        used=[(written[image], written[mask]) for image, mask in found.used],
        left_out=[written[name] for name in found.left_out],
        too_many=[written[name] for name in found.too_many],
        unlike=[(written[image], written[mask]) for image, mask in found.unlike],
    )


def _generalised(pairs: Sequence[tuple[str, str]], others: Sequence[str]) -> Template | None:
    depths = Counter((image.count("/"), mask.count("/")) for image, mask in pairs)
    depth = max(depths, key=lambda found: (depths[found], found))
    used = [pair for pair in pairs if (pair[0].count("/"), pair[1].count("/")) == depth]
    images, masks = _columns([image for image, _ in used]), _columns([mask for _, mask in used])
    names = _group_names(images)
    affixes: dict[int, Affixes] = {}
    parts = []
    for position, values in enumerate(masks):
        if len(set(values)) == 1:
            parts.append(_braced(values[0]))
            continue
        source = _source_of(values, position - len(masks), images, names, affixes)
        if source is None:
            return None
        found = affixes[source]
        parts.append(f"{_braced(found.mask_before)}{{{names[source]}}}{_braced(found.mask_after)}")
    suffix, mask_suffix = _suffixes(used)
    if mask_suffix is None:
        return None
    mask = "/".join(parts) + mask_suffix
    pattern = _pattern(images, names, affixes, suffix, masks, others)
    left_out = [path for path in others if re.fullmatch(pattern, path)]
    pattern = _restricted(pattern, names.values(), [image for image, _ in used], left_out)
    remaining = [path for path in left_out if re.fullmatch(pattern, path)]
    if 0 < len(remaining) <= MAX_LEFT_OUT:
        pattern = f"(?!(?:{'|'.join(map(escape, remaining))})$){pattern}"
    return Template(
        pattern,
        mask,
        tuple(name for name in names.values() if name not in ("name", "split")),
        "split" in names.values(),
        "name" in names.values(),
        used,
        left_out,
        remaining if len(remaining) > MAX_LEFT_OUT else [],
        [pair for pair in pairs if (pair[0].count("/"), pair[1].count("/")) != depth],
    )


def escape(text: str) -> str:
    """Escape only the special characters of regular expressions, so that the result stays readable."""
    return re.sub(r"([.^$*+?{}\[\]\\|()])", r"\\\1", text)


def _braced(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


def _columns(paths: Sequence[str]) -> list[list[str]]:
    """Return folders and stem of all paths, one list per position."""
    split = [(*PurePosixPath(path).parent.parts, PurePosixPath(path).stem) for path in paths]
    return [list(column) for column in zip(*split, strict=True)]


def _group_names(columns: Sequence[Sequence[str]]) -> dict[int, str]:
    """Name the parts that differ between images: `split`, `area` for folders, `name` for the file."""
    names: dict[int, str] = {}
    for position, values in enumerate(columns):
        if len(set(values)) == 1:
            continue
        if position == len(columns) - 1:
            names[position] = "name"
        elif "split" not in names.values() and all(split_of(value) for value in values):
            names[position] = "split"
        else:
            number = sum(name.startswith("area") for name in names.values())
            names[position] = f"area{number + 1}" if number else "area"
    return names


def split_of(folder: str) -> str | None:
    """Return `train`, `val` or `test` if a folder's name contains such a word, as in `train_images`."""
    found = {SPLIT_WORDS[word] for word in re.split(r"[^a-z]+", folder.lower()) if word in SPLIT_WORDS}
    return found.pop() if len(found) == 1 else None


def _source_of(
    values: Sequence[str],
    from_end: int,
    images: Sequence[Sequence[str]],
    names: dict[int, str],
    affixes: dict[int, Affixes],
) -> int | None:
    """Return the image part that a mask part is derived from, trying the nearest position first; add its affixes."""
    for position in sorted(names, key=lambda place: abs(place - len(images) - from_end)):
        found = find_affixes(images[position], values)
        if found is not None and affixes.setdefault(position, found) == found:
            return position
    return None


def _suffixes(pairs: Sequence[tuple[str, str]]) -> tuple[str, str | None]:
    """Return the pattern of image suffixes and the template of mask suffixes."""
    images = [PurePosixPath(image).suffix for image, _ in pairs]
    masks = [PurePosixPath(mask).suffix for _, mask in pairs]
    kinds = sorted(set(images))
    if len(set(masks)) == 1:
        shown = escape(kinds[0]) if len(kinds) == 1 else rf"\.(?:{'|'.join(kind[1:] for kind in kinds)})"
        return shown, masks[0]
    if images == masks:
        return rf"\.(?P<suffix>{'|'.join(kind[1:] for kind in kinds)})", ".{suffix}"
    return "", None


def _pattern(
    images: Sequence[Sequence[str]],
    names: dict[int, str],
    affixes: dict[int, Affixes],
    suffix: str,
    masks: Sequence[Sequence[str]],
    others: Sequence[str],
) -> str:
    parts = []
    for position, values in enumerate(images):
        if position not in names:
            parts.append(escape(values[0]))
            continue
        around = affixes.get(position, Affixes())
        group = f"(?P<{names[position]}>[^/]+)"
        parts.append(f"{escape(around.image_before)}{group}{escape(around.image_after)}")
    pattern = "/".join(parts) + suffix
    around = affixes.get(len(images) - 1, Affixes())
    if any(re.fullmatch(pattern, path) for path in others):
        # Masks lie beside their images and differ only by an affix.
        last = parts[-1]
        if around.mask_after and not around.image_after:
            last = f"{last}(?<!{escape(around.mask_after)})"
        if around.mask_before and not around.image_before:
            last = f"(?!{escape(around.mask_before)}){last}"
        pattern = "/".join([*parts[:-1], last]) + suffix
    return pattern


def _restricted(pattern: str, names: Iterable[str], images: Sequence[str], unwanted: Sequence[str]) -> str:
    """Restrict the pattern to folders with masks if all images of other folders have none."""
    for name in names:
        if name == "name":
            continue
        wanted, missing = _captured(pattern, name, images), _captured(pattern, name, unwanted)
        if missing and not missing & wanted:
            alternatives = "|".join(escape(value) for value in sorted(wanted))
            pattern = pattern.replace(f"(?P<{name}>[^/]+)", f"(?P<{name}>{alternatives})")
    return pattern


def _captured(pattern: str, name: str, paths: Iterable[str]) -> set[str]:
    return {match[name] for path in paths if (match := re.fullmatch(pattern, path))}
