"""Classes as they are proposed: what is said of each."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass, field

from satsynth.describing.values import MaskValues

Raw = int | str


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


def is_grey(code: int) -> bool:
    """Return whether a colour ``0xRRGGBB`` is a grey."""
    return code & 255 == code >> 8 & 255 == code >> 16


def ordered(values: MaskValues, codes: Sequence[int]) -> list[int]:
    """Order ids by number and colours by frequency."""
    return sorted(codes) if values.encoding == "index" else sorted(codes, key=lambda code: (-values.pixels[code], code))


def _name(values: MaskValues, codes: Sequence[int], place: int) -> str:
    if len(codes) == 2 and {raw_of(values, code) for code in codes} in ({0, 255}, {0, 1}, {"#000000", "#FFFFFF"}):
        return "background" if codes[place] == 0 else "foreground"
    return f"class_{codes[place] if values.encoding == 'index' else place + 1}"


def raw_of(values: MaskValues, code: int) -> Raw:
    """Return a value as a description writes it."""
    return code if values.encoding == "index" else f"#{code:06X}"


def shown(values: MaskValues, code: int) -> str:
    """Return a value in words."""
    return f"id {code}" if values.encoding == "index" else f"colour #{code:06X}"


def color_of(values: MaskValues, code: int, place: int) -> str:
    """Return the display colour of a class."""
    return f"#{code:06X}" if values.encoding == "color" else display_color(place)


def display_color(place: int) -> str:
    """Return a display colour for a class without one; golden-ratio steps keep hues apart for any number of classes."""
    red, green, blue = colorsys.hsv_to_rgb(place * 0.618034 % 1, 0.75, 0.95 - 0.25 * (place % 3) / 2)
    return f"#{round(red * 255):02X}{round(green * 255):02X}{round(blue * 255):02X}"


def seen_of(values: MaskValues, code: int) -> str:
    """Say how often a value occurs."""
    if not values.pixels[code]:
        return "not found in the masks that were read"
    return f"{values.share(code):.3%} of the pixels, in {values.files[code]} of {values.read} masks"


def numbered(values: MaskValues, codes: Sequence[int]) -> list[ProposedClass]:
    """Return classes whose names are placeholders, in the order of their values."""
    return [
        ProposedClass(
            _name(values, codes, place), raw_of(values, code), color_of(values, code, place), seen_of(values, code)
        )
        for place, code in enumerate(codes)
    ]
