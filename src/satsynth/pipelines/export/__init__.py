"""The pipeline `export`."""

from satsynth.pipelines.export.pipeline import create_pipeline

__all__ = ["create_pipeline"]
