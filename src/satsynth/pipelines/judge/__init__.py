"""The pipeline `judge`."""

from satsynth.pipelines.judge.pipeline import create_pipeline

__all__ = ["create_pipeline"]
