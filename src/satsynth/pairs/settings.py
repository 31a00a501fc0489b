"""Parameters of tiling and augmentation."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from satsynth.datasets.description import KeepSettings
from satsynth.work.frozen import Frozen

AugmentationName = Literal["none", "flips", "cutout", "cutmix", "copy_paste", "strong"]


class TilingSettings(Frozen):
    """How scenes are cut."""

    tile_size: int = Field(default=128, description="Side of a tile in pixels.", ge=16, multiple_of=8)
    stride: int = Field(
        default=128, description="Step between training tiles in pixels; below the tile size they overlap.", ge=8
    )
    keep: KeepSettings = KeepSettings()
    shard_tiles: int = Field(default=256, description="Candidate tiles a shard.", ge=1)


class ExportSettings(Frozen):
    """How pairs are written for other tools."""

    form: Literal["folder", "parquet"] = Field(
        default="folder",
        description="`folder`: images/, masks/ in the data set's own ids or colours, lists by split and classes.json. "
        "`parquet`: the rows of the store, files by split, for Hugging Face `datasets`.",
    )
    splits: tuple[Literal["train", "val", "test"], ...] = Field(
        default=("train", "val", "test"), description="Which real pairs.", min_length=1
    )
    images: Literal["png", "geotiff"] = Field(
        default="png", description="`geotiff`: pairs with a georeference keep it, as GeoTIFF; all others are PNG."
    )
