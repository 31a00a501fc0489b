"""The pipeline `painting`."""

from satsynth.pipelines.painting.pipeline import create_pipeline

__all__ = ["create_pipeline"]
