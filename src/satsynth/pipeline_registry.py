"""The pipelines by name."""

from kedro.pipeline import Pipeline

from satsynth.pipelines import (
    comparison,
    diffusion,
    download,
    export,
    ingestion,
    judge,
    labelling,
    painting,
    report,
    sampling,
    segmentation,
    tiling,
)


def register_pipelines() -> dict[str, Pipeline]:
    """Return the eight pipelines, all of them as `augment`, the default, and those that run by themselves."""
    parts = {
        "ingestion": ingestion.create_pipeline(),
        "tiling": tiling.create_pipeline(),
        "judge": judge.create_pipeline(),
        "diffusion": diffusion.create_pipeline(),
        "sampling": sampling.create_pipeline(),
        "comparison": comparison.create_pipeline(),
        "segmentation": segmentation.create_pipeline(),
        "report": report.create_pipeline(),
    }
    augment = sum(parts.values(), Pipeline([]))
    alone = {
        "painting": painting.create_pipeline(),
        "labelling": labelling.create_pipeline(),
        "export": export.create_pipeline(),
        "download": download.create_pipeline(),
    }
    return {**parts, **alone, "augment": augment, "__default__": augment}
