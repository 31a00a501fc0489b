"""Parameters of tiling and augmentation."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from satsynth.datasets.description import KeepSettings
from satsynth.work.frozen import LARGEST_SHARD, LARGEST_TILE, Frozen

AugmentationName = Literal["none", "flips", "cutout", "cutmix", "copy_paste", "strong"]


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
