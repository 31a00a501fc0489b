"""Wiring of `sampling`."""

from kedro.pipeline import Pipeline, node

from satsynth.pipelines.families import family_inputs
from satsynth.pipelines.sampling.nodes import draw_pairs


def create_pipeline() -> Pipeline:
    """Generator to the store of synthetic pairs."""
    own = {name: name for name in ("generator", "tiles", "scenes")}
    given = ("description", "generation", "sampling", "segmentation", "compute", "workspace")
    own |= {name: f"params:{name}" for name in given}
    return Pipeline(
        [node(draw_pairs, own | family_inputs(), "synthetic_pairs", name="draw_pairs", tags=["sampling", "gpu"])],
        namespace="sampling",
        prefix_datasets_with_namespace=False,
    )
