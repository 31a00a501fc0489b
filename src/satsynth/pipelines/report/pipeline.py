"""Wiring of `report`."""

from inspect import signature

from kedro.pipeline import Pipeline, node

from satsynth.pipelines.report.nodes import write_report


def create_pipeline() -> Pipeline:
    """All results to one HTML page."""
    # Each argument is named after what it takes.
    inputs = {name: name for name in signature(write_report).parameters} | {"description": "params:description"}
    return Pipeline(
        [node(write_report, inputs, "report", name="write_report", tags=["report", "cpu"])],
        namespace="report",
        prefix_datasets_with_namespace=False,
    )
