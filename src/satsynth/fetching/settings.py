"""Parameters of downloads."""

from __future__ import annotations

from pydantic import Field

from satsynth.work.frozen import Frozen


class DownloadSettings(Frozen):
    """How patient a download is, and what an archive may hold."""

    attempts: int = Field(default=6, description="Attempts in a row that may bring nothing new.", ge=1, le=100)
    timeout: float = Field(default=30, description="Seconds without a byte after which an attempt ends.", gt=0, le=600)
    longest_wait: float = Field(default=30, description="Longest pause between attempts in seconds.", ge=0, le=600)
    max_files: int = Field(default=200_000, description="Most files that an archive may hold.", ge=1)
    max_ratio: float = Field(
        default=100, description="Most bytes that an archive may unpack to, as a multiple of its own size.", ge=1
    )
    keep_archives: bool = Field(default=False, description="Keep archives in data/.work once they are unpacked.")
