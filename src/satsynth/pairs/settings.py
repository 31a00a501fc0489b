"""Parameters of tiling, augmentation and windows."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from satsynth.datasets.description import KeepSettings
from satsynth.work.frozen import LARGEST_SHARD, LARGEST_TILE, Frozen

Angles = Literal["any", "right", "none"]
Zoom = Annotated[float, Field(ge=0.1, le=10)]
ClassWeight = Annotated[float, Field(ge=0, le=1000)]
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
