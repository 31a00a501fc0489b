"""Parameters of generators and of sets of pairs that hold for every family."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from satsynth.generation.families import FAMILIES
from satsynth.pairs.settings import WindowSettings
from satsynth.work.frozen import (
    LARGEST_BATCH,
    LARGEST_NUMBER,
    LARGEST_RATIO,
    LARGEST_SHARD,
    LARGEST_TILE,
    MOST_IMAGES,
    SEED_END,
    Frozen,
)

# More draws of one image than this say nothing new.
MOST_DRAWS = 1000


class GenerationSettings(Frozen):
    """The way in which pairs are made."""

    family: str = Field(
        default="diffusion",
        description=f"Family of generators: {', '.join(f'`{name}`' for name in FAMILIES)}. Its parameters are in the "
        "group of the same name.",
    )

    @field_validator("family")
    @classmethod
    def _known(cls, family: str) -> str:
        if family not in FAMILIES:
            raise ValueError(f"there is no family of generators '{family}'; there are {', '.join(FAMILIES)}")
        return family


class SamplingSettings(Frozen):
    """A set of synthetic pairs, whatever the family that draws it."""

    ratio: float = Field(
        default=2.0,
        description="Synthetic pairs for each real training pair. Twice the largest of `segmentation.ratios` gives "
        "each seed its own half.",
        gt=0,
        le=LARGEST_RATIO,
    )
    layouts: Literal["auto", "joint", "model", "real", "folder"] = Field(
        default="auto",
        description="Where masks come from. `joint`: image and mask are drawn together. The others need a generator "
        "whose `noise_levels` are `separate`: `model` draws the mask first, `real` cuts masks anew from training "
        "scenes, `folder` takes those of `layout_folder`; then the image is painted for its mask. `auto` is `real` "
        "where the generator can paint, and `joint` elsewhere.",
    )
    layout_folder: str = Field(
        default="",
        description="Folder of masks in the data set's own ids or colours, PNG or TIFF, one tile or larger; absolute "
        "or relative to the project.",
    )
    windows: WindowSettings = WindowSettings()
    max_pairs: int | None = Field(
        default=None, description="Largest number of synthetic pairs; null: no limit.", ge=1, le=MOST_IMAGES
    )
    smallest_region: int = Field(
        default=0,
        ge=0,
        le=LARGEST_TILE**2,
        description="Regions of fewer pixels in a mask that the generator drew take the class nearest to them.",
    )
    seed: int = Field(
        default=0,
        ge=0,
        lt=SEED_END,
        description="Seed of the set; pair i depends only on it, i and the kind of device.",
    )
    batch_size: int = Field(default=8, ge=1, le=LARGEST_BATCH, description="Pairs drawn at once.")
    shard_pairs: int = Field(default=32, ge=1, le=LARGEST_SHARD, description="Pairs a shard.")

    @model_validator(mode="after")
    def _folder_is_named(self) -> SamplingSettings:
        if self.layouts == "folder" and not self.layout_folder:
            raise ValueError("`layouts` is `folder`, so `layout_folder` must name a folder of masks")
        return self

    def settled(self, paints: bool) -> SamplingSettings:
        """Return the same with `layouts: auto` decided.

        Args:
            paints: Whether the generator can draw an image for a given mask.
        """
        if self.layouts != "auto":
            return self
        return self.model_copy(update={"layouts": "real" if paints else "joint"})

    def identity(self) -> dict[str, Any]:
        """Return what decides the pairs beside the way they are drawn; not how many of them there are."""
        # A folder of layouts counts by its content, and windows where there are any.
        beside = {"ratio", "max_pairs", "layouts", "layout_folder", *([] if self.layouts == "real" else ["windows"])}
        found = self.model_dump(mode="json", exclude=beside)
        if self.layouts == "real" and not self.windows.pasted.share:
            del found["windows"]["pasted"]
        return found

    def total(self, real: int) -> int:
        """Return the number of synthetic pairs for a number of real training pairs."""
        wanted = max(1, round(real * self.ratio))
        return min(wanted, self.max_pairs) if self.max_pairs else wanted


class BudgetSettings(Frozen):
    """How long each family trains that is compared; without both, as long as its own parameters say."""

    images: int | None = Field(
        default=None, ge=1, le=MOST_IMAGES, description="Training budget of each family in images; null: its own."
    )
    seconds: float | None = Field(
        default=None,
        gt=0,
        le=LARGEST_NUMBER,
        description="Training budget of each family in seconds: its speed is measured once in a few steps, and its "
        "number of images follows from it. Null: `images` decides.",
    )

    @model_validator(mode="after")
    def _one_of_them(self) -> BudgetSettings:
        if self.images is not None and self.seconds is not None:
            raise ValueError(f"`images` {self.images} and `seconds` {self.seconds:g} are both given; leave one out")
        return self


class RivalsSettings(Frozen):
    """Families of generators side by side, each trained, drawn from, compared and put to work."""

    families: tuple[str, ...] = Field(
        default=("diffusion", "gan", "image_ddpm", "replay"),
        min_length=1,
        description=f"Which families: {', '.join(f'`{name}`' for name in FAMILIES)}.",
    )
    budget: BudgetSettings = BudgetSettings()
    pairs: int | None = Field(
        default=None,
        ge=1,
        le=MOST_IMAGES,
        description="Pairs drawn from each family; null: as many as `sampling` says.",
    )
    ratio: float | None = Field(
        default=None,
        gt=0,
        le=LARGEST_RATIO,
        description="R at which pairs are put to work; null: the largest of `segmentation.ratios`.",
    )
    gallery_pairs: int = Field(default=8, ge=1, le=100, description="Pairs of each family in the gallery.")

    @field_validator("families")
    @classmethod
    def _known(cls, families: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [name for name in families if name not in FAMILIES]
        if unknown or len(set(families)) < len(families):
            raise ValueError(f"{list(families)} must be distinct families out of {', '.join(FAMILIES)}")
        return families

    def sampling_of(self, sampling: SamplingSettings, real: int) -> SamplingSettings:
        """Return how pairs are drawn from each family, each of which can draw image and mask together.

        Families that can paint do so where a run's pairs are painted for masks of training scenes.

        Args:
            sampling: How the pairs of a run are drawn.
            real: Number of real training pairs.
        """
        number = {} if self.pairs is None else {"ratio": self.pairs / real, "max_pairs": None}
        layouts = "auto" if sampling.layouts in ("auto", "real") else "joint"
        return sampling.model_copy(update={"layouts": layouts, "layout_folder": "", **number})


class LabellingSettings(Frozen):
    """Masks drawn for real images that have none."""

    images: str = Field(
        default="",
        description="Folder of images like those of the data set, in bands, intensities and size of a pixel on the "
        "ground; absolute or relative to the project.",
    )
    draws: int = Field(
        default=8,
        ge=1,
        le=MOST_DRAWS,
        description="Masks drawn for each image; the result is the majority, with the share that agree.",
    )
    seed: int = Field(default=0, ge=0, lt=SEED_END, description="Seed of the draws.")
    batch_size: int = Field(default=8, ge=1, le=LARGEST_BATCH, description="Tiles that are computed at once.")
