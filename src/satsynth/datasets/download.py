"""The part of a description that says where raw data can be fetched."""

from __future__ import annotations

import re

from pydantic import Field, model_validator

from satsynth.datasets.places import PathBelow
from satsynth.work.frozen import Frozen


class Archive(Frozen):
    """A ZIP file that is fetched and unpacked below the raw folder."""

    url: str = Field(description="Address of the file.", pattern=r"^https?://[^\s]+$")
    size: int = Field(description="Size in bytes.", ge=1, le=10**15)
    md5: str = Field(description="MD5 in hexadecimal digits, as published.", pattern=r"^[0-9a-f]{32}$")
    into: PathBelow = Field(
        default="", description="Target folder below the raw folder; empty for the raw folder itself."
    )
    strip: PathBelow = Field(default="", description="Leading folder of the archive that is left out; empty for none.")

    @property
    def file(self) -> str:
        """Name of the file."""
        return self.url.split("?")[0].rstrip("/").rsplit("/", 1)[-1]

    @model_validator(mode="after")
    def _names_a_file(self) -> Archive:
        if not re.fullmatch(r"\w[\w.%+-]*", self.file):
            raise ValueError(f"`url` ends in '{self.file}', which is no name of a file")
        return self


class Download(Frozen):
    """Where raw data can be fetched, and on which terms."""

    terms: str = Field(description="Conditions of the publisher. Shown before anything is fetched.", min_length=1)
    archives: tuple[Archive, ...] = Field(default=(), description="Files that `kedro run --pipeline=download` fetches.")
    steps: tuple[str, ...] = Field(
        default=(), description="Instructions for a person, if no program may fetch the data."
    )

    @model_validator(mode="after")
    def _has_a_way(self) -> Download:
        if not self.archives and not self.steps:
            raise ValueError("`download` needs `archives` to fetch, or `steps` to follow")
        return self
