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
    labels,
    painting,
    report,
    rivals,
    sampling,
    segmentation,
    tiling,
)


def register_pipelines() -> dict[str, Pipeline]:
    """Return the eight pipelines, all of them as `augment`, the default, and those that run by name only."""
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
    # What the families are compared on is made first, or found.
    before = (parts[name] for name in ("ingestion", "tiling", "judge"))
    alone = {
        "rivals": sum(before, rivals.create_pipeline()),
        "labels": parts["ingestion"] + labels.create_pipeline(),
        "painting": painting.create_pipeline(),
        "labelling": labelling.create_pipeline(),
        "export": export.create_pipeline(),
        "download": download.create_pipeline(),
    }
    return {**parts, **alone, "augment": augment, "__default__": augment}
