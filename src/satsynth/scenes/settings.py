"""Parameters of ingestion."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from satsynth.work.frozen import Frozen


class IngestionSettings(Frozen):
    """What happens to files that cannot be used."""

    on_bad_scene: Literal["error", "skip"] = Field(
        default="error",
        description="`error`: stop and list all of them. `skip`: leave their scenes out, log a warning and record "
        "them in `bad_files`.",
    )
    held_out_images: Literal["refuse", "use"] = Field(
        default="refuse",
        description="Unlabelled images that show a scene of val or test, or have its name. `refuse`: they are bad "
        "files. `use`: generators learn from them, and the report says so.",
    )
