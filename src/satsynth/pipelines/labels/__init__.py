"""The pipeline `labels`."""

from satsynth.pipelines.labels.pipeline import create_pipeline

__all__ = ["create_pipeline"]
