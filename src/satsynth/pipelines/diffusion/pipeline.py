"""Wiring of `diffusion`."""

from kedro.pipeline import Pipeline, node

from satsynth.pipelines.diffusion.nodes import make_generator
from satsynth.pipelines.families import family_inputs


def create_pipeline() -> Pipeline:
    """Real pairs to the generator."""
    own = {"tiles": "tiles"} | {name: f"params:{name}" for name in ("generation", "compute", "workspace")}
    return Pipeline(
        [
            node(
                make_generator,
                own | family_inputs(),
                "generator",
                name="train_generator",
                tags=["diffusion", "gpu"],
            )
        ],
        namespace="diffusion",
        prefix_datasets_with_namespace=False,
    )
