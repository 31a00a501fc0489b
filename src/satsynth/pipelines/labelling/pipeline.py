"""Wiring of `labelling`."""

from kedro.pipeline import Pipeline, node

from satsynth.pipelines.families import family_inputs
from satsynth.pipelines.labelling.nodes import label_real_images


def create_pipeline() -> Pipeline:
    """Generator and a folder of images to masks."""
    own = {"generator": "generator"}
    own |= {name: f"params:{name}" for name in ("description", "generation", "labelling", "compute", "workspace")}
    return Pipeline(
        [
            node(
                label_real_images,
                own | family_inputs(),
                "drawn_labels",
                name="label_real_images",
                tags=["labelling", "gpu"],
            )
        ]
    )
