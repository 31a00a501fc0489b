"""Propose classes and ignored values from the values of masks."""

from __future__ import annotations

import colorsys
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from satsynth.datasets.labels import distances
from satsynth.describing.legend import Legend
from satsynth.describing.values import MOST_LABELS, MaskValues

Raw = int | str
# Soft edges produce many grey values; fewer of them are labels.
LEAST_EDGE_VALUES = 8
LARGEST_ID = 65535
CONVERT = (
    "Export them again without loss. If their values are intensities rather than ids, "
    "`masks: {nearest: {largest_distance: ...}}` takes each value for the nearest class."
)
# Colours that are closer are shades of one class.
_SHADE = 48
# Blends of two classes are spread wider than the classes themselves.
_CORE = 16
# Share of the pixels around a colour that is a class.
_NOTABLE = 0.03
_CANDIDATES = 512


@dataclass(frozen=True)
class ProposedClass:
    """One class: name, raw value, display colour, and how often it occurs."""

    name: str
    raw: Raw
    color: str
    seen: str


@dataclass(frozen=True)
class ProposedClasses:
    """Classes in order, raw values to ignore, notes on both, and how far values may be from them, if not exact."""

    classes: list[ProposedClass]
    ignore: list[Raw] = field(default_factory=list)
    ignore_comment: str = ""
    notes: list[str] = field(default_factory=list)
    largest_distance: float | None = None


def propose_classes(values: MaskValues, legend: Legend | None) -> ProposedClasses:
    """Propose classes and ignored values.

    Args:
        values: Values of the masks.
        legend: Names of values, from a file beside the masks.
    """
    notes = _general_notes(values)
    grey = _grey_levels(values)
    if grey is not None and _has_soft_edges(grey):
        return _two_with_edges(values, notes)
    if len(values.pixels) > MOST_LABELS or values.lossy:
        return _dominant(values, notes)
    ignore, comment = _ignored(values)
    if legend is not None:
        known = {code for code in values.pixels if code in legend.names or code in legend.ignore}
        if set(values.pixels) - known <= set(ignore) and len(legend.names) >= 2:
            return _by_legend(values, legend, sorted(set(ignore) - known | set(legend.ignore)), notes)
        missing = sorted(set(values.pixels) - known - set(ignore))
        notes.append(
            f"{legend.file} was not used, because it does not name "
            f"{', '.join(_shown(values, code) for code in missing[:6])}, which the masks hold."
        )
    codes = _ordered(values, [code for code in values.pixels if code not in ignore])
    kept = values.nodata & set(codes)
    if kept:
        notes.append(
            f"The masks mark {', '.join(_shown(values, code) for code in sorted(kept))} as nodata, but without it "
            "fewer than two classes would be left, so it is proposed as a class."
        )
    if _mixed(values) and len(codes) > 2 and 255 in codes:
        notes.append(
            f"{values.only_ends} mask(s) hold only 0 and 255, all others only smaller ids. If 255 and another id mean "
            "the same class, store all masks with the same id, then describe the folder again."
        )
    if len(codes) < 2:
        notes.append("The masks hold fewer than two classes, but a description needs two.")
    classes = [
        ProposedClass(_name(values, codes, place), _raw(values, code), _color(values, code, place), _seen(values, code))
        for place, code in enumerate(codes)
    ]
    notes.append("The names of the classes are placeholders: nothing in the folder says them. Rename them.")
    if values.encoding == "index" and 0 in codes and codes != [0, 255] and len(codes) > 2:
        notes.append("Id 0 may mean 'no data' rather than a class: if so, move it from `classes` to `ignore`.")
    greys = [_raw(values, code) for code in codes if values.encoding == "color" and _is_grey(code)]
    if greys and len(codes) > 2:
        notes.append(f"{', '.join(map(str, greys))} may mean 'no label': if so, move it from `classes` to `ignore`.")
    return ProposedClasses(classes, [_raw(values, code) for code in ignore], comment, notes)


def _general_notes(values: MaskValues) -> list[str]:
    notes = []
    if values.beneath:
        if values.transparent == "keep":
            total = values.pixels.total()
            what = "Without them only one class would be left, so they keep the value beneath."
        else:
            total = values.beneath.total() + values.pixels.total()
            what = "They are ignored. If the values beneath are labels, set `masks: {transparent: keep}`."
        share = values.beneath.total() / total
        notes.append(f"{share:.2%} of the pixels of the masks are transparent. {what}")
    if values.read < values.total:
        notes.append(
            f"{values.read} of {values.total} masks were read; the others may hold more values. "
            "`kedro run --pipeline=ingestion` checks all of them and lists values that are missing here. --masks=0 "
            "reads all of them now."
        )
    if values.in_part:
        notes.append("These masks are so large that only some of their rows were read; ingestion reads all rows.")
    if values.unreadable:
        notes.append(f"{len(values.unreadable)} mask(s) cannot be read. The first: {values.unreadable[0]}")
    return notes


def _grey_levels(values: MaskValues) -> dict[int, int] | None:
    """Return the number of pixels of each grey level, or None if there are colours."""
    if values.encoding == "index":
        return dict(values.pixels) if max(values.pixels) <= 255 else None
    if not all(map(_is_grey, values.pixels)):
        return None
    return {code & 255: count for code, count in values.pixels.items()}


def _has_soft_edges(levels: dict[int, int]) -> bool:
    between = [level for level in levels if 0 < level < 255]
    ends = levels.get(0, 0) + levels.get(255, 0)
    spread = len(between) >= LEAST_EDGE_VALUES and min(between) < 128 <= max(between)
    return 0 in levels and 255 in levels and spread and ends >= 0.6 * sum(levels.values())


def _two_with_edges(values: MaskValues, notes: list[str]) -> ProposedClasses:
    step = 1 if values.encoding == "index" else 0x010101
    ends = [("background", 0), ("foreground", 255 * step)]
    classes = [
        ProposedClass(name, _raw(values, code), "#FFFFFF" if code else "#000000", _seen(values, code))
        for name, code in ends
    ]
    # Euclidean for colours: each of three channels is moved.
    largest = 127 if values.encoding == "index" else 220
    notes.append(
        f"The masks are black and white with grey edges{_by_loss(values)}: greys above 127 are taken for foreground, "
        f"others for background (`masks.nearest`). {_movement(values, [code for _, code in ends])} Rename the classes."
    )
    return ProposedClasses(classes, notes=notes, largest_distance=largest)


def _by_loss(values: MaskValues) -> str:
    return " (or compressed with loss, JPEG)" if values.lossy else ""


def _movement(values: MaskValues, codes: Sequence[int]) -> str:
    """Say which share of the pixels is moved to the nearest class, by how much."""
    apart, counts = _apart(values, codes)
    total = counts.sum()
    shares = ", ".join(f"{counts[apart > least].sum() / total:.2%} by more than {least}" for least in (0, 16, 64))
    return f"Of all pixels, {shares}; the farthest by {apart.max():.3g}."


def _apart(values: MaskValues, codes: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Return the distance of each value to the nearest class, and its number of pixels."""
    seen = np.array(list(values.pixels), np.int64)
    return (
        distances(seen, np.array(codes, np.int64), values.encoding).min(axis=1),
        np.array(list(values.pixels.values())),
    )


def _dominant(values: MaskValues, notes: list[str]) -> ProposedClasses:
    frequent = [code for code, _ in values.pixels.most_common(MOST_LABELS) if values.share(code) >= 0.005]
    kept = frequent or [code for code, _ in values.pixels.most_common(2)]
    if values.encoding == "color":
        kept = _centres(values)
    codes = _ordered(values, kept)
    why = "are compressed with loss (JPEG)" if values.lossy else "have soft edges, or are pictures rather than labels"
    head = f"The masks hold {len(values.pixels)} distinct values: they {why}. The {len(codes)} most frequent"
    largest = None
    if values.encoding == "color" and len(codes) >= 2:
        apart, _ = _apart(values, codes)
        largest = max(1, math.ceil(apart.max()))
        notes.append(
            f"{head} are proposed as classes, and each other colour is taken for the nearest of them "
            "(`masks.nearest`). "
            f"{_movement(values, codes)} If a rare class is missing, add it to `classes`."
        )
    else:
        # Rounded ids would be other classes.
        notes.append(f"{head} are proposed as classes, but ingestion will refuse these masks. {CONVERT}")
    classes = [
        ProposedClass(_name(values, codes, place), _raw(values, code), _color(values, code, place), _seen(values, code))
        for place, code in enumerate(codes)
    ]
    return ProposedClasses(classes, notes=notes, largest_distance=largest)


def _centres(values: MaskValues) -> list[int]:
    """Return colours around which a notable share of the pixels lies, the most frequent first, none near another."""
    seen = np.array(list(values.pixels), np.int64)
    counts = np.array(list(values.pixels.values()))
    kept: list[int] = []
    for code, _ in values.pixels.most_common(_CANDIDATES):
        around = distances(seen, np.array([code], np.int64), "color")[:, 0] <= _CORE
        apart = distances(np.array([code]), np.array(kept or [-1]), "color").min() > _SHADE if kept else True
        if apart and counts[around].sum() >= _NOTABLE * counts.sum():
            kept.append(code)
    return kept


def _ignored(values: MaskValues) -> tuple[list[int], str]:
    """Return values that are probably not classes, with the reason."""
    codes = set(values.pixels)
    if values.encoding == "index":
        impossible = {code for code in codes if not 0 <= code <= LARGEST_ID}
        sure = impossible | _nodata(values)
        others = codes - sure - {255}
        found = [255] if 255 in codes - sure and len(others) >= 2 and max(others) < 254 and not _mixed(values) else []
        if 0 in codes - sure and values.share(0) < 0.01 and len(others) > 2:
            found = [0, *found]
        said = "The nodata values of the masks, and ids that no class can have. " if sure else ""
        said += "Assumed to mean 'no label': 255 beside small ids, and 0 if it is rare. Check this." if found else ""
        return sorted({*found, *sure}), said.strip()
    chromatic = {code for code in codes if not _is_grey(code)}
    greys = [code for code in codes - chromatic if values.share(code) < 0.02] if len(chromatic) >= 2 else []
    # Ids stored as greys are naturally close to each other.
    strays = [code for code in codes - set(greys) if chromatic and _is_stray(values, code)]
    found = sorted({*greys, *strays, *_nodata(values)})
    reasons = "Rare greys beside colours and rare shades of another colour are assumed to mean 'no label'."
    return found, f"{reasons} Check this." if found else ""


def _nodata(values: MaskValues) -> set[int]:
    """Return the values that masks mark as nodata, unless fewer than two classes would be left."""
    found = values.nodata & set(values.pixels)
    return found if len(set(values.pixels) - found) >= 2 else set()


def _mixed(values: MaskValues) -> bool:
    """Return whether some masks hold 0 and 255 only, and all others small ids only: then 255 is a class in disguise."""
    return values.encoding == "index" and 0 < values.only_ends == values.files[255] < values.read


def _is_grey(code: int) -> bool:
    return code & 255 == code >> 8 & 255 == code >> 16


def _is_stray(values: MaskValues, code: int) -> bool:
    """Return whether a colour is a rare shade of a frequent one."""
    if values.share(code) >= 1e-4:
        return False
    return any(
        values.share(other) > 1e-3
        and max(abs((other >> shift & 255) - (code >> shift & 255)) for shift in (0, 8, 16)) <= 24
        for other in values.pixels
    )


def _by_legend(values: MaskValues, legend: Legend, ignore: Sequence[int], notes: list[str]) -> ProposedClasses:
    notes.append(f"The names of the classes come from {legend.file}.")
    classes = [
        ProposedClass(
            name, _raw(values, code), legend.colors.get(code) or _color(values, code, place), _seen(values, code)
        )
        for place, (code, name) in enumerate(legend.names.items())
        if code not in ignore
    ]
    comment = (
        ""
        if set(ignore) <= set(legend.ignore)
        else "Values that are rare or that the legend does not name. Check this."
    )
    return ProposedClasses(classes, [_raw(values, code) for code in ignore], comment, notes)


def _ordered(values: MaskValues, codes: Sequence[int]) -> list[int]:
    """Order ids by number and colours by frequency."""
    return sorted(codes) if values.encoding == "index" else sorted(codes, key=lambda code: (-values.pixels[code], code))


def _name(values: MaskValues, codes: Sequence[int], place: int) -> str:
    if len(codes) == 2 and {_raw(values, code) for code in codes} in ({0, 255}, {0, 1}, {"#000000", "#FFFFFF"}):
        return "background" if codes[place] == 0 else "foreground"
    return f"class_{codes[place] if values.encoding == 'index' else place + 1}"


def _raw(values: MaskValues, code: int) -> Raw:
    return code if values.encoding == "index" else f"#{code:06X}"


def _shown(values: MaskValues, code: int) -> str:
    return f"id {code}" if values.encoding == "index" else f"colour #{code:06X}"


def _color(values: MaskValues, code: int, place: int) -> str:
    return f"#{code:06X}" if values.encoding == "color" else display_color(place)


def display_color(place: int) -> str:
    """Return a display colour for a class without one; golden-ratio steps keep hues apart for any number of classes."""
    red, green, blue = colorsys.hsv_to_rgb(place * 0.618034 % 1, 0.75, 0.95 - 0.25 * (place % 3) / 2)
    return f"#{round(red * 255):02X}{round(green * 255):02X}{round(blue * 255):02X}"


def _seen(values: MaskValues, code: int) -> str:
    if not values.pixels[code]:
        return "not found in the masks that were read"
    return f"{values.share(code):.3%} of the pixels, in {values.files[code]} of {values.read} masks"
