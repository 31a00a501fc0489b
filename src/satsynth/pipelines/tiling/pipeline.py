"""Wiring of the pipeline `tiling`."""

from kedro.pipeline import Pipeline, node

from satsynth.pipelines.tiling.nodes import cut_tiles


def create_pipeline() -> Pipeline:
    """Return the pipeline from scenes to the store of real pairs."""
    inputs = ["scenes", "params:description", "params:tiling", "params:compute", "params:workspace"]
    return Pipeline(
        [node(cut_tiles, inputs, "tiles", name="cut_tiles", tags=["tiling", "cpu"])],
        namespace="tiling",
        prefix_datasets_with_namespace=False,
    )
