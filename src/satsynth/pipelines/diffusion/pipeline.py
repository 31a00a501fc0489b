"""Wiring of `diffusion`."""

from kedro.pipeline import Pipeline, node

from satsynth.pipelines.diffusion.nodes import train_joint_diffusion


def create_pipeline() -> Pipeline:
    """Real pairs to the generator."""
    inputs = ["tiles", "params:diffusion", "params:compute", "params:workspace"]
    return Pipeline(
        [node(train_joint_diffusion, inputs, "generator", name="train_generator", tags=["diffusion", "gpu"])],
        namespace="diffusion",
        prefix_datasets_with_namespace=False,
    )
