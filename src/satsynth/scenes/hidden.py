"""What files hide of their own pixels: transparency, nodata and NaN, added up for a message with shares."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

# From this share on, in all files or in one of them, a message is a warning.
MUCH = 0.2
# Kind of pixel: which count is the whole, place of the file in (image, mask), and the sentence.
_KINDS = {
    "invalid": (
        "image",
        0,
        "{share} of the image pixels are transparent, nodata or NaN and therefore ignored, in {files} image(s), most "
        "in {worst} ({most}). If they do show ground, name the bands without alpha, as in "
        "`images: {{bands: [1, 2, 3]}}`, or unset the nodata value of the files: gdal_edit.py -unsetnodata image.tif",
    ),
    "transparent": (
        "labels",
        1,
        "{share} of the mask pixels are transparent and therefore ignored, in {files} mask(s), most in {worst} "
        "({most}). If the values beneath are labels, set `masks: {{transparent: keep}}` in the description.",
    ),
    "absent": (
        "labels",
        1,
        "{share} of the mask pixels hold the nodata value of their file, or NaN, and are ignored, in {files} mask(s), "
        "most in {worst} ({most}). To make the value a class, name it in `classes`.",
    ),
    "moved": (
        "labels",
        1,
        "{share} of the mask pixels hold a value that is taken for the nearest one of the description, at most "
        "{farthest} away, in {files} mask(s), most in {worst} ({most}).",
    ),
    "overruled": (
        "labels",
        1,
        "{share} of the mask pixels hold a value that their file calls nodata and the description calls a class, in "
        "{files} mask(s), most in {worst} ({most}). They belong to the class. If they have no label, move the value to "
        "`ignore`.",
    ),
}


@dataclass(frozen=True)
class Share:
    """The share of one kind of pixel.

    Args:
        share: In all files, 0 to 1.
        files: Number of files that have such pixels.
        worst: The file with the largest share of them.
        most: That share, 0 to 1.
    """

    share: float
    files: int
    worst: str
    most: float


@dataclass(frozen=True)
class Hidden:
    """The share of each kind of hidden pixel that occurs."""

    kinds: dict[str, Share]
    farthest: float = 0.0

    @classmethod
    def of(cls, counts: Iterable[tuple[tuple[str, str], Mapping[str, int]]], farthest: float = 0.0) -> Hidden:
        """Add up the counts of an image and its mask, for each scene's files.

        Args:
            counts: Image and mask, and their counts.
            farthest: Largest distance of a value from the one that it was taken for.
        """
        total: Counter[str] = Counter()
        by_kind: dict[str, dict[str, float]] = {kind: {} for kind in _KINDS}
        for files, found in counts:
            total.update(found)
            for kind, (whole, place, _) in _KINDS.items():
                if found.get(kind, 0):
                    by_kind[kind][files[place]] = found[kind] / found[whole]
        return cls(
            {
                kind: Share(total[kind] / total[_KINDS[kind][0]], len(shares), worst, shares[worst])
                for kind, shares in by_kind.items()
                if (worst := max(shares, key=lambda file: (shares[file], file), default=""))
            },
            farthest,
        )

    def as_figures(self) -> dict[str, Any]:
        """Return them as JSON-able values, which ``from_figures`` reads."""
        return {"kinds": {kind: asdict(share) for kind, share in self.kinds.items()}, "farthest": self.farthest}

    @classmethod
    def from_figures(cls, figures: Mapping[str, Any]) -> Hidden:
        """Return what ``as_figures`` gave."""
        return cls({kind: Share(**share) for kind, share in figures["kinds"].items()}, figures["farthest"])

    def messages(self) -> list[tuple[bool, str]]:
        """Return a sentence for each kind, and whether it is a warning."""
        return [
            (
                kind == "overruled" or max(found.share, found.most) >= MUCH,
                _KINDS[kind][2].format(
                    share=f"{found.share:.2%}",
                    files=found.files,
                    worst=found.worst,
                    most=f"{found.most:.1%}",
                    farthest=f"{self.farthest:.3g}",
                ),
            )
            for kind, found in self.kinds.items()
        ]
