"""Where raw data can be fetched, as a description says it."""

from __future__ import annotations

from pydantic import Field, field_validator, model_validator

from satsynth.work.frozen import Frozen


class Archive(Frozen):
    """A ZIP file to be fetched and unpacked below the raw folder."""

    url: str = Field(description="Where it is.", pattern=r"^https?://[^\s]+$")
    size: int = Field(description="Its size in bytes.", ge=1)
    md5: str = Field(description="Its MD5 in hexadecimal digits, as its publisher gives it.", pattern=r"^[0-9a-f]{32}$")
    into: str = Field(default="", description="Folder below the raw folder into which it goes; empty for that itself.")
    strip: str = Field(default="", description="Leading folder of the archive that is left out; empty for none.")

    @property
    def file(self) -> str:
        """Its name."""
        return self.url.split("?")[0].rstrip("/").rsplit("/", 1)[-1]

    @field_validator("into", "strip")
    @classmethod
    def _stays_inside(cls, value: str) -> str:
        if value.startswith("/") or ".." in value.split("/"):
            raise ValueError(f"'{value}' leads out of the folder")
        return value


class Download(Frozen):
    """Where raw data can be fetched, and under which terms."""

    terms: str = Field(description="What the publisher asks of users; shown before anything is fetched.", min_length=1)
    archives: tuple[Archive, ...] = Field(default=(), description="Files that `kedro run --pipeline=download` fetches.")
    steps: tuple[str, ...] = Field(default=(), description="What a person must do, where no program may fetch them.")

    @model_validator(mode="after")
    def _has_a_way(self) -> Download:
        if not self.archives and not self.steps:
            raise ValueError("`download` needs `archives` to fetch or `steps` to follow")
        return self
