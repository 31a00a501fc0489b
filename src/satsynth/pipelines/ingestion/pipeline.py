"""Wiring of the pipeline `ingestion`."""

from kedro.pipeline import Pipeline, node

from satsynth.pipelines.ingestion.nodes import find_and_check


def create_pipeline() -> Pipeline:
    """Return the pipeline from raw data to the table of scenes."""
    return Pipeline(
        [
            node(
                find_and_check,
                ["params:description", "params:ingestion", "params:compute", "params:workspace"],
                ["scenes", "bad_files"],
                name="find_scenes",
                tags=["ingestion", "cpu"],
            )
        ],
        namespace="ingestion",
        prefix_datasets_with_namespace=False,
    )
