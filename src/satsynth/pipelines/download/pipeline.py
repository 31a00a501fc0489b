"""Wiring of the pipeline `download`."""

from kedro.pipeline import Pipeline, node

from satsynth.pipelines.download.nodes import fetch_raw


def create_pipeline() -> Pipeline:
    """Return the pipeline from a data set's publisher to its raw folder."""
    inputs = ["params:description", "params:download", "params:workspace"]
    return Pipeline([node(fetch_raw, inputs, "download_record", name="fetch_raw", tags=["download", "cpu"])])
