"""Where a project keeps its work, and what a command says beside the parameters."""

from __future__ import annotations

import uuid
from pathlib import Path

from pydantic import Field

from satsynth.work.frozen import Frozen


class Workspace(Frozen):
    """Folders of a project and how its earlier work is treated; none of it changes a result."""

    project: str = Field(description="Folder of the project.")
    raw: str | None = Field(default=None, description="Raw data kept elsewhere than the description says.")
    fresh: bool = Field(default=False, description="Ignore all work done before.")
    run: str = Field(
        default_factory=lambda: uuid.uuid4().hex,
        description="Name of the run, set by itself: `fresh` keeps its own work.",
    )

    @property
    def folder(self) -> Path:
        """The project's folder."""
        return Path(self.project).resolve()

    @property
    def anew(self) -> str:
        """Name of the run that does all work anew; empty where work done before is used."""
        return self.run if self.fresh else ""

    @property
    def work(self) -> Path:
        """Folder of all work."""
        return self.folder / "data" / ".work"
