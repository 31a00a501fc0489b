"""Description of a data set: its classes, files and splits, in one validated YAML file and without code."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from satsynth.datasets.download import Download
from satsynth.datasets.formats import ImageFormat, MaskFormat
from satsynth.datasets.names import Text
from satsynth.datasets.places import Name, PathBelow, RawPlace, without_control_characters
from satsynth.work.frozen import Frozen

MAX_CLASSES = 254


def parse_color(value: Any) -> Any:
    """Accept ``"#RRGGBB"``, ``"RRGGBB"`` or three numbers; return an (R, G, B) tuple of 0..255."""
    if isinstance(value, str) and not isinstance(value, AttributeValue):
        if not re.fullmatch(r"#?[0-9A-Fa-f]{6}", value):
            raise ValueError(f"'{value}' is not a colour; write it as '#RRGGBB' or [r, g, b]")
        digits = value.lstrip("#")
        return tuple(int(digits[i : i + 2], 16) for i in (0, 2, 4))
    return tuple(value) if isinstance(value, list) else value


class AttributeValue(str):
    """A label in the form of a polygon attribute. The type of its own keeps 'facade' from being read as a colour."""


def _only_attribute(value: Any) -> Any:
    if not isinstance(value, AttributeValue):
        raise ValueError("text is allowed as a raw value only with `masks.encoding: attribute`")
    return value


# Strict, so that text never becomes a number.
RawId = Annotated[int, Field(ge=0, le=65535, strict=True)]
# Values for "no data" are often negative, or the largest of their type.
IgnoredId = Annotated[int, Field(ge=-(2**63), le=2**63 - 1, strict=True)]
Channel = Annotated[int, Field(ge=0, le=255)]
Color = Annotated[tuple[Channel, Channel, Channel], BeforeValidator(parse_color)]
Attribute = Annotated[str, BeforeValidator(_only_attribute)]
Raw = RawId | Color | Attribute
Ignored = IgnoredId | Color | Attribute


class ClassSpec(Frozen):
    """One class: its name, its value in raw masks, and its display colour."""

    name: str = Field(description="Name of the class, unique in the data set.", min_length=1)
    raw: Raw = Field(description="Its value in raw masks: an id, a colour as '#RRGGBB', or the attribute of polygons.")
    color: Color = Field(description="Display colour as '#RRGGBB'.")


class FilesLayout(Frozen):
    """One image file and one mask file per scene, matched by name."""

    kind: Literal["files"]
    pattern: Text = Field(
        max_length=1000,
        description="Regular expression for the whole path of an image below the raw folder ('/' between folders). "
        "`mask`, `scene` and `group` use its named groups.",
    )
    mask: Text = Field(description="Path of the mask, with the pattern's groups in braces.")
    scene: Text = Field(description="Identifier of the scene, with the pattern's groups in braces.")
    group: Text = Field(description="Name of the group of neighbouring scenes, with the pattern's groups in braces.")

    @model_validator(mode="after")
    def _groups_exist(self) -> FilesLayout:
        try:
            known = set(re.compile(self.pattern).groupindex)
        except (re.error, OverflowError, RecursionError) as error:
            raise ValueError(f"`pattern` is not a valid regular expression: {error}") from error
        for field in ("mask", "scene", "group"):
            template = getattr(self, field)
            # Formats such as {name:>999999999} or {name.__class__} are more than names of groups.
            if set(re.sub(r"{\w+}", "", template)) & set("{}"):
                raise ValueError(f"`{field}` may have braces only around names of groups, unlike '{template}'")
            unknown = set(re.findall(r"{(\w+)}", template)) - known
            if unknown:
                raise ValueError(f"`{field}` uses {sorted(unknown)}, but `pattern` has only the groups {sorted(known)}")
        return self


Row = Annotated[int, Field(ge=0, le=1_000_000)]


class BlocksLayout(Frozen):
    """One large image. Blocks on a fixed grid are the scenes, and columns of blocks are the groups."""

    kind: Literal["blocks"]
    image: PathBelow = Field(description="Path of the image below the raw folder.")
    mask: PathBelow = Field(description="Path of the mask below the raw folder.")
    block: int = Field(
        description="Side of a block in pixels. Pixels left over at the right and lower edge are not used.",
        ge=16,
        le=65536,
    )
    rows: tuple[Row, Row] = Field(description="First and last row of blocks that are used.")
    margin: int = Field(
        default=0,
        description="Pixels left out between blocks of different splits. They are taken from the training block, or "
        "from the validation block beside a test block.",
        ge=0,
        le=65536,
    )

    @model_validator(mode="after")
    def _margin_fits(self) -> BlocksLayout:
        if 2 * self.margin >= self.block:
            raise ValueError(
                f"`margin: {self.margin}` leaves nothing of a block of {self.block} pixels; use less than half of it"
            )
        return self


class SplitLists(Frozen):
    """Text files below the raw folder with one scene per line: the image's file name, its path, or the scene's name."""

    train: PathBelow | None = Field(
        default=None, description="Training scenes. If this list is given, scenes that are on no list are left out."
    )
    val: PathBelow | None = Field(default=None, description="Validation scenes.")
    test: PathBelow | None = Field(default=None, description="Test scenes.")

    def named(self) -> dict[str, str]:
        """Return the list of each split that has one."""
        return {split: name for split, name in self.model_dump().items() if name is not None}


class SplitRule(Frozen):
    """How scenes are assigned to splits: by shell patterns, by the data set's own lists, or by both.

    Scenes that a list assigns to val or test stay there. Patterns divide the others, and the rest is for training.
    """

    by: Literal["group", "scene"] = Field(
        default="group",
        description="What patterns are matched against. `scene` may separate neighbours; use it if official splits do.",
    )
    val: tuple[Text, ...] = Field(default=(), description="Shell patterns of groups (or scenes) for validation.")
    test: tuple[Text, ...] = Field(default=(), description="Shell patterns of groups (or scenes) for the test.")
    lists: SplitLists = SplitLists()

    @model_validator(mode="after")
    def _every_split_is_named(self) -> SplitRule:
        for split in ("val", "test"):
            if not getattr(self, split) and not getattr(self.lists, split):
                raise ValueError(f"`{split}` is empty; name groups in it, or a file in `lists.{split}`")
        return self


class LeastShare(Frozen):
    """Smallest share of some classes."""

    classes: tuple[str, ...] = Field(description="Names of classes. Their pixels are counted together.", min_length=1)
    share: float = Field(description="Smallest share of a tile's pixels.", gt=0, le=1)


class KeepSettings(Frozen):
    """Which training tiles are kept. Val and test are always covered completely."""

    max_ignore: float = Field(default=0.5, description="Largest share of ignored pixels.", ge=0, le=1)
    least: LeastShare | None = Field(default=None, description="Smallest share of given classes.")


class TilingDefaults(Frozen):
    """Defaults of the parameters `tiling.stride` and `tiling.keep` for this data set."""

    stride: int = Field(
        default=128,
        description="Step between training tiles in pixels. If it is below the tile size, they overlap.",
        ge=8,
        le=65536,
    )
    keep: KeepSettings = KeepSettings()


class DatasetDescription(Frozen):
    """Complete description of a data set."""

    name: Name = Field(
        description="Name by which the data set is chosen: a letter, then letters, digits, underscores and hyphens."
    )
    title: str = Field(description="Full name.")
    licence: str = Field(description="Licence or terms of use.")
    obtain: str = Field(description="Where to get the raw data. Shown when they are missing.")
    download: Download | None = Field(
        default=None, description="How `kedro run --pipeline=download` gets the raw data."
    )
    raw: RawPlace = Field(
        description="Raw folder, absolute or relative to the project, or `package:<module>` for a Python package."
    )
    layout: FilesLayout | BlocksLayout = Field(discriminator="kind")
    images: ImageFormat = ImageFormat()
    masks: MaskFormat
    ignore: tuple[Ignored, ...] = Field(
        default=(),
        description="Raw values that belong to no class. Values that a mask itself marks as nodata need not be named.",
    )
    classes: tuple[ClassSpec, ...] = Field(max_length=MAX_CLASSES)
    scale: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description="Factor by which scenes are scaled: images by area averaging, masks by nearest neighbour.",
    )
    splits: SplitRule
    tiling: TilingDefaults = TilingDefaults()

    @model_validator(mode="before")
    @classmethod
    def _attributes_are_text(cls, data: Any) -> Any:
        """Mark raw values as attributes where they are attributes, before they are parsed as ids or colours."""
        without_control_characters(data)
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
            raise ValueError(f"`classes` has {len(self.classes)} class(es); at least 2 are needed")
        names: list[Any] = [c.name for c in self.classes]
        raws: list[Any] = [*(c.raw for c in self.classes), *self.ignore]
        for what, values in (("name", names), ("raw value", raws)):
            twice = sorted({str(v) for v in values if values.count(v) > 1})
            if twice:
                raise ValueError(f"the {what} {', '.join(twice)} is given twice in `classes` and `ignore`")
        wanted: type = {"index": int, "color": tuple, "attribute": str}[self.masks.encoding]
        wrong = [str(v) for v in raws if not isinstance(v, wanted)]
        if self.masks.outside not in (None, *names):
            raise ValueError(f"`masks.outside: {self.masks.outside}` is not one of the classes {', '.join(names)}")
        if wrong:
            kind = "ids (whole numbers)" if wanted is int else "colours ('#RRGGBB')"
            raise ValueError(f"`masks.encoding: {self.masks.encoding}` requires {kind}, but found {', '.join(wrong)}")
        return self

    def reading(self) -> dict[str, Any]:
        """Return what decides the pixels and labels that are read from a given scene, as JSON-able values."""
        used = {"name", "classes", "ignore", "images", "masks", "scale"}
        return self.model_dump(mode="json", include=used, exclude={"images": {"unlabelled"}})

    @property
    def class_names(self) -> tuple[str, ...]:
        """Class names in the order of their indices."""
        return tuple(c.name for c in self.classes)
