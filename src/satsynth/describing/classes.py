"""Propose classes and ignored values from the values of masks."""

from __future__ import annotations

from collections.abc import Sequence

from satsynth.describing.inexact import dominant, grey_levels, has_soft_edges, two_with_edges
from satsynth.describing.legend import Legend
from satsynth.describing.proposed import (
    ProposedClass,
    ProposedClasses,
    color_of,
    is_grey,
    numbered,
    ordered,
    raw_of,
    seen_of,
    shown,
)
from satsynth.describing.values import MOST_LABELS, MaskValues

LARGEST_ID = 65535


def propose_classes(values: MaskValues, legend: Legend | None) -> ProposedClasses:
    """Propose classes and ignored values.

    Args:
        values: Values of the masks.
        legend: Names of values, from a file beside the masks.
    """
    notes = _general_notes(values)
    grey = grey_levels(values)
    if grey is not None and has_soft_edges(grey):
        return two_with_edges(values, notes)
    if len(values.pixels) > MOST_LABELS or values.lossy:
        return dominant(values, notes)
    ignore, comment = _ignored(values)
    if legend is not None:
        known = {code for code in values.pixels if code in legend.names or code in legend.ignore}
        if set(values.pixels) - known <= set(ignore) and len(legend.names) >= 2:
            return _by_legend(values, legend, sorted(set(ignore) - known | set(legend.ignore)), notes)
        missing = sorted(set(values.pixels) - known - set(ignore))
        notes.append(
            f"{legend.file} was not used, because it does not name "
            f"{', '.join(shown(values, code) for code in missing[:6])}, which the masks hold."
        )
    codes = ordered(values, [code for code in values.pixels if code not in ignore])
    kept = values.nodata & set(codes)
    if kept:
        notes.append(
            f"The masks mark {', '.join(shown(values, code) for code in sorted(kept))} as nodata, but without it "
            "fewer than two classes would be left, so it is proposed as a class."
        )
    if _mixed(values) and len(codes) > 2 and 255 in codes:
        notes.append(
            f"{values.only_ends} mask(s) hold only 0 and 255, all others only smaller ids. If 255 and another id mean "
            "the same class, store all masks with the same id, then describe the folder again."
        )
    if len(codes) < 2:
        notes.append("The masks hold fewer than two classes, but a description needs two.")
    classes = numbered(values, codes)
    notes.append("The names of the classes are placeholders: nothing in the folder says them. Rename them.")
    if values.encoding == "index" and 0 in codes and codes != [0, 255] and len(codes) > 2:
        notes.append("Id 0 may mean 'no data' rather than a class: if so, move it from `classes` to `ignore`.")
    greys = [raw_of(values, code) for code in codes if values.encoding == "color" and is_grey(code)]
    if greys and len(codes) > 2:
        notes.append(f"{', '.join(map(str, greys))} may mean 'no label': if so, move it from `classes` to `ignore`.")
    return ProposedClasses(classes, [raw_of(values, code) for code in ignore], comment, notes)


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
    chromatic = {code for code in codes if not is_grey(code)}
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
            name, raw_of(values, code), legend.colors.get(code) or color_of(values, code, place), seen_of(values, code)
        )
        for place, (code, name) in enumerate(legend.names.items())
        if code not in ignore
    ]
    comment = (
        ""
        if set(ignore) <= set(legend.ignore)
        else "Values that are rare or that the legend does not name. Check this."
    )
    return ProposedClasses(classes, [raw_of(values, code) for code in ignore], comment, notes)
