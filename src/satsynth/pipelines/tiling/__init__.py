"""The pipeline `tiling`."""

from satsynth.pipelines.tiling.pipeline import create_pipeline

__all__ = ["create_pipeline"]
