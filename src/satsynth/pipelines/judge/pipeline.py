"""Wiring of `judge`."""

from kedro.pipeline import Pipeline, node

from satsynth.pipelines.judge.nodes import train_judge


def create_pipeline() -> Pipeline:
    """Real pairs to the network that judges images and masks."""
    inputs = ["tiles", "params:segmentation", "params:compute", "params:workspace"]
    return Pipeline(
        [node(train_judge, inputs, "judge", name="train_judge", tags=["judge", "gpu"])],
        namespace="judge",
        prefix_datasets_with_namespace=False,
    )
