"""The pipeline `sampling`."""

from satsynth.pipelines.sampling.pipeline import create_pipeline

__all__ = ["create_pipeline"]
