"""Parameters of tiling, augmentation and windows."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from satsynth.datasets.description import KeepSettings
from satsynth.work.frozen import LARGEST_RATIO, LARGEST_SHARD, LARGEST_TILE, SEED_END, Frozen

Angles = Literal["any", "right", "none"]
Zoom = Annotated[float, Field(ge=0.1, le=10)]
ClassWeight = Annotated[float, Field(ge=0, le=1000)]
LabelShare = Annotated[float, Field(gt=0, le=1)]
AugmentationName = Literal["none", "flips", "cutout", "cutmix", "copy_paste", "strong", "geometric"]


class TilingSettings(Frozen):
    """How scenes are cut."""

    tile_size: int = Field(default=128, description="Side of a tile in pixels.", ge=16, le=LARGEST_TILE, multiple_of=8)
    stride: int = Field(
        default=128,
        description="Step between training tiles in pixels. If it is below the tile size, they overlap.",
        ge=8,
        le=65536,
    )
    keep: KeepSettings = KeepSettings()
    shard_tiles: int = Field(default=256, description="Candidate tiles per shard.", ge=1, le=LARGEST_SHARD)
    label_share: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description="Share of the training scenes whose masks are used, by number of scenes and at least one. Whole "
        "scenes are chosen by `label_seed`; those of a smaller share are among those of a larger one.",
    )
    label_scenes: tuple[str, ...] = Field(
        default=(),
        description="The training scenes whose masks are used, by identifier or pattern, instead of a share.",
    )
    label_seed: int = Field(
        default=0, ge=0, lt=SEED_END, description="Seed of the order in which `label_share` takes scenes."
    )
    label_rest: Literal["drop", "unlabelled"] = Field(
        default="drop",
        description="What becomes of training scenes whose masks are not used. `drop`: nothing is made of them. "
        "`unlabelled`: generators learn from their images, as from those of `images.unlabelled`.",
    )

    @model_validator(mode="after")
    def _chosen_once(self) -> TilingSettings:
        if self.label_share < 1 and self.label_scenes:
            raise ValueError("`label_share` and `label_scenes` both choose the labelled scenes; set only one of them")
        return self

    @property
    def some_labels(self) -> bool:
        """Whether the masks of some training scenes only are used."""
        return self.label_share < 1 or bool(self.label_scenes)

    def identity(self) -> dict[str, Any]:
        """Return the parameters that decide the tiles: those of labels count only where they leave something out."""
        unused = {name for name in type(self).model_fields if name.startswith("label_")}
        if self.label_scenes:
            unused = {"label_share", "label_seed"}
        elif self.some_labels:
            unused = {"label_scenes"}
        return self.model_dump(mode="json", exclude=unused)


class LabelsSettings(Frozen):
    """Budgets of labels side by side, each without and with synthetic pairs."""

    shares: tuple[LabelShare, ...] = Field(
        default=(0.1, 0.25, 0.5, 1.0),
        min_length=1,
        description="Shares of the training scenes whose masks are used, each like `tiling.label_share`; in any order. "
        "Of shares that choose the same scenes only the largest is used.",
    )
    ratio: float | None = Field(
        default=None,
        gt=0,
        le=LARGEST_RATIO,
        description="R at which pairs are put to work; null: the largest of `segmentation.ratios`.",
    )

    @field_validator("shares")
    @classmethod
    def _ascending(cls, shares: tuple[float, ...]) -> tuple[float, ...]:
        if len(set(shares)) < len(shares):
            raise ValueError(f"{list(shares)} must be distinct")
        return tuple(sorted(shares))


class PastedRegions(Frozen):
    """Regions of other training scenes that are pasted into windows of masks."""

    share: float = Field(default=0.0, ge=0, le=1, description="Share of windows into which a region is pasted.")
    classes: tuple[str, ...] = Field(
        default=(), description="Names of the classes whose regions are pasted, equally often; none: all classes."
    )


class WindowSettings(Frozen):
    """How windows are cut anew from scenes."""

    zoom: tuple[Zoom, Zoom] = Field(
        default=(0.8, 1.25),
        description="Smallest and largest zoom: pixels of the scene that become one pixel of the window, along a side.",
    )
    angles: Angles = Field(
        default="any", description="Angles at which windows lie: any, multiples of 90 degrees, or upright only."
    )
    mirrored: bool = Field(default=True, description="Whether half of the windows are mirrored.")
    class_weights: dict[str, ClassWeight] = Field(
        default={},
        description="Weights of classes, by name; 1 for those that are not named. A window is taken with a chance that "
        "grows with the mean weight of its pixels, so classes of a large weight are drawn more often.",
    )
    pasted: PastedRegions = PastedRegions()

    @model_validator(mode="after")
    def _ordered(self) -> WindowSettings:
        if self.zoom[0] > self.zoom[1]:
            raise ValueError(f"`zoom` {list(self.zoom)} must name the smallest zoom first")
        return self

    def __hash__(self) -> int:
        """Return a hash; pydantic has none for names and values."""
        return hash(self.model_dump_json())


class ExportSettings(Frozen):
    """How pairs are written for other tools."""

    form: Literal["folder", "parquet"] = Field(
        default="folder",
        description="`folder`: images/, masks/ in the data set's own ids or colours, a list per split, classes.json. "
        "`parquet`: the rows of the store in files per split, for Hugging Face `datasets`.",
    )
    splits: tuple[Literal["train", "val", "test"], ...] = Field(
        default=("train", "val", "test"), description="Splits of real pairs to export.", min_length=1
    )
    images: Literal["png", "geotiff"] = Field(
        default="png",
        description="`geotiff`: pairs with a georeference become GeoTIFF and keep it; all others are PNG.",
    )
