"""Wiring of `painting`."""

from kedro.pipeline import Pipeline, node

from satsynth.pipelines.families import family_inputs
from satsynth.pipelines.painting.nodes import paint_drawn_masks


def create_pipeline() -> Pipeline:
    """Generator and a folder of masks to whole images."""
    own = {"generator": "generator"}
    own |= {name: f"params:{name}" for name in ("description", "generation", "sampling", "compute", "workspace")}
    return Pipeline(
        [
            node(
                paint_drawn_masks,
                own | family_inputs(),
                "painted_scenes",
                name="paint_drawn_masks",
                tags=["painting", "gpu"],
            )
        ]
    )
