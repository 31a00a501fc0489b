"""Wiring of `report`."""

from inspect import signature

from kedro.pipeline import Pipeline, node

from satsynth.generation.families import FAMILIES
from satsynth.pipelines.report.nodes import write_report

PARAMETERS = ("description", "tiling", "generation", *FAMILIES, "sampling", "comparison", "segmentation", "compute")


def create_pipeline() -> Pipeline:
    """All results to one HTML page."""
    # Each argument is named after what it takes.
    inputs = {name: f"params:{name}" if name in PARAMETERS else name for name in signature(write_report).parameters}
    return Pipeline(
        [node(write_report, inputs, "report", name="write_report", tags=["report", "cpu"])],
        namespace="report",
        prefix_datasets_with_namespace=False,
    )
