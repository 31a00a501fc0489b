"""Wiring of the pipeline `export`."""

from kedro.pipeline import Pipeline, node

from satsynth.pipelines.export.nodes import export_synthetic, export_tiles


def create_pipeline() -> Pipeline:
    """Return the pipeline from both pair stores to folders or Parquet files for other tools."""
    settings = ["params:description", "params:export", "params:workspace"]
    return Pipeline(
        [
            node(
                export_tiles,
                ["tiles", "scenes", *settings],
                "tiles_export",
                name="export_tiles",
                tags=["export", "cpu"],
            ),
            node(
                export_synthetic,
                ["synthetic_pairs", *settings],
                "synthetic_export",
                name="export_synthetic",
                tags=["export", "cpu"],
            ),
        ]
    )
