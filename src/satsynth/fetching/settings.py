"""Parameters of downloads."""

from __future__ import annotations

from pydantic import Field

from satsynth.work.frozen import Frozen


class DownloadSettings(Frozen):
    """Retries of downloads, and limits on the content of archives."""

    attempts: int = Field(default=6, description="Attempts in a row without progress before giving up.", ge=1, le=100)
    timeout: float = Field(default=30, description="Seconds without data after which an attempt ends.", gt=0, le=600)
    longest_wait: float = Field(default=30, description="Longest pause between attempts in seconds.", ge=0, le=600)
    max_files: int = Field(default=200_000, description="Largest number of files in an archive.", ge=1, le=10**8)
    max_ratio: float = Field(
        default=100, description="Largest unpacked size of an archive, as a multiple of its own size.", ge=1, le=1e6
    )
    keep_archives: bool = Field(default=False, description="Keep archives in data/.work after they are unpacked.")
