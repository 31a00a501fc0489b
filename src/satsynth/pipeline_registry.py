"""The pipelines by name."""

from kedro.pipeline import Pipeline

from satsynth.pipelines import comparison, diffusion, ingestion, report, sampling, segmentation, tiling


def register_pipelines() -> dict[str, Pipeline]:
    """Return the seven pipelines, and all of them as `augment`, the default."""
    parts = {
        "ingestion": ingestion.create_pipeline(),
        "tiling": tiling.create_pipeline(),
        "diffusion": diffusion.create_pipeline(),
        "sampling": sampling.create_pipeline(),
        "comparison": comparison.create_pipeline(),
        "segmentation": segmentation.create_pipeline(),
        "report": report.create_pipeline(),
    }
    augment = sum(parts.values(), Pipeline([]))
    return {**parts, "augment": augment, "__default__": augment}
