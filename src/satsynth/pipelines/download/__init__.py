"""The pipeline `download`."""

from satsynth.pipelines.download.pipeline import create_pipeline

__all__ = ["create_pipeline"]
