"""The pipeline `comparison`."""

from satsynth.pipelines.comparison.pipeline import create_pipeline

__all__ = ["create_pipeline"]
