"""Wiring of `sampling`."""

from kedro.pipeline import Pipeline, node

from satsynth.pipelines.sampling.nodes import draw_pairs


def create_pipeline() -> Pipeline:
    """Generator to the store of synthetic pairs."""
    inputs = ["generator", "tiles", "params:sampling", "params:compute", "params:workspace"]
    return Pipeline(
        [node(draw_pairs, inputs, "synthetic_pairs", name="draw_pairs", tags=["sampling", "gpu"])],
        namespace="sampling",
        prefix_datasets_with_namespace=False,
    )
