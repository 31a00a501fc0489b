"""Parameters of ingestion."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from satsynth.work.frozen import Frozen


class IngestionSettings(Frozen):
    """What becomes of files that cannot be used."""

    on_bad_scene: Literal["error", "skip"] = Field(
        default="error",
        description="`error`: stop and show all of them. `skip`: leave their scenes out, say so, and record them in "
        "`bad_files`.",
    )
