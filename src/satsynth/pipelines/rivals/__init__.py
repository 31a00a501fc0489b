"""The pipeline `rivals`."""

from satsynth.pipelines.rivals.pipeline import create_pipeline

__all__ = ["create_pipeline"]
