"""The pipeline `report`."""

from satsynth.pipelines.report.pipeline import create_pipeline

__all__ = ["create_pipeline"]
