"""Handles of finished folders: small, picklable, without the data."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from satsynth.work.errors import DamagedError, SatSynthError
from satsynth.work.files import MANIFEST, digest_of, read_json, write_json
from satsynth.work.verified import verify

TIMING = "timing.json"


class Finished:
    """A folder that its manifest declares complete.

    Args:
        path: The folder.

    Raises:
        SatSynthError: There is no manifest.
        DamagedError: The manifest is not what was written.
    """

    title: ClassVar[str] = "result"
    remedy: ClassVar[str] = "Run the pipeline that makes it."

    def __init__(self, path: Path) -> None:
        """Read the manifest."""
        if not (path / MANIFEST).exists():
            raise SatSynthError(f"{path} holds no finished {self.title}: {MANIFEST} is missing.", self.remedy)
        self.path = path
        self.manifest: dict[str, Any] = read_manifest(path, self.repair)

    @property
    def repair(self) -> str:
        """What to do about damage."""
        return f"Make it again with the same environment and data set; damage is found there: {self.remedy}"

    @property
    def digest(self) -> str:
        """SHA-256 of the whole content."""
        return str(self.manifest["digest"])

    @property
    def seconds(self) -> float | None:
        """Seconds of work that it took; None if they were not recorded."""
        # Beside the manifest: the time taken is no part of what the result is.
        return read_timing(self.path) if (self.path / TIMING).exists() else None

    @property
    def parents(self) -> dict[str, str]:
        """Digests of what it was made from, by name."""
        return dict(self.manifest["parents"])

    @property
    def files(self) -> dict[str, str]:
        """SHA-256 of each file whose content the digest covers, by name."""
        shards = {shard["file"]: shard["sha256"] for shard in self.manifest.get("shards", [])}
        return {**self.manifest.get("files", {}), **shards}

    def file(self, name: str) -> Path:
        """Return the path of a file that holds what was written.

        Raises:
            DamagedError: It holds something else.
        """
        if name not in self.files:
            raise DamagedError(self.path / MANIFEST, f"it does not list {name}", self.repair)
        return verify(self.path / name, self.files[name], self.repair)

    def verify(self) -> None:
        """Read all files at their first use in this process.

        Raises:
            DamagedError: One holds something else than was written.
        """
        for name in self.files:
            self.file(name)
        if (self.path / TIMING).exists():
            read_timing(self.path)


def read_manifest(folder: Path, remedy: str) -> dict[str, Any]:
    """Return the manifest of a folder.

    Args:
        folder: The folder.
        remedy: What to do if the manifest is damaged.

    Raises:
        DamagedError: It is not what was written.
    """
    path = folder / MANIFEST
    try:
        manifest = read_json(path)
    except DamagedError as error:
        raise DamagedError(path, error.how, remedy) from None
    if not isinstance(manifest, dict):
        raise DamagedError(path, "it holds no manifest", remedy)
    content = {key: value for key, value in manifest.items() if key != "digest"}
    if manifest.get("digest") != digest_of(content):
        raise DamagedError(path, "its content does not fit its digest", remedy)
    return manifest


def write_timing(folder: Path, seconds: float) -> None:
    """Record how many seconds of work a result took."""
    write_json(folder / TIMING, {"seconds": seconds, "sha256": digest_of(seconds)})


def read_timing(folder: Path) -> float:
    """Return the recorded seconds of work.

    Raises:
        DamagedError: The record is not what was written.
    """
    kept = read_json(folder / TIMING)
    try:
        seconds = kept["seconds"]
        # Records made before digests were kept have none.
        if kept.get("sha256", digest_of(seconds)) == digest_of(seconds):
            return float(seconds)
    except (KeyError, TypeError, ValueError, AttributeError):
        pass
    remedy = "Run the command that made it again."
    raise DamagedError(folder / TIMING, "its content does not fit its digest", remedy)
